package memory

import (
	"cmp"
	"slices"
	"time"
)

// Snapshot is one reading of the ledger: all its figures are bytes and were read together. It is never changed after
// Ledger has published it.
type Snapshot struct {
	At     time.Time     // with the monotonic clock
	Took   time.Duration // how long the reading took
	Total  Usage         // the sum over all mappings; the parts add up to it
	Peak   uint64        // the highest RSS so far
	Parts  [numParts]Usage
	Growth [numParts]int64 // of each part's PSS since Ledger.MarkStart
	Files  []File          // mapped files, largest PSS first
	Go     Go
	// Details look into parts; what is no estimate is counted by who holds it.
	Details []Detail

	Threads     uint64
	Cgroup      Cgroup
	System      System
	Pressure    Pressure
	Temperature float64 // degrees Celsius, NaN when the board shows none
	Throttle    Throttle

	json []byte
}

// Detail is a row below a part: bytes that part holds for one purpose. Details need not add up to their part.
type Detail struct {
	Part     Part
	Name     string
	Bytes    uint64
	Estimate bool
}

// AppendJSON appends the sections process, memory, cgroup and system, `"process":{...},...`, without the braces around
// them. They were encoded when the snapshot was taken: the serving thread copies.
func (s *Snapshot) AppendJSON(dst []byte) []byte { return append(dst, s.json...) }

func (s *Snapshot) sortFiles() {
	slices.SortFunc(s.Files, func(a, b File) int {
		if order := cmp.Compare(b.Pss, a.Pss); order != 0 {
			return order
		}
		return cmp.Compare(a.Path, b.Path)
	})
}

// LogFields returns keys and values for one line of the log: the process and its parts, PSS in bytes.
func (s *Snapshot) LogFields() []any {
	fields := []any{"pss", s.Total.Pss, "rss", s.Total.Rss, "uss", s.Total.Uss(), "swap", s.Total.Swap}
	for part := range numParts {
		fields = append(fields, part.String(), s.Parts[part].Pss)
	}
	return fields
}

package memory

import (
	"context"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"sync/atomic"
	"time"
)

// Sources is what the ledger can't see in the kernel's files. Each function may be nil, and is called on the goroutine
// that reads the ledger.
type Sources struct {
	// Arenas appends the address ranges of pymalloc's arenas.
	Arenas func([]Range) []Range
	// Details appends rows counted or estimated by those who hold the memory.
	Details func([]Detail) []Detail
	// ModelPath is the mapped model file, "" for none.
	ModelPath string
}

// Ledger reads where the memory of this process is. One goroutine reads, any number take snapshots.
type Ledger struct {
	known   Runtime
	sources Sources
	kernel  kernel
	pages   *classifier
	buffer  []byte
	last    atomic.Pointer[Snapshot]
	start   atomic.Pointer[[numParts]Usage]
}

// NewLedger wants what ObserveRuntime found when the process started.
func NewLedger(known Runtime, sources Sources) *Ledger {
	l := &Ledger{known: known, sources: sources, pages: newClassifier(known)}
	if sources.ModelPath != "" {
		l.pages.model = identify(sources.ModelPath)
	}
	l.buffer = make([]byte, 16*kib)
	l.kernel.buffer = make([]byte, 8*kib)
	return l
}

// Snapshot returns the last reading, nil before the first.
func (l *Ledger) Snapshot() *Snapshot { return l.last.Load() }

// MarkStart makes the last reading the one that growth is counted from.
func (l *Ledger) MarkStart() {
	if s := l.last.Load(); s != nil {
		parts := s.Parts
		l.start.Store(&parts)
	}
}

// Run reads the ledger every interval until the context ends, and calls after with each snapshot. It goes on after a
// failed reading, which it reports to failed: /proc may be out of reach for a moment (no more file descriptors).
func (l *Ledger) Run(ctx context.Context, interval time.Duration, after func(*Snapshot), failed func(error)) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		if s, err := l.Read(); err != nil {
			failed(err)
		} else {
			after(s)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// Read takes a snapshot and publishes it. It walks the whole map of the process, about 1 ms: not for the serving thread,
// and not more often than stats_interval.
func (l *Ledger) Read() (*Snapshot, error) {
	s := &Snapshot{At: time.Now(), Temperature: math.NaN()}
	s.Go = readGo()
	if l.sources.Arenas != nil {
		l.pages.arenas = l.sources.Arenas(l.pages.arenas[:0])
	}
	if err := l.readMappings(s); err != nil {
		return nil, fmt.Errorf("memory ledger: %w", err)
	}
	s.Details = l.appendDetails(nil, s.Go)
	l.readKernel(s)
	if start := l.start.Load(); start != nil {
		for i := range s.Parts {
			s.Growth[i] = int64(s.Parts[i].Pss) - int64(start[i].Pss)
		}
	}
	s.sortFiles()
	s.Took = time.Since(s.At)
	s.json = s.encode(make([]byte, 0, 4*kib))
	l.last.Store(s)
	return s, nil
}

func (l *Ledger) readMappings(s *Snapshot) error {
	rollup := ParseRollup(l.kernel.read("/proc/self/smaps_rollup"))
	file, err := os.Open("/proc/self/smaps")
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // only read from
	c := l.pages
	if pagemap, err := os.Open("/proc/self/pagemap"); err == nil {
		defer pagemap.Close() //nolint:errcheck // only read from
		c.pagemap = pagemap
	}
	if err := c.classify(file, l.buffer); err != nil {
		return err
	}
	c.settle(rollup)
	c.moveToGo(s.Go.Runtime - min(l.known.metadata, s.Go.Runtime))
	s.Total, s.Parts = c.total, c.parts
	s.Files = slices.Clone(c.files)
	return nil
}

// classify reads a whole map.
func (c *classifier) classify(smaps io.Reader, buffer []byte) error {
	c.reset()
	return ParseSmaps(smaps, buffer, c.add)
}

// settle makes the kernel's own sum the total, and what the parts lack of it part of the rest: smaps rounds the PSS of each
// mapping down to whole kilobytes. Kernels before 4.14 have no such sum.
func (c *classifier) settle(rollup Usage) {
	lacks := func(total, sum uint64) uint64 { return max(total, sum) - sum }
	rest := Usage{
		lacks(rollup.Rss, c.total.Rss), lacks(rollup.Pss, c.total.Pss), lacks(rollup.PrivateClean, c.total.PrivateClean),
		lacks(rollup.PrivateDirty, c.total.PrivateDirty), lacks(rollup.Anonymous, c.total.Anonymous), lacks(rollup.Swap, c.total.Swap),
	}
	c.total.add(rest)
	c.parts[PartOther].add(rest)
}

// moveToGo takes what Go's runtime has mapped for its own structures since it was observed from the C heap, among whose
// anonymous mappings it lies: some hundred kilobytes at most.
func (c *classifier) moveToGo(grown uint64) {
	share := portion(grown, c.parts[PartCHeap])
	c.parts[PartCHeap].subtract(share)
	c.parts[PartGo].add(share)
}

func (l *Ledger) appendDetails(dst []Detail, g Go) []Detail {
	dst = append(dst,
		Detail{PartGo, "heap_in_use", g.HeapInUse, false},
		Detail{PartGo, "heap_idle", g.HeapIdle, false},
		Detail{PartGo, "goroutine_stacks", g.Stacks, false},
		Detail{PartGo, "runtime", g.Runtime, false},
	)
	if l.sources.Details != nil {
		dst = l.sources.Details(dst)
	}
	return dst
}

func (l *Ledger) readKernel(s *Snapshot) {
	k := &l.kernel
	status := ParseStatus(k.read("/proc/self/status"))
	s.Peak, s.Threads = max(status.PeakRss, s.Total.Rss), status.Threads
	s.System = ParseMeminfo(k.read("/proc/meminfo"))
	s.Cgroup = readCgroup(k)
	s.Pressure = ParsePressure(k.read("/proc/pressure/memory"))
	s.Temperature, s.Throttle = readBoard(k)
}

// Surroundings reads the control group and the board, for AutoLimit.
func Surroundings() (Cgroup, System) {
	k := kernel{buffer: make([]byte, 8*kib)}
	system := ParseMeminfo(k.read("/proc/meminfo"))
	return readCgroup(&k), system
}

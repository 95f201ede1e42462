package memory

import (
	"context"
	"encoding/json"
	"math"
	"runtime"
	"strings"
	"testing"
	"time"
)

// atStart is observed as the daemon observes it: before anything else has run.
var atStart = ObserveRuntime()

func readLedger(t *testing.T, l *Ledger) *Snapshot {
	t.Helper()
	s, err := l.Read()
	if err != nil {
		t.Fatal(err)
	}
	var sum Usage
	for _, u := range s.Parts {
		sum.add(u)
	}
	if sum != s.Total || s.Total.Pss == 0 {
		t.Fatalf("the parts add up to %+v, the process has %+v", sum, s.Total)
	}
	return s
}

func TestAllocatedGoMemoryIsFoundInGosRow(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector's shadow memory grows along")
	}
	l := NewLedger(atStart, Sources{})
	before := readLedger(t, l)
	l.MarkStart()
	const amount = 64 * mib
	block := make([]byte, amount)
	for i := 0; i < len(block); i += 512 {
		block[i] = 1
	}
	after := readLedger(t, l)
	runtime.KeepAlive(block)
	grown := float64(after.Parts[PartGo].Pss) - float64(before.Parts[PartGo].Pss)
	if math.Abs(grown-amount) > amount*0.05 {
		t.Errorf("allocated %d, Go's part grew by %.0f\nbefore %+v\nafter %+v", amount, grown, before.Parts, after.Parts)
	}
	if after.Growth[PartGo] != int64(grown) {
		t.Errorf("growth %d, want %.0f", after.Growth[PartGo], grown)
	}
	for part := range numParts {
		if part != PartGo && math.Abs(float64(after.Growth[part])) > amount*0.05 {
			t.Errorf("%v grew by %d", part, after.Growth[part])
		}
	}
}

func TestSnapshotAsJSON(t *testing.T) {
	l := NewLedger(atStart, Sources{
		ModelPath: "testdata/README.md",
		Arenas:    func(dst []Range) []Range { return append(dst, Range{0x10, 0x20}) },
		Details: func(dst []Detail) []Detail {
			return append(dst, Detail{PartCHeap, "numpy", 123, true}, Detail{PartGo, "queue", 7, false})
		},
	})
	s := readLedger(t, l)
	if l.Snapshot() != s {
		t.Error("the reading was not published")
	}
	text := append(s.AppendJSON([]byte{'{'}), '}')
	var sections struct {
		Process struct{ RSS, PSS, USS, Peak_RSS, File_RSS, Threads uint64 }
		Memory  struct {
			Parts map[string]struct {
				PSS                uint64
				Growth             int64
				Counted, Estimated map[string]uint64
			}
			Files []struct {
				Path string
				PSS  uint64
			}
			Go_Limit *uint64
		}
		Cgroup struct{ Version int }
		System struct{ Total, Available uint64 }
	}
	if err := json.Unmarshal(text, &sections); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	var sum uint64
	for _, part := range sections.Memory.Parts {
		sum += part.PSS
	}
	if len(sections.Memory.Parts) != int(numParts) || sum != sections.Process.PSS || sum != s.Total.Pss {
		t.Errorf("%d parts add up to %d of %d", len(sections.Memory.Parts), sum, sections.Process.PSS)
	}
	if sections.Process.Peak_RSS < sections.Process.RSS || sections.Process.USS == 0 || sections.Process.Threads == 0 || sections.System.Total == 0 {
		t.Errorf("%+v %+v", sections.Process, sections.System)
	}
	if sections.Memory.Parts["c_heap"].Estimated["numpy"] != 123 || sections.Memory.Parts["go"].Counted["queue"] != 7 || sections.Memory.Parts["go"].Counted["heap_in_use"] == 0 {
		t.Errorf("details are missing: %s", text)
	}
	if sections.Memory.Go_Limit != nil {
		t.Errorf("a limit nobody set: %d", *sections.Memory.Go_Limit)
	}
	if len(sections.Memory.Files) == 0 || len(sections.Memory.Files) > mostFiles {
		t.Errorf("%d files", len(sections.Memory.Files))
	}
}

func TestRecordedSurroundingsAsJSON(t *testing.T) {
	for _, root := range recorded(t) {
		l := &Ledger{kernel: *testKernel(root)}
		s := &Snapshot{Files: make([]File, mostFiles+2), Temperature: math.NaN()}
		for i := range s.Files {
			s.Files[i] = File{Path: "/odd \"name\"\\\x01\xff", Usage: Usage{Pss: 3}}
		}
		l.readKernel(s)
		text := string(append(s.encode([]byte{'{'}), '}'))
		var sections map[string]map[string]any
		if err := json.Unmarshal([]byte(text), &sections); err != nil {
			t.Fatalf("%s: %v\n%s", root, err, text)
		}
		if sections["memory"]["other_files_pss"] != 6.0 {
			t.Errorf("%s: files left out: %v", root, sections["memory"]["other_files_pss"])
		}
		if root == "testdata/armv7l-4.19" && !strings.Contains(text, `"temperature_celsius":61.3,"throttled_now":["under_voltage","throttled"]`) {
			t.Errorf("%s: %s", root, text)
		}
		if root == "testdata/aarch64-6.1" && !strings.Contains(text, `"high":83886080,"max":100663296,"events":{"high":12,"max":3,"oom":1,"oom_kill":1}`) {
			t.Errorf("%s: %s", root, text)
		}
	}
}

func TestServingASnapshotDoesNotAllocate(t *testing.T) {
	s := readLedger(t, NewLedger(atStart, Sources{}))
	buffer := make([]byte, 0, 16*kib)
	if n := testing.AllocsPerRun(100, func() { buffer = s.AppendJSON(buffer[:0]) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestRunReadsUntilItsContextEnds(t *testing.T) {
	l := NewLedger(atStart, Sources{})
	ctx, cancel := context.WithCancel(t.Context())
	seen, ended := make(chan *Snapshot), make(chan struct{})
	publish := func(s *Snapshot) {
		select {
		case seen <- s:
		case <-ctx.Done():
		}
	}
	go func() {
		l.Run(ctx, time.Millisecond, publish, func(err error) { t.Error(err) })
		close(ended)
	}()
	first, second := <-seen, <-seen
	cancel()
	<-ended
	if first == second || first.At.After(second.At) {
		t.Error("the second reading is not new")
	}
}

func BenchmarkRead(b *testing.B) {
	l := NewLedger(atStart, Sources{})
	b.ReportAllocs()
	for range b.N {
		if _, err := l.Read(); err != nil {
			b.Fatal(err)
		}
	}
}

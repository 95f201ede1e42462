package memory

import (
	"bytes"
	"os"
	"slices"
	"unsafe"
)

// Range is a span of addresses, End excluded.
type Range struct{ Start, End uint64 }

func (r Range) intersect(s Range) Range {
	return Range{max(r.Start, s.Start), max(min(r.End, s.End), max(r.Start, s.Start))}
}

func (r Range) size() uint64 { return r.End - r.Start }

// goHeapSpan is how far above its first arena Go's heap is taken to reach. On 64 bits the runtime puts arenas side by
// side from a hint far from everything else (runtime/malloc.go, arenaHint); boards have no 4 GiB to fill it with. On 32
// bits it reserves its whole heap when it starts, so the reservation itself is among the observed ranges.
const goHeapSpan = 4 << 30

// glibc reserves an aligned 64 MiB (1 MiB on 32 bits) for each further malloc arena: HEAP_MAX_SIZE in malloc/arena.c.
const mallocArena = 1 << 20 << (6 * (^uint(0) >> 63))

// Runtime is what Go's runtime had mapped when the process started, by which its memory is told from C's later on: the
// kernel shows both as anonymous mappings, and merges neighbours.
type Runtime struct {
	ranges   []Range
	metadata uint64 // bytes of runtime structures at that time; what is added later lies elsewhere
}

// ObserveRuntime reads the process's own map. It must run first in main: only then is all anonymous memory that is
// neither a stack nor malloc's Go's own.
func ObserveRuntime() Runtime {
	var r Runtime
	text, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return r // Go's memory will then be counted with the C heap
	}
	r.ranges = goRanges(text)
	if ^uint(0)>>63 == 1 {
		// This one slice is surely on the heap: it escapes to the kernel's reader.
		start := uint64(uintptr(unsafe.Pointer(unsafe.SliceData(text)))) &^ (64*mib - 1)
		r.ranges = append(r.ranges, Range{start, start + goHeapSpan})
	}
	slices.SortFunc(r.ranges, func(a, b Range) int {
		if a.Start < b.Start {
			return -1
		}
		return 1
	})
	r.metadata = readGo().Runtime
	return r
}

// goRanges picks the anonymous mappings out of the text of /proc/self/maps, leaving out what C has put there before main:
// thread stacks (above a guard page), malloc arenas (aligned, followed by their reserve) and the tails of libraries.
func goRanges(text []byte) []Range {
	var all []Mapping
	for line := range bytes.Lines(text) {
		var m Mapping
		if parseHeader(bytes.TrimSuffix(line, []byte{'\n'}), &m) == nil {
			all = append(all, m)
		}
	}
	var ranges []Range
	for i := range all {
		m := &all[i]
		if len(m.Path) != 0 || m.Inode != 0 || isGuard(m) {
			continue
		}
		if i > 0 && all[i-1].End == m.Start && (isGuard(&all[i-1]) || len(all[i-1].Path) != 0) {
			continue
		}
		if isMallocArena(all, i) || i > 0 && isMallocArena(all, i-1) {
			continue
		}
		if last := len(ranges) - 1; last >= 0 && ranges[last].End == m.Start {
			ranges[last].End = m.End
			continue
		}
		ranges = append(ranges, Range{m.Start, m.End})
	}
	return ranges
}

// isMallocArena says whether mapping i is a malloc arena, which the mapping after it is the reserve of.
func isMallocArena(all []Mapping, i int) bool {
	m := &all[i]
	return m.Writable && len(m.Path) == 0 && m.Start%mallocArena == 0 && i+1 < len(all) &&
		all[i+1].Start == m.End && all[i+1].End == m.Start+mallocArena
}

var pageSize = uint64(os.Getpagesize())

// isGuard tells the page that glibc leaves unmapped below a thread's stack.
func isGuard(m *Mapping) bool {
	return m.size() == pageSize && !m.Readable && !m.Writable && len(m.Path) == 0
}

package memory

import (
	"runtime/metrics"
	"sync"
)

// Go is memory as Go's runtime counts it, in bytes, and its collections. See runtime/metrics for what each class holds:
// Runtime is span tables, GC state, profiling and other structures; Released has been given back to the kernel and is in
// none of the others.
type Go struct {
	HeapInUse, HeapIdle, Released, Stacks, Runtime, Limit uint64
	Collections, Goroutines                               uint64
}

var goSamples = struct {
	sync.Mutex
	list []metrics.Sample
}{list: []metrics.Sample{
	{Name: "/memory/classes/heap/objects:bytes"},
	{Name: "/memory/classes/heap/unused:bytes"},
	{Name: "/memory/classes/heap/free:bytes"},
	{Name: "/memory/classes/heap/released:bytes"},
	{Name: "/memory/classes/heap/stacks:bytes"},
	{Name: "/memory/classes/metadata/mcache/free:bytes"},
	{Name: "/memory/classes/metadata/mcache/inuse:bytes"},
	{Name: "/memory/classes/metadata/mspan/free:bytes"},
	{Name: "/memory/classes/metadata/mspan/inuse:bytes"},
	{Name: "/memory/classes/metadata/other:bytes"},
	{Name: "/memory/classes/profiling/buckets:bytes"},
	{Name: "/memory/classes/other:bytes"},
	{Name: "/gc/gomemlimit:bytes"},
	{Name: "/gc/cycles/total:gc-cycles"},
	{Name: "/sched/goroutines:goroutines"},
}}

// readGo asks the runtime. It does not stop the world.
func readGo() Go {
	goSamples.Lock()
	defer goSamples.Unlock()
	metrics.Read(goSamples.list)
	value := func(i int) uint64 {
		if v := goSamples.list[i].Value; v.Kind() == metrics.KindUint64 {
			return v.Uint64()
		}
		return 0 // a runtime that no longer has this metric
	}
	g := Go{
		HeapInUse: value(0) + value(1), HeapIdle: value(2), Released: value(3), Stacks: value(4),
		Limit: value(12), Collections: value(13), Goroutines: value(14),
	}
	for i := 5; i <= 11; i++ {
		g.Runtime += value(i)
	}
	if g.Limit >= 1<<63-1 {
		g.Limit = NoLimit
	}
	return g
}

package memory

import (
	"context"
	"sync/atomic"
	"testing"
	"time"
)

// eventually waits for a condition that the guard's goroutine brings about.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

func TestGuardShedsNearTheLimitAndTrimsAfterABurst(t *testing.T) {
	var used, readings, trims atomic.Int64
	var working atomic.Bool
	used.Store(40 * mib)
	usage := func() uint64 { readings.Add(1); return uint64(used.Load()) }
	g := newGuard(60*mib, usage, func() uint64 { return uint64(used.Load()) }, working.Load, func() { trims.Add(1) }, func() { t.Error("exhausted") })
	g.interval, g.quiet = time.Millisecond, 10*time.Millisecond
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	g.Settle()
	go func() { g.Run(ctx); close(ended) }()
	// request lets the guard take three readings of an amount.
	request := func(amount int64) bool {
		used.Store(amount)
		first := readings.Load()
		eventually(t, "three readings", func() bool { g.Short(); return readings.Load() >= first+3 })
		return g.Short()
	}
	if request(40 * mib) {
		t.Error("short of memory at rest")
	}
	time.Sleep(5 * g.quiet)
	if n := trims.Load(); n != 1 {
		t.Errorf("%d trims without a burst, want the first alone", n)
	}
	if !request(61 * mib) {
		t.Error("not short above the limit")
	}
	if !request(59 * mib) {
		t.Error("no longer short just below the limit: it would flap")
	}
	working.Store(true)
	if request(50 * mib) {
		t.Error("still short although memory is free")
	}
	before := trims.Load()
	time.Sleep(5 * g.quiet)
	if n := trims.Load(); n != before {
		t.Errorf("%d trims in the middle of the work: what it still needs would come back and stay", n-before)
	}
	working.Store(false)
	eventually(t, "a trim after the burst", func() bool { return trims.Load() == before+1 })
	idle := readings.Load()
	time.Sleep(5 * g.quiet)
	if n := readings.Load() - idle; n > 2 {
		t.Errorf("%d readings while nothing happens", n)
	}
	cancel()
	<-ended
}

func TestGuardLosesPatienceWithMemoryThatStaysShort(t *testing.T) {
	var used, readings, now, ends atomic.Int64
	usage := func() uint64 { readings.Add(1); return uint64(used.Load()) }
	idle := func() bool { return false }
	g := newGuard(60*mib, usage, usage, idle, func() {}, func() { ends.Add(1) })
	g.interval, g.quiet, g.patience = time.Millisecond, 5*time.Millisecond, 100
	g.now = func() time.Time { return time.Unix(0, now.Load()) }
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { g.Run(ctx); close(ended) }()
	// pass lets time pass, and the guard see it.
	pass := func(nanoseconds int64) {
		now.Add(nanoseconds)
		first := readings.Load()
		eventually(t, "readings", func() bool { g.Short(); return readings.Load() >= first+6 })
	}
	for range 4 { // a backlog that is worked off again and again is no reason to end
		used.Store(61 * mib)
		eventually(t, "short", func() bool { return g.Short() })
		pass(80)
		used.Store(40 * mib)
		eventually(t, "no longer short", func() bool { return !g.Short() })
		pass(1)
	}
	if ends.Load() != 0 {
		t.Error("exhausted although memory came free")
	}
	used.Store(61 * mib)
	eventually(t, "short", func() bool { return g.Short() })
	pass(1)
	time.Sleep(5 * g.quiet) // whether requests come often or seldom
	pass(110)
	eventually(t, "exhausted", func() bool { return ends.Load() == 1 })
	cancel()
	<-ended
}

func TestGuardReadsTheProcessOrItsGroup(t *testing.T) {
	process := NewGuard(Budget{Limit: 64 * mib, ShedAbove: 60 * mib}, Cgroup{}, nil, nil, nil)
	if used := process.usage(); used < mib || used > 4<<30 {
		t.Errorf("the process uses %d bytes", used)
	}
	group, _ := Surroundings()
	if group.Version == 0 {
		t.Skip("no memory controller here")
	}
	limited := group
	limited.Max = 64 * mib
	if used := NewGuard(Budget{Limit: 64 * mib}, limited, nil, nil, nil).usage(); used == 0 {
		t.Error("the group uses nothing")
	}
}

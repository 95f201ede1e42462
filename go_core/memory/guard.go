package memory

import (
	"context"
	"sync/atomic"
	"time"
)

const (
	// guardInterval is how often usage is read while requests come in: 20 readings a second cost a thousandth of a core,
	// and in one interval a gigabit network brings no more than the budget's reserve.
	guardInterval = 50 * time.Millisecond
	// guardQuiet is how long nothing must come in and nothing be under way before memory is given back, which costs about 10 ms.
	guardQuiet = 2 * time.Second
	// guardPatience is far more than any backlog takes to be answered on the slowest board, and lets systemd, which gives
	// up after ten starts in ten minutes, start the daemon again for ever.
	guardPatience = 2 * time.Minute
	// guardSlack is what a burst must have left behind for that to be worth it.
	guardSlack = 2 * mib
)

// Guard says when memory runs short, and gives back what a burst needed once it is over. It costs nothing while no
// requests come in.
type Guard struct {
	shedAbove uint64
	usage     func() uint64 // what counts against the limit
	resident  func() uint64 // of the process: pages of files that are mapped again are charged to nobody
	working   func() bool   // on what came in: on a slow board that takes longer than the quiet lasts
	trim      func()
	short     atomic.Bool
	traffic   chan struct{}
	interval  time.Duration
	quiet     time.Duration
	patience  time.Duration
	now       func() time.Time
	since     time.Time // when memory ran short; zero while it is not
	exhausted func()
	rest      atomic.Uint64 // what was in use after memory was last given back
}

// NewGuard watches the process or, where its limit is the control group's, that group. working says whether requests wait or
// are under way, trim must give unused memory back to the kernel. exhausted is called once no request could be taken for
// two minutes: what fills the memory is none of theirs, and will not go by itself.
func NewGuard(budget Budget, group Cgroup, working func() bool, trim, exhausted func()) *Guard {
	k := &kernel{buffer: make([]byte, 8*kib)}
	resident := func() uint64 {
		status := ParseStatus(k.read("/proc/self/status"))
		return status.Rss + status.Swap
	}
	usage := resident
	if group.Version != 0 && uint64(budget.Limit) == group.Limit() {
		usage = func() uint64 {
			c := readCgroup(k)
			return c.WorkingSet()
		}
	}
	return newGuard(uint64(budget.ShedAbove), usage, resident, working, trim, exhausted)
}

func newGuard(shedAbove uint64, usage, resident func() uint64, working func() bool, trim, exhausted func()) *Guard {
	return &Guard{shedAbove: shedAbove, usage: usage, resident: resident, working: working, trim: trim, exhausted: exhausted,
		traffic: make(chan struct{}, 1), interval: guardInterval, quiet: guardQuiet, patience: guardPatience, now: time.Now}
}

// Short says that the limit is near: requests should be answered busy. Call it for each request; it never blocks.
func (g *Guard) Short() bool {
	select {
	case g.traffic <- struct{}{}:
	default:
	}
	return g.short.Load()
}

// Settle gives memory back: once what is needed only to start has been done, and after bursts.
func (g *Guard) Settle() {
	g.trim()
	g.read()
	g.rest.Store(g.resident())
}

// Run watches until the context ends.
func (g *Guard) Run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-g.traffic:
		}
		peak := g.watch(ctx)
		if ctx.Err() == nil && peak > g.rest.Load()+guardSlack {
			g.Settle()
		}
	}
}

// read takes one reading. What is short stays so until a sixteenth of the limit is free again.
func (g *Guard) read() {
	bound := g.shedAbove
	if g.short.Load() {
		bound -= bound / 16
	}
	g.short.Store(g.usage() > bound)
}

// lose patience with memory that stays short.
func (g *Guard) lose() {
	switch {
	case g.since.IsZero():
		g.since = g.now()
	case g.now().Sub(g.since) > g.patience:
		g.since = time.Time{}
		g.exhausted()
	}
}

// watch reads until traffic has paused for long enough, and returns the most that was resident.
func (g *Guard) watch(ctx context.Context) (peak uint64) {
	quiet := time.Duration(0)
	timer := time.NewTimer(g.interval)
	defer timer.Stop()
	for quiet < g.quiet {
		g.read()
		peak = max(peak, g.resident())
		if g.short.Load() {
			g.trim()
			g.lose()
		} else {
			g.since = time.Time{}
		}
		timer.Reset(g.interval)
		select {
		case <-ctx.Done():
			return peak
		case <-timer.C:
		}
		quiet += g.interval
		select {
		case <-g.traffic:
			quiet = 0
		default:
			if g.working() {
				quiet = 0
			}
		}
	}
	return peak
}

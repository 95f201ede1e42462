package batcher

import (
	"errors"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// threads runs batches on goroutines locked to threads of their own, while the serving loop
// goes on admitting and answering. Batches go out by one channel and come back by another.
// Where full batches wait, each thread has a second one ready: the way from one batch to the
// next through the loop costs a model of 5 ms 5 % of its time.
type threads struct {
	clock   func() time.Duration
	wake    func()
	out     chan *batch
	back    chan *batch
	spare   []*batch
	away    []*batch // in flight, or next
	slots   []slot
	started atomic.Int32
	group   *sync.WaitGroup // of the Batcher: every generation's threads
}

// slot is what one thread is doing, for the watchdog.
type slot struct {
	since atomic.Int64 // start of the call, 0: idle
	_     [56]byte     // a cache line of its own
}

// UseThreads serves with n threads. start runs on each thread and returns its Runner and what
// to call at the end; requests are answered unavailable until the first has started. failed
// receives the error of a thread that could not start. wake must make the serving loop call
// Step soon, from any goroutine. Where another dispatcher serves already it goes on until the
// first new thread has started, and finishes what it has.
func (b *Batcher) UseThreads(n int, clock func() time.Duration, wake func(),
	start func(i int) (Runner, func(), error), failed func(error)) {
	t := b.newThreads(n, clock, wake, start, failed)
	if b.runs == nil {
		b.setDispatcher(t)
		return
	}
	if b.next != nil {
		b.retiring = append(b.retiring, b.next)
	}
	b.next = t
}

func (b *Batcher) newThreads(n int, clock func() time.Duration, wake func(),
	start func(i int) (Runner, func(), error), failed func(error)) *threads {
	useProcessors(n + 2)
	t := &threads{clock: clock, wake: wake, out: make(chan *batch, n), back: make(chan *batch, 2*n), slots: make([]slot, n), group: &b.threads}
	for i := range n {
		t.spare = append(t.spare, &batch{}, &batch{})
		t.group.Add(1)
		go t.thread(&t.slots[i], func() (Runner, func(), error) { return start(i) }, failed)
	}
	return t
}

// useProcessors lets at least n goroutines run, unless the environment says how many. A thread in a call into Python keeps its
// processor until Go's monitor takes it away, up to 10 ms later: the loop and its helpers need ones of their own. On two
// cores that takes the throughput of two interpreters with a model of 5 ms from 1.7 to 1.9 times that of one.
func useProcessors(n int) {
	if os.Getenv("GOMAXPROCS") == "" && runtime.GOMAXPROCS(0) < n {
		runtime.GOMAXPROCS(n)
	}
}

// StopThreads ends every thread and waits for it. Call it when drained.
func (b *Batcher) StopThreads() {
	for _, t := range b.allThreads() {
		close(t.out)
	}
	b.threads.Wait()
	b.runs, b.next, b.retiring = nil, nil, nil
}

func (t *threads) thread(s *slot, start func() (Runner, func(), error), failed func(error)) {
	runtime.LockOSThread()
	defer t.group.Done()
	runner, stop, err := start()
	if err != nil {
		failed(err)
		return
	}
	if stop != nil {
		defer stop()
	}
	t.started.Add(1)
	t.wake()
	for p := range t.out {
		s.since.Store(int64(t.clock()))
		p.run(runner, t.clock)
		s.since.Store(0)
		t.back <- p
		t.wake()
	}
}

func (t *threads) ready() bool { return t.started.Load() > 0 }
func (t *threads) idle() bool  { return len(t.away) == 0 }

func (t *threads) oldest() time.Duration {
	var oldest time.Duration
	for i := range t.slots {
		if since := time.Duration(t.slots[i].since.Load()); since > 0 && (oldest == 0 || since < oldest) {
			oldest = since
		}
	}
	return oldest
}

// gather collects the batches that have come back.
func (t *threads) gather(b *Batcher, now time.Duration) {
	for {
		select {
		case p := <-t.back:
			t.away = slices.DeleteFunc(t.away, func(q *batch) bool { return q == p })
			b.collect(p, now)
			t.spare = append(t.spare, p)
		default:
			return
		}
	}
}

func (t *threads) step(b *Batcher, now time.Duration) {
	t.gather(b, now)
	if !t.due(b, now) {
		return
	}
	for {
		size := t.share(b)
		if size == 0 {
			return
		}
		if !t.send(b, now, size) {
			return
		}
	}
}

// send hands out a batch of at most size reviews, unless none waits. A batch must be spare.
func (t *threads) send(b *Batcher, now time.Duration, size int) bool {
	p := t.spare[len(t.spare)-1]
	b.form(p, now, size, 0)
	if len(p.texts) == 0 {
		return false
	}
	t.spare = t.spare[:len(t.spare)-1]
	t.away = append(t.away, p)
	t.out <- p // it has room for a batch of each thread
	return true
}

// share is how many reviews the next batch should have, 0 where none can leave: what waits is
// split between the idle threads, for a thread without work costs more than a smaller batch
// saves; for threads that have work there are only full batches, which nothing can be added to.
func (t *threads) share(b *Batcher) int {
	idle := int(t.started.Load()) - len(t.away)
	switch {
	case idle > 0:
		n := (int(b.queue.reviews) + idle - 1) / idle
		return min(max(n, 1), b.options.MaxBatchSize)
	case t.full(b) && idle+int(t.started.Load()) > 0:
		return b.options.MaxBatchSize
	}
	return 0
}

func (t *threads) full(b *Batcher) bool { return b.queue.reviews >= int64(b.options.MaxBatchSize) }

// due says whether a batch should leave now: it is full, or its oldest review has waited.
func (t *threads) due(b *Batcher, now time.Duration) bool {
	switch {
	case b.canary != nil:
		return true
	case b.queue.reviews == 0:
		return false
	case t.full(b) || b.draining:
		return true
	}
	return now >= b.queue.oldest()+b.options.MaxQueueDelay
}

func (t *threads) wait(b *Batcher, now time.Duration) time.Duration {
	switch {
	case t.share(b) == 0 || b.queue.reviews == 0 && b.canary == nil:
		return -1
	case t.due(b, now):
		return 0
	}
	return max(0, b.queue.oldest()+b.options.MaxQueueDelay-now)
}

// errHung is what requests in flight are told when a call does not return.
var errHung = errors.New("the call into Python did not return in time")

package batcher

import (
	"slices"
	"time"
)

// Step runs or hands out one batch and collects what has come back. Replies are then to be
// flushed.
func (b *Batcher) Step(now time.Duration) {
	if b.next != nil && b.next.ready() {
		b.setDispatcher(b.next)
		b.next = nil
	}
	for i := 0; i < len(b.retiring); i++ {
		if t := b.retiring[i]; !t.retired(b, now) {
			continue
		}
		b.retiring = append(b.retiring[:i], b.retiring[i+1:]...)
		i--
	}
	b.Counters.QueueReviews.Set(b.queue.reviews)
	b.Counters.HeldBytes.Set(b.held)
	if b.runs != nil {
		b.runs.step(b, now)
	}
}

// Wait is how long the serving loop may sleep before it must call Step; negative: until
// something arrives or wake is called.
func (b *Batcher) Wait(now time.Duration) time.Duration {
	if b.runs == nil {
		return -1
	}
	return b.runs.wait(b, now)
}

// Running returns when the longest call now under way began, 0 when none is. Safe from any
// goroutine: the watchdog uses it.
func (b *Batcher) Running() time.Duration {
	if runs := b.watched.Load(); runs != nil {
		return (*runs).oldest()
	}
	return 0
}

// setDispatcher lets runs take over between two batches.
func (b *Batcher) setDispatcher(runs dispatcher) {
	if t := b.serving(); t != nil {
		b.retiring = append(b.retiring, t)
	}
	b.runs = runs
	b.watched.Store(&runs)
}

// serving returns the threads of what serves now: nil where there are none.
func (b *Batcher) serving() *threads {
	switch runs := b.runs.(type) {
	case *threads:
		return runs
	case *inline:
		return runs.helper.Load()
	}
	return nil
}

func (b *Batcher) allThreads() []*threads {
	all := slices.Clone(b.retiring)
	for _, t := range []*threads{b.next, b.serving()} {
		if t != nil {
			all = append(all, t)
		}
	}
	return all
}

// retired collects from threads that were replaced, and ends them once they have nothing left.
func (t *threads) retired(b *Batcher, now time.Duration) bool {
	t.gather(b, now)
	if !t.idle() {
		return false
	}
	close(t.out)
	return true
}

// FailAll answers everything that was admitted, waiting or in flight, with internal: the
// last thing a serving loop does when a call into Python hangs on another thread.
func (b *Batcher) FailAll(now time.Duration) {
	b.draining = true
	for {
		r, _ := b.queue.next()
		if r == nil {
			break
		}
		b.queue.drop(r)
		r.fault = asError(errHung)
		b.finish(r, now)
	}
	for _, t := range b.allThreads() {
		for _, p := range t.away {
			for i := range p.parts {
				r := p.parts[i].request
				r.fault = asError(errHung)
				b.finish(r, now)
			}
		}
	}
}

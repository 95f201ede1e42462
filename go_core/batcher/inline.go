package batcher

import (
	"sync/atomic"
	"time"
)

// dispatcher is how batches reach a Runner.
type dispatcher interface {
	ready() bool
	idle() bool // nothing in flight
	// step hands out what can run now and collects what has come back.
	step(b *Batcher, now time.Duration)
	// wait is how long the serving loop may sleep; negative: until something arrives.
	wait(b *Batcher, now time.Duration) time.Duration
	// oldest is when the longest running call began, on the batcher's clock; 0: none.
	oldest() time.Duration
}

// inline runs batches to completion on the serving goroutine: no hand-off, no timer, a batch
// is what arrived while the last one ran.
type inline struct {
	runner Runner
	batch  batch
	clock  func() time.Duration
	since  atomic.Int64
}

// UseInline serves with runner on the serving goroutine itself, from the next batch on.
func (b *Batcher) UseInline(runner Runner, clock func() time.Duration) {
	if in, ok := b.runs.(*inline); ok {
		in.runner = runner
		return
	}
	b.setDispatcher(&inline{runner: runner, clock: clock})
}

func (in *inline) ready() bool           { return true }
func (in *inline) idle() bool            { return true }
func (in *inline) oldest() time.Duration { return time.Duration(in.since.Load()) }

func (in *inline) wait(b *Batcher, _ time.Duration) time.Duration {
	if b.queue.reviews > 0 || b.canary != nil {
		return 0
	}
	return -1
}

func (in *inline) step(b *Batcher, now time.Duration) {
	b.form(&in.batch, now, b.options.MaxBatchSize, b.options.MaxBatchTime)
	if len(in.batch.texts) == 0 {
		return
	}
	in.since.Store(int64(now))
	in.batch.run(in.runner, in.clock)
	in.since.Store(0)
	b.collect(&in.batch, now+in.batch.took)
}

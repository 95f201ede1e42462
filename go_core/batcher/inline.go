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
// is what arrived while the last one ran. Where it may have a helper, a thread that runs full
// batches beside it, that is started once two of them are left waiting.
type inline struct {
	runner Runner
	batch  batch
	clock  func() time.Duration
	since  atomic.Int64
	start  func() *threads // nil: no helper
	helper atomic.Pointer[threads]
}

// UseInline serves with runner on the serving goroutine itself, from the next batch on, without a helper.
func (b *Batcher) UseInline(runner Runner, clock func() time.Duration) {
	if in, ok := b.runs.(*inline); ok {
		in.runner, in.start = runner, nil
		if helper := in.helper.Swap(nil); helper != nil {
			b.retiring = append(b.retiring, helper)
		}
		return
	}
	b.setDispatcher(&inline{runner: runner, clock: clock})
}

// AllowHelper lets what UseInline set up have a helper: start and failed as for UseThreads.
func (b *Batcher) AllowHelper(wake func(), start func(i int) (Runner, func(), error), failed func(error)) {
	in := b.runs.(*inline)
	in.start = func() *threads { return b.newThreads(1, in.clock, wake, start, failed) }
}

func (in *inline) ready() bool { return true }

func (in *inline) idle() bool {
	helper := in.helper.Load()
	return helper == nil || helper.idle()
}

func (in *inline) oldest() time.Duration {
	own := time.Duration(in.since.Load())
	if helper := in.helper.Load(); helper != nil {
		if others := helper.oldest(); others > 0 && (own == 0 || others < own) {
			return others
		}
	}
	return own
}

func (in *inline) wait(b *Batcher, _ time.Duration) time.Duration {
	if b.queue.reviews > 0 || b.canary != nil {
		return 0
	}
	return -1
}

func (in *inline) step(b *Batcher, now time.Duration) {
	if helper := in.helper.Load(); helper != nil {
		helper.gather(b, now)
	}
	b.form(&in.batch, now, b.options.MaxBatchSize, b.options.MaxBatchTime)
	if len(in.batch.texts) == 0 {
		return
	}
	in.share(b, now)
	in.since.Store(int64(now))
	in.batch.run(in.runner, in.clock)
	in.since.Store(0)
	b.collect(&in.batch, now+in.batch.took)
}

// share gives the helper full batches of what the serving goroutine's next one, formed already, leaves: of long backlogs,
// which lose nothing behind the batch that the helper still runs, while a client with little to ask would wait for both.
func (in *inline) share(b *Batcher, now time.Duration) {
	enough := func() bool { return b.queue.reviews >= 2*int64(b.options.MaxBatchSize) }
	helper := in.helper.Load()
	switch {
	case helper != nil:
		for helper.ready() && len(helper.spare) > 0 && enough() {
			helper.send(b, now, b.options.MaxBatchSize)
		}
	case in.start != nil && enough():
		in.helper.Store(in.start())
	}
}

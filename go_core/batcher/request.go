package batcher

import (
	"time"

	"edged/protocol"
)

// request is one admitted request. Its buffers are its own and are used again.
type request struct {
	protocol.Request
	client   *client
	envelope []byte
	body     []byte // Texts and ID are parts of it
	arrived  time.Duration
	due      time.Duration // 0: no deadline
	results  []protocol.Result
	taken    int // reviews handed to batches
	done     int // reviews that came back
	fault    *protocol.Error
	answered bool
	queued   bool  // still among its client's waiting requests
	bytes    int64 // what it costs the byte budget
	canary   func(protocol.Result, error)
}

// Overheads of a request beyond its bytes on 64-bit, rounded up: the struct with its place in
// the client's queue, and a slice header plus a result for each review.
const (
	requestOverhead = 320
	reviewOverhead  = 24 + 40
)

func (r *request) cost() int64 {
	return int64(len(r.body)+len(r.envelope)+requestOverhead) + int64(len(r.Texts))*reviewOverhead
}

func (r *request) expectResults() {
	n := len(r.Texts)
	if cap(r.results) < n {
		r.results = make([]protocol.Result, n)
	}
	r.results = r.results[:n]
}

// finish answers a request all of whose reviews have come back, or one that failed, and
// returns its share of the budget. Parts that are still in flight come back to nothing.
func (b *Batcher) finish(r *request, now time.Duration) {
	if !r.answered {
		r.answered = true
		if r.canary != nil {
			r.finishCanary()
		} else {
			b.reply(r, now)
		}
	}
	if r.done == r.taken && !r.queued { // one that failed early is met again in the queue
		b.recycle(r)
	}
}

func (r *request) finishCanary() {
	if r.fault != nil {
		r.canary(protocol.Result{}, r.fault)
		return
	}
	r.canary(r.results[0], nil)
}

func (b *Batcher) reply(r *request, now time.Duration) {
	out := b.newReply(r.client.peer, r.envelope)
	if r.fault != nil {
		out.body = protocol.AppendError(out.body, r.ID, r.fault)
		b.countFailure(r.fault.Code)
	} else {
		out.body = protocol.AppendResults(out.body, r.ID, r.Single, r.results)
		b.Counters.Answered.Inc()
		b.Counters.Reviews.Add(uint64(len(r.results)))
	}
	b.push(out)
	b.Counters.Total.Observe(now - r.arrived)
	r.client.held -= r.bytes
	b.held -= r.bytes
}

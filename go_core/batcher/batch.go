package batcher

import (
	"errors"
	"time"

	"edged/protocol"
)

// batch is the reviews of one call to a Runner, with the requests they belong to.
type batch struct {
	texts   [][]byte
	results []protocol.Result
	parts   []part
	bytes   int
	took    time.Duration
	back    time.Duration // when the runner was done
}

// part is a run of reviews of one request within a batch.
type part struct {
	request *request
	first   int // review of the request
	n       int
	fault   error
}

func (p *batch) reset() {
	clear(p.texts)
	clear(p.parts)
	p.texts, p.results, p.parts, p.bytes = p.texts[:0], p.results[:0], p.parts[:0], 0
}

// form fills p with the reviews whose turn it is: at most size of them. Requests past their deadline are answered instead.
// Where long is not 0, p holds no more than are predicted to run for so long, and a client that has nothing left waiting
// does not wait for another's backlog: from then on p takes no more than a quantum of any.
func (b *Batcher) form(p *batch, now time.Duration, size int, long time.Duration) {
	b.queue.batches++
	served := false
	if b.canary != nil {
		r := b.canary
		b.canary = nil
		r.taken = 1
		p.add(r, 0, 1)
	}
	for len(p.texts) < size {
		r, n := b.queue.next()
		if r == nil {
			break
		}
		if r.answered || r.due > 0 && now > r.due {
			b.expire(r, now)
			continue
		}
		if served && long > 0 {
			n = min(n, b.queue.unspent(r.client))
		}
		if n = b.fitting(p, r, min(n, size-len(p.texts)), long); n == 0 {
			break
		}
		if r.taken == 0 {
			b.Counters.Queue.Observe(now - r.arrived)
		}
		p.add(r, r.taken, n)
		b.queue.take(r, n)
		served = served || !r.client.active
	}
	if cap(p.results) < len(p.texts) {
		p.results = make([]protocol.Result, len(p.texts), b.options.MaxBatchSize+1)
	}
	p.results = p.results[:len(p.texts)]
}

// fitting cuts n to the reviews that are predicted to fit; the first always does.
func (b *Batcher) fitting(p *batch, r *request, n int, long time.Duration) int {
	if long == 0 {
		return n
	}
	bytes := p.bytes
	for i := range n {
		bytes += len(r.Texts[r.taken+i])
		reviews := len(p.texts) + i + 1
		if reviews > 1 && b.rate.predict(reviews, bytes) > long {
			return i
		}
	}
	return n
}

func (p *batch) add(r *request, first, n int) {
	p.parts = append(p.parts, part{request: r, first: first, n: n})
	for _, text := range r.Texts[first : first+n] {
		p.texts = append(p.texts, text)
		p.bytes += len(text)
	}
}

// expire takes a request out of the queue that is past its deadline or has failed.
func (b *Batcher) expire(r *request, now time.Duration) {
	b.queue.drop(r)
	if !r.answered {
		r.fault = &protocol.Error{Code: protocol.Deadline, Message: "the deadline passed before the review was classified",
			Hint: "send fewer reviews at once, or allow more with deadline_ms"}
	}
	b.finish(r, now)
}

// run calls the runner. When a batch of several requests fails, each is run alone: one
// client's review must not cost another its answer.
func (p *batch) run(runner Runner, clock func() time.Duration) {
	start := clock()
	fault := runner.Run(p.texts, p.results)
	if fault != nil && len(p.parts) > 1 {
		at := 0
		for i := range p.parts {
			end := at + p.parts[i].n
			p.parts[i].fault = runner.Run(p.texts[at:end], p.results[at:end])
			at = end
		}
	} else if fault != nil {
		p.parts[0].fault = fault
	}
	p.back = clock()
	p.took = p.back - start
}

// collect gives results back to their requests and answers those that are complete. Then p is empty: kept texts would keep
// megabytes of requests in memory.
func (b *Batcher) collect(p *batch, now time.Duration) {
	b.Counters.Batches.Inc()
	b.Counters.BatchSize.Record(uint64(len(p.texts)))
	b.Counters.Run.Observe(p.took)
	b.rate.observe(len(p.texts), p.bytes, p.took)
	if b.back == 0 {
		b.back = p.back
	}
	at := 0
	for i := range p.parts {
		part := &p.parts[i]
		r := part.request
		copy(r.results[part.first:part.first+part.n], p.results[at:at+part.n])
		at += part.n
		r.done += part.n
		if part.fault != nil && r.fault == nil {
			r.fault = asError(part.fault)
		}
		if r.fault != nil || r.done == len(r.Texts) {
			b.finish(r, now)
		}
	}
	p.reset()
}

// asError keeps what is meant for the client; the rest is in the log, not on the wire.
func asError(err error) *protocol.Error {
	var fault *protocol.Error
	if errors.As(err, &fault) {
		return fault
	}
	return &protocol.Error{Code: protocol.Internal, Message: "the daemon failed on this request",
		Hint: "the daemon's log has the reason; the same request may work again"}
}

// Package batcher decides what is admitted, when it runs and with what: budgets in reviews and
// bytes, in all and per client; deficit round-robin between clients; batches bounded in reviews
// and in predicted time; drain. It knows neither sockets nor Python.
//
// A Batcher belongs to one goroutine, the serving loop; only Counters and Running may be read
// from others. Times are durations since an arbitrary start, on the monotonic clock.
package batcher

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"edged/counters"
	"edged/protocol"
)

// Options bounds what is admitted and how batches are formed.
type Options struct {
	MaxBatchSize  int           // reviews
	MaxBatchTime  time.Duration // predicted
	MaxQueueDelay time.Duration // threads only

	QueueReviews   int64 // waiting, in all
	QueueBytes     int64 // requests and unread replies, in all
	ClientReviews  int64
	ClientBytes    int64
	MaxReviews     int // per request
	MaxReviewBytes int

	// Short says that the memory limit is near; nil: never.
	Short func() bool
	// Refused hears of every request that is answered with an error at once; nil: nobody does.
	Refused func(code protocol.Code)
	// Answer returns the JSON object that answers stats, health or info.
	Answer func(op protocol.Op) []byte
}

// Runner classifies texts into results, both of the same length. A *protocol.Error is sent
// as it is, any other error as internal. A Runner is called by one goroutine at a time.
type Runner interface {
	Run(texts [][]byte, results []protocol.Result) error
}

// Counters is what a Batcher counts. Safe to read from any goroutine.
type Counters struct {
	Requests  counters.Counter // read from the socket, of any kind
	Admitted  counters.Counter // classify requests that were admitted
	Reviews   counters.Counter // classified
	Answered  counters.Counter // replies without error
	Failed    [len(protocol.Codes)]counters.Counter
	Batches   counters.Counter
	BatchSize counters.Histogram // reviews
	Queue     counters.Histogram // admission to batch
	Run       counters.Histogram // one batch, features and inference
	Reply     counters.Histogram // a batch's results to its replies' being sent
	Total     counters.Histogram // admission to reply

	QueueReviews counters.Gauge // waiting, as Step left them
	HeldBytes    counters.Gauge // of requests and of replies that peers have not taken
}

// Batcher is the admission queue and what forms batches from it.
type Batcher struct {
	Counters Counters

	options  Options
	runs     dispatcher // nil: no model yet
	next     *threads   // takes over once one of its threads has started
	retiring []*threads // finish what they have, then end
	watched  atomic.Pointer[dispatcher]
	threads  sync.WaitGroup
	queue    queue
	rate     rate
	held     int64 // bytes of requests and of replies that peers have not taken
	draining bool
	canary   *request
	replies  []reply
	back     time.Duration // when the first batch came back whose replies have not been sent; 0: none
	spare    spare
}

// New returns a Batcher that has no model yet: requests are answered unavailable until
// UseInline or UseThreads.
func New(options Options) *Batcher {
	b := &Batcher{options: options}
	b.queue.init()
	return b
}

// SetOptions changes the bounds for what comes from now on.
func (b *Batcher) SetOptions(options Options) { b.options = options }

// Receive takes one request: it is admitted, or answered at once. It never blocks and keeps
// no reference to its arguments. peer is the routing id, envelope whatever must come back
// with the reply; a refusal, if any, is answered in place of the request's own answer.
func (b *Batcher) Receive(now time.Duration, peer, envelope, body []byte, refusal *protocol.Error) {
	b.Counters.Requests.Inc()
	r := b.newRequest()
	r.envelope = append(r.envelope, envelope...)
	r.body = append(r.body, body...)
	r.arrived = now
	fault := r.Parse(r.body)
	if refusal != nil {
		fault = refusal
	}
	if fault == nil && r.Op != protocol.OpClassify {
		b.answer(r, peer)
		return
	}
	if fault == nil {
		fault = b.admit(r, peer)
	}
	if fault != nil {
		b.refuse(r, peer, fault)
	}
}

func (b *Batcher) answer(r *request, peer []byte) {
	out := b.newReply(peer, r.envelope)
	out.body = protocol.AppendObject(out.body, r.ID, r.Op, b.options.Answer(r.Op))
	b.push(out)
	b.Counters.Answered.Inc()
	b.recycle(r)
}

func (b *Batcher) refuse(r *request, peer []byte, fault *protocol.Error) {
	out := b.newReply(peer, r.envelope)
	out.body = protocol.AppendError(out.body, r.ID, fault)
	b.push(out)
	if b.options.Refused != nil {
		b.options.Refused(fault.Code)
	}
	b.countFailure(fault.Code)
	b.recycle(r)
}

func (b *Batcher) countFailure(code protocol.Code) {
	for i, known := range protocol.Codes {
		if code == known {
			b.Counters.Failed[i].Inc()
		}
	}
}

// admit puts r into its client's queue, or says why not.
func (b *Batcher) admit(r *request, peer []byte) *protocol.Error {
	if fault := b.tooLarge(r); fault != nil {
		return fault
	}
	if fault := b.notNow(); fault != nil {
		return fault
	}
	reviews := int64(len(r.Texts))
	r.bytes = r.cost()
	if short := b.options.Short; short != nil && short() {
		return b.busy("memory is nearly used up", b.queue.reviews)
	}
	if o := &b.options; b.queue.reviews+reviews > o.QueueReviews || b.held+r.bytes > o.QueueBytes {
		return b.busy("the queue is full", b.queue.reviews)
	}
	c := b.queue.client(peer)
	if c.reviews+reviews > b.options.ClientReviews || c.held+r.bytes > b.options.ClientBytes {
		return b.busy("this client's share of the queue is full", c.reviews)
	}
	r.client = c
	if r.DeadlineMS > 0 {
		r.due = r.arrived + time.Duration(r.DeadlineMS)*time.Millisecond
	}
	r.expectResults()
	c.held += r.bytes
	b.held += r.bytes
	b.Counters.Admitted.Inc()
	if reviews == 0 {
		b.finish(r, r.arrived)
		return nil
	}
	b.queue.push(r)
	return nil
}

func (b *Batcher) tooLarge(r *request) *protocol.Error {
	o := &b.options
	if len(r.Texts) > o.MaxReviews {
		return &protocol.Error{Code: protocol.TooLarge,
			Message: fmt.Sprintf("%d reviews in one request; at most %d are allowed", len(r.Texts), o.MaxReviews),
			Hint:    "split the request; max_reviews in the daemon's configuration sets the limit"}
	}
	for i, text := range r.Texts {
		if len(text) > o.MaxReviewBytes {
			return &protocol.Error{Code: protocol.TooLarge,
				Message: fmt.Sprintf("review %d is %d bytes long; at most %d are allowed", i, len(text), o.MaxReviewBytes),
				Hint:    "shorten the review; max_review_bytes in the daemon's configuration sets the limit"}
		}
	}
	return nil
}

func (b *Batcher) notNow() *protocol.Error {
	switch {
	case b.draining:
		return &protocol.Error{Code: protocol.Draining, Message: "the daemon is stopping",
			Hint: "send the request again with the same id once it is back", RetryAfterMS: retryWhenGone}
	case b.runs == nil || !b.runs.ready():
		return &protocol.Error{Code: protocol.Unavailable, Message: "no model is loaded yet",
			Hint: "try again in a moment; the daemon's log says what it waits for", RetryAfterMS: retryWhenGone}
	}
	return nil
}

// retryWhenGone is what clients are told to wait, in ms, when nothing can be measured: about
// the time of a restart.
const retryWhenGone = 500

func (b *Batcher) busy(what string, ahead int64) *protocol.Error {
	return &protocol.Error{Code: protocol.Busy, Message: what,
		Hint: "wait retry_after_ms, then send the request again with the same id", RetryAfterMS: b.rate.retryAfterMS(ahead)}
}

// Full says that no more may be read: unread replies and requests have reached the byte budget.
func (b *Batcher) Full() bool { return b.held > b.options.QueueBytes }

// Hold counts the bytes of a reply that its peer has not taken yet; Release ends that.
func (b *Batcher) Hold(peer []byte, n int64) {
	b.queue.client(peer).held += n
	b.held += n
}

// Release undoes Hold.
func (b *Batcher) Release(peer []byte, n int64) {
	b.queue.client(peer).held -= n
	b.held -= n
}

// Drain stops admission: whatever comes now is answered draining. Drained says that all that
// was admitted has been answered.
func (b *Batcher) Drain() { b.draining = true }

// Drained says that nothing admitted is left.
func (b *Batcher) Drained() bool {
	return b.queue.reviews == 0 && b.canary == nil && len(b.retiring) == 0 && (b.runs == nil || b.runs.idle())
}

// Waiting returns the reviews in the queue and the bytes held for requests and unread replies.
func (b *Batcher) Waiting() (reviews, bytes int64) { return b.queue.reviews, b.held }

// Canary puts a review at the head of the queue, before every client and whatever the budget;
// done receives its outcome on the serving goroutine. Without a model done is called at once.
func (b *Batcher) Canary(now time.Duration, text string, done func(protocol.Result, error)) {
	if fault := b.notNow(); fault != nil && !b.draining {
		done(protocol.Result{}, fault)
		return
	}
	r := b.newRequest()
	r.arrived = now
	r.Texts = append(r.Texts, []byte(text))
	r.expectResults()
	r.canary = done
	b.canary = r
}

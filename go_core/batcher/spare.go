package batcher

import (
	"time"

	"edged/protocol"
)

// reply is one answer on its way to the socket.
type reply struct{ peer, envelope, body []byte }

// spare holds requests and replies for reuse, so that the hot path allocates nothing. It is
// bounded in bytes: what a burst needed must not stay in memory.
type spare struct {
	requests     []*request
	replies      []reply
	requestBytes int
	replyBytes   int
}

const (
	spareRequestBytes = 1 << 20
	spareReplyBytes   = 256 << 10
)

func (r *request) capacity() int {
	return requestOverhead + cap(r.body) + cap(r.envelope) + cap(r.Texts)*24 + cap(r.results)*40
}

func (r *reply) capacity() int { return cap(r.peer) + cap(r.envelope) + cap(r.body) + 72 }

func (b *Batcher) newRequest() *request {
	s := &b.spare
	n := len(s.requests)
	if n == 0 {
		return &request{}
	}
	r := s.requests[n-1]
	s.requests = s.requests[:n-1]
	s.requestBytes -= r.capacity()
	return r
}

// Trim forgets what is kept for reuse: a burst is over, and nothing like it may come again.
func (b *Batcher) Trim() {
	b.spare = spare{}
	b.queue.sweep()
}

// recycle takes back a request that nothing points to any more.
func (b *Batcher) recycle(r *request) {
	s := &b.spare
	if s.requestBytes+r.capacity() > spareRequestBytes {
		return
	}
	clear(r.results)
	*r = request{
		envelope: r.envelope[:0], body: r.body[:0], results: r.results[:0],
		Request: protocol.Request{Texts: r.Texts[:0]},
	}
	s.requestBytes += r.capacity()
	s.requests = append(s.requests, r)
}

func (b *Batcher) newReply(peer, envelope []byte) reply {
	var out reply
	s := &b.spare
	if n := len(s.replies); n > 0 {
		out = s.replies[n-1]
		s.replies = s.replies[:n-1]
		s.replyBytes -= out.capacity()
	}
	out.peer = append(out.peer[:0], peer...)
	out.envelope = append(out.envelope[:0], envelope...)
	out.body = out.body[:0]
	return out
}

func (b *Batcher) push(out reply) { b.replies = append(b.replies, out) }

// Flush hands every waiting reply to send, in order, and returns how many there were. send
// must not keep its arguments; clock tells when they are gone.
func (b *Batcher) Flush(clock func() time.Duration, send func(peer, envelope, body []byte)) int {
	s := &b.spare
	for i := range b.replies {
		out := b.replies[i]
		b.replies[i] = reply{}
		send(out.peer, out.envelope, out.body)
		if s.replyBytes+out.capacity() <= spareReplyBytes {
			s.replyBytes += out.capacity()
			s.replies = append(s.replies, out)
		}
	}
	sent := len(b.replies)
	b.replies = b.replies[:0]
	if b.back != 0 && sent > 0 {
		b.Counters.Reply.Observe(clock() - b.back)
	}
	b.back = 0
	return sent
}

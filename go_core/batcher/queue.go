package batcher

import "time"

// client is one peer with requests waiting or bytes held.
type client struct {
	peer    []byte
	waiting []*request // FIFO; head is the first not yet taken
	head    int
	deficit int   // reviews it may still take in this round
	reviews int64 // waiting
	held    int64 // bytes of its requests and unread replies
	active  bool

	batch uint64 // the last that took of its reviews
	taken int    // by that batch
}

// queue holds the clients and serves them by deficit round-robin (Shreedhar and Varghese,
// SIGCOMM 1995), counted in reviews: a client with long requests gets no more than its share.
type queue struct {
	clients map[string]*client
	ring    []*client // active clients; ring[turn] is next
	turn    int
	reviews int64  // waiting, in all
	batches uint64 // formed
}

// quantum is what a client may take in its turn. Small enough that a batch of 64 has room
// for several clients, large enough that a request of a few reviews stays together.
const quantum = 8

func (q *queue) init() { q.clients = map[string]*client{} }

// client finds or makes the entry of a peer. Entries are kept when they fall idle, so that a
// client in lockstep costs no allocation, and swept when too many have gathered.
func (q *queue) client(peer []byte) *client {
	if c := q.clients[string(peer)]; c != nil {
		return c
	}
	if len(q.clients) >= sweepAt {
		q.sweep()
	}
	c := &client{peer: append([]byte(nil), peer...)}
	q.clients[string(c.peer)] = c
	return c
}

// sweepAt clients are about 100 KiB.
const sweepAt = 512

// sweep forgets idle clients.
func (q *queue) sweep() {
	for name, c := range q.clients {
		if !c.active && c.held == 0 {
			delete(q.clients, name)
		}
	}
}

func (q *queue) push(r *request) {
	c := r.client
	r.queued = true
	c.waiting = append(c.waiting, r)
	c.reviews += int64(len(r.Texts))
	q.reviews += int64(len(r.Texts))
	if !c.active {
		c.active, c.deficit = true, quantum
		q.ring = append(q.ring, c)
	}
}

// next returns the request whose turn it is and how many of its reviews may be taken, nil
// when nothing waits.
func (q *queue) next() (*request, int) {
	if len(q.ring) == 0 {
		return nil, 0
	}
	q.turn %= len(q.ring)
	c := q.ring[q.turn]
	for c.deficit <= 0 {
		c.deficit += quantum
		q.turn = (q.turn + 1) % len(q.ring)
		c = q.ring[q.turn]
	}
	r := c.waiting[c.head]
	left := len(r.Texts) - r.taken
	if len(q.ring) == 1 {
		return r, left
	}
	return r, min(c.deficit, left)
}

// take counts n reviews of r as taken; the request leaves the queue with its last review.
// A client alone in the queue takes nothing from anybody and uses up no deficit.
func (q *queue) take(r *request, n int) {
	c := r.client
	r.taken += n
	c.reviews -= int64(n)
	q.reviews -= int64(n)
	if c.batch != q.batches {
		c.batch, c.taken = q.batches, 0
	}
	c.taken += n
	if len(q.ring) > 1 {
		c.deficit -= n
	}
	if r.taken == len(r.Texts) {
		q.pop(c)
	}
}

// unspent is what c may still take of the batch being formed until it has had a quantum of it.
func (q *queue) unspent(c *client) int {
	if c.batch != q.batches {
		return quantum
	}
	return max(0, quantum-c.taken)
}

// drop removes the request at the head of its client's queue, with the reviews not yet taken.
func (q *queue) drop(r *request) {
	left := int64(len(r.Texts) - r.taken)
	r.client.reviews -= left
	q.reviews -= left
	q.pop(r.client)
}

func (q *queue) pop(c *client) {
	c.waiting[c.head].queued = false
	c.waiting[c.head] = nil
	c.head++
	if c.head < len(c.waiting) {
		if c.head > 64 && c.head*2 > len(c.waiting) {
			n := copy(c.waiting, c.waiting[c.head:])
			clear(c.waiting[n:])
			c.waiting, c.head = c.waiting[:n], 0
		}
		return
	}
	c.waiting, c.head, c.active = c.waiting[:0], 0, false
	q.ring = append(q.ring[:q.turn], q.ring[q.turn+1:]...)
}

// oldest is when the longest waiting request arrived; the queue must not be empty.
func (q *queue) oldest() time.Duration {
	oldest := time.Duration(1<<63 - 1)
	for _, c := range q.ring {
		oldest = min(oldest, c.waiting[c.head].arrived)
	}
	return oldest
}

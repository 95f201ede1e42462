package gateway

import "time"

// outbox holds the replies that one peer has not taken yet, because it is at its high-water
// mark, in order.
type outbox struct {
	replies  []held
	bytes    int64
	progress time.Duration // when the peer last took something
}

type held struct{ envelope, body []byte }

func (h *held) size() int64 { return int64(len(h.envelope)+len(h.body)) + heldOverhead }

const heldOverhead = 96 // the struct and the rounding of two allocations

// retryEvery is how often full peers are tried again: libzmq does not say when a ROUTER's
// peer has room.
const retryEvery = 2 * time.Millisecond

// reply sends, or puts the reply behind those that wait for the same peer.
func (g *Gateway) reply(peer, envelope, body []byte) {
	box := g.outboxes[string(peer)]
	if box == nil {
		if g.sent(g.router.send(peer, envelope, body)) {
			return
		}
		box = &outbox{progress: g.now}
		g.outboxes[string(peer)] = box
	}
	h := held{append([]byte(nil), envelope...), append([]byte(nil), body...)}
	if box.bytes+h.size() > g.options.OutboxBytes {
		g.Counters.DroppedSlow.Inc()
		return
	}
	box.replies = append(box.replies, h)
	box.bytes += h.size()
	g.core.Hold(peer, h.size())
}

// sent counts and says whether the reply is off our hands, for better or worse.
func (g *Gateway) sent(err error) bool {
	switch err {
	case nil:
		g.Counters.Sent.Inc()
		return true
	case errAgain:
		return false
	}
	g.Counters.Unroutable.Inc()
	return true
}

// retry tries every outbox once, and gives up on peers that have not read for SendTimeout. It returns how many replies left.
func (g *Gateway) retry() (sent int) {
	for peer, box := range g.outboxes {
		name := []byte(peer)
		n := 0
		for n < len(box.replies) && g.sent(g.router.send(name, box.replies[n].envelope, box.replies[n].body)) {
			g.core.Release(name, box.replies[n].size())
			box.bytes -= box.replies[n].size()
			box.progress = g.now
			n++
		}
		sent += n
		clear(box.replies[:n])
		box.replies = box.replies[n:]
		if g.now-box.progress > g.options.SendTimeout {
			g.giveUp(name, box)
		}
		if len(box.replies) == 0 {
			delete(g.outboxes, peer)
		}
	}
	return sent
}

func (g *Gateway) giveUp(peer []byte, box *outbox) {
	for i := range box.replies {
		g.core.Release(peer, box.replies[i].size())
		g.Counters.DroppedSlow.Inc()
	}
	g.options.Log.Warn("a client does not read its replies; they were dropped",
		"event", "replies_dropped", "replies", len(box.replies), "waited", g.options.SendTimeout)
	box.replies = nil
}

package gateway

import (
	"time"

	"edged/protocol"
)

// Post runs f on the serving goroutine, between two batches. Safe from any goroutine.
func (g *Gateway) Post(f func()) {
	g.mu.Lock()
	g.posted = append(g.posted, f)
	g.mu.Unlock()
	g.router.wake()
}

// Wake makes the serving loop look at its Core again. Safe from any goroutine.
func (g *Gateway) Wake() { g.router.wake() }

// Drain ends the intake; Serve returns when all that was admitted is answered, or after
// DrainTimeout. Safe from any goroutine.
//
// The endpoints stay bound: zmq_unbind closes the connections made through them as well (libzmq
// 4.3.4, against its documentation), and with them the replies that are still to come.
func (g *Gateway) Drain() {
	g.Post(func() {
		if g.drainUntil != 0 {
			return
		}
		g.drainUntil = max(1, g.options.Clock()+g.options.DrainTimeout)
		g.core.Drain()
	})
}

// Serve runs the serving loop until the drain is over or the ROUTER fails. It reports whether
// everything admitted was answered.
func (g *Gateway) Serve(core Core) (drained bool, err error) {
	g.core = core
	for {
		g.turns.Add(1)
		g.now = g.options.Clock()
		g.runPosted()
		got, err := g.read()
		if err != nil {
			return false, err
		}
		sent := g.retry() // after read, where libzmq learns that a peer has room again
		core.Step(g.now)
		sent += core.Flush(g.options.Clock, g.send)
		if got > 0 || sent > 0 {
			continue
		}
		if g.drainUntil != 0 {
			if drained = core.Drained() && len(g.outboxes) == 0; drained || g.now >= g.drainUntil {
				return drained, nil
			}
		}
		if err := g.sleep(); err != nil {
			return false, err
		}
	}
}

// Turns counts the turns of the serving loop, and wakes it to make the next one: a loop that is alive, idle or
// busy, has turned between two calls that lie apart. Safe from any goroutine.
func (g *Gateway) Turns() uint64 {
	g.Wake()
	return g.turns.Load()
}

func (g *Gateway) runPosted() {
	g.mu.Lock()
	posted := g.posted
	g.posted = nil
	g.mu.Unlock()
	for _, f := range posted {
		f()
	}
}

// read takes what has arrived, a bounded part of it, unless the Core is over its byte budget: then ZeroMQ pushes back on
// the senders.
func (g *Gateway) read() (got int, err error) {
	if g.core.Full() {
		return 0, nil
	}
	return g.router.receive(g.take)
}

func (g *Gateway) receive(m *message) {
	g.Counters.Received.Inc()
	g.core.Receive(g.now, m.peer, m.envelope, m.body, g.refusal(m))
}

var tooManyFrames = &protocol.Error{Code: protocol.BadRequest, Message: "more than 8 frames",
	Hint: "send the JSON object in the last frame, after at most 7 frames of envelope"}

var keyRevoked = &protocol.Error{Code: protocol.Denied, Message: "this client's key was revoked",
	Hint: "ask whoever runs the daemon to allow a key of yours: edgectl keys allow"}

// refusal says why a message is refused before it is parsed, nil where it is not.
func (g *Gateway) refusal(m *message) *protocol.Error {
	if curve := g.options.Curve; curve != nil && !curve.Clients.Allows(m.user) {
		g.options.Log.Warn("request refused: the client's key was revoked while it was connected", "event", "key_denied", "key", m.user)
		return keyRevoked
	}
	if m.frames > maxFrames {
		return tooManyFrames
	}
	return nil
}

// sleep waits for work: a message, a wake-up, the next timer.
func (g *Gateway) sleep() error {
	d := g.core.Wait(g.now)
	sooner := func(at time.Duration) {
		if d < 0 || at < d {
			d = max(0, at)
		}
	}
	if len(g.outboxes) > 0 {
		sooner(retryEvery)
	}
	if g.drainUntil != 0 {
		sooner(g.drainUntil - g.now)
	}
	if d == 0 {
		return nil
	}
	return g.router.wait(d, g.core.Full())
}

package gateway

import (
	"errors"
	"log/slog"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	zmq "github.com/pebbe/zmq4"
)

// controlTick is how long a publication or the end of the daemon may wait; handshakes and events don't.
const controlTick = 250 * time.Millisecond

// control is the gateway's second thread: ZAP handler, socket monitor and statistics publisher.
// It is apart from the serving loop so that a slow batch never blocks a handshake.
type control struct {
	zap        *zap // nil without CURVE
	monitor    *monitor
	publisher  *zmq.Socket // nil without stats_endpoint
	reopen     func() (*zmq.Socket, error)
	revoked    func() uint64 // keys revoked so far
	statistics chan []byte   // what the publisher sends
	quit       chan struct{}
	ended      sync.WaitGroup
	log        *slog.Logger
}

// openControl opens its sockets, before any listener: ZAP must answer the first handshake.
func (g *Gateway) openControl() (err error) {
	o := &g.options
	network := slices.ContainsFunc(o.Passed, func(l Listener) bool { return isTCP(l.Endpoint) }) || slices.ContainsFunc(o.Endpoints, isTCP)
	if o.Curve == nil && o.StatsEndpoint == "" && !network {
		return nil // nothing can fail that nobody would see: spare the thread
	}
	c := &control{revoked: func() uint64 { return 0 }, statistics: make(chan []byte, 1), quit: make(chan struct{}), log: o.Log}
	g.control = c
	if o.Curve != nil {
		if c.zap, err = newZAP(g.context, o.Curve.Clients, o.Log); err != nil {
			return err
		}
	}
	if c.monitor, err = newMonitor(g.context, g.socket, "router", &g.Counters.Handshakes, o.Log); err != nil {
		return err
	}
	if o.StatsEndpoint != "" {
		c.reopen = g.openPublisher
		c.publisher, err = g.openPublisher()
	}
	if o.Curve != nil && isTCP(o.StatsEndpoint) {
		c.revoked = o.Curve.Clients.Revoked
	}
	return err
}

func isTCP(endpoint string) bool { return strings.HasPrefix(endpoint, "tcp://") }

// openPublisher opens the PUB socket. Slow subscribers lose messages: each statistics message replaces the one before.
func (g *Gateway) openPublisher() (*zmq.Socket, error) {
	endpoint := g.options.StatsEndpoint
	socket, err := g.context.NewSocket(zmq.PUB)
	if err != nil {
		return nil, err
	}
	err = errors.Join(socket.SetSndhwm(4), socket.SetLinger(0), socket.SetIpv6(true), g.protect(socket, endpoint), socket.Bind(endpoint))
	if path, ipc := strings.CutPrefix(endpoint, "ipc://"); ipc && err == nil {
		err = os.Chmod(path, 0o660)
	}
	if err != nil {
		return nil, errors.Join(&BindError{endpoint, err}, socket.Close())
	}
	return socket, nil
}

// Publish sends statistics to the subscribers of StatsEndpoint, if there is one. Safe from any goroutine, it never blocks:
// what was not sent yet is replaced.
func (g *Gateway) Publish(statistics []byte) {
	if g.options.StatsEndpoint == "" {
		return
	}
	select {
	case <-g.control.statistics:
	default:
	}
	select {
	case g.control.statistics <- statistics:
	default: // another goroutine was faster
	}
}

func (c *control) start() {
	c.ended.Add(1)
	go func() {
		defer c.ended.Done()
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		c.run()
	}()
}

// stop ends run and closes the sockets.
func (c *control) stop() {
	close(c.quit)
	c.ended.Wait()
	// Close fails only on what is no socket, and an opening that failed half way leaves some out.
	if c.zap != nil {
		_ = c.zap.socket.Close()
	}
	if c.monitor != nil {
		_ = c.monitor.socket.Close()
	}
	if c.publisher != nil {
		_ = c.publisher.Close()
	}
}

// run is the loop of the second thread, until stop.
func (c *control) run() {
	poller := zmq.NewPoller()
	attend := map[*zmq.Socket]func() error{c.monitor.socket: c.monitor.observe}
	if c.zap != nil {
		attend[c.zap.socket] = c.zap.answer
	}
	for socket := range attend {
		poller.Add(socket, zmq.POLLIN)
	}
	for seen := c.revoked(); ; {
		ready, err := poller.Poll(controlTick)
		if err != nil {
			c.log.Error("control loop: cannot poll", "event", "control_failed", "error", err.Error())
			return
		}
		for _, polled := range ready {
			if err := attend[polled.Socket](); err != nil {
				c.log.Warn("control loop", "event", "control_failed", "error", err.Error())
			}
		}
		if now := c.revoked(); now != seen {
			seen = now
			c.dropSubscribers()
		}
		select {
		case <-c.quit:
			return
		case statistics := <-c.statistics:
			c.publish(statistics)
		default:
		}
	}
}

// dropSubscribers closes all subscribers' connections, since libzmq can't close that of the revoked one alone. The
// others connect again by themselves.
func (c *control) dropSubscribers() {
	if c.publisher != nil {
		_ = c.publisher.Close()
		c.publisher = nil
	}
}

func (c *control) publish(statistics []byte) {
	var err error
	if c.publisher == nil {
		c.publisher, err = c.reopen()
	}
	if err == nil {
		_, err = c.publisher.SendMessageDontwait("stats", statistics)
	}
	if err != nil {
		c.log.Warn("statistics not published", "event", "publish_failed", "error", err.Error())
	}
}

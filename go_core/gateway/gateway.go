// Package gateway is the sole owner of the ZeroMQ sockets: the ROUTER that serves, with its
// envelopes, and beside it what must not wait for a batch.
package gateway

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"edged/counters"
	"edged/protocol"

	"github.com/pebbe/zmq4"
)

// Core is what the gateway serves. All methods are called on the serving goroutine.
type Core interface {
	Receive(now time.Duration, peer, envelope, body []byte, refusal *protocol.Error)
	Step(now time.Duration)
	Wait(now time.Duration) time.Duration
	Flush(clock func() time.Duration, send func(peer, envelope, body []byte)) int
	Hold(peer []byte, bytes int64)
	Release(peer []byte, bytes int64)
	Full() bool
	Drain()
	Drained() bool
}

// Options of a Gateway. High-water marks are in messages per peer.
type Options struct {
	Endpoints       []string   // to open and listen on; those of Passed are left out
	Passed          []Listener // by systemd
	Curve           *Curve     // nil: TCP is open to everyone who reaches it
	StatsEndpoint   string     // of the PUB socket; empty: none
	SendHWM         int
	RecvHWM         int
	MaxMessageBytes int64 // per frame; libzmq closes the connection of a peer that exceeds it
	OutboxBytes     int64 // per peer that does not read
	SendTimeout     time.Duration
	DrainTimeout    time.Duration
	Clock           func() time.Duration
	Log             *slog.Logger
}

// Listener is a listening socket that somebody else opened, with the ZeroMQ endpoint it amounts to.
type Listener struct {
	FD       int
	Endpoint string
}

// Curve protects TCP listeners: this server's key pair, and who may connect.
type Curve struct {
	Certificate Certificate
	Clients     *AllowList
}

// Counters is what a Gateway counts. Safe to read from any goroutine.
type Counters struct {
	Handshakes  Handshakes
	Received    counters.Counter
	Sent        counters.Counter
	Unroutable  counters.Counter // replies whose peer was gone
	DroppedSlow counters.Counter // replies whose peer did not read
}

// Gateway owns one context and its sockets.
type Gateway struct {
	Counters Counters

	options  Options
	context  *zmq4.Context
	socket   *zmq4.Socket
	router   *router
	bound    []string
	files    []string // socket files that are ours to remove
	control  *control // nil where there is nothing for it to do
	outboxes map[string]*outbox
	core     Core
	now      time.Duration
	take     func(*message) // receive and reply as values, so that no call allocates one
	send     func(peer, envelope, body []byte)

	drainUntil time.Duration // 0: not draining
	turns      atomic.Uint64
	mu         sync.Mutex
	posted     []func()
}

const (
	errAgain = syscall.EAGAIN
	// Heartbeats find half-open TCP connections; libzmq's default is never.
	heartbeat = 5 * time.Second
	handshake = 5 * time.Second
	// linger is how long the last replies may take to leave after the drain.
	linger = time.Second
)

// BindError is an endpoint that could not be bound.
type BindError struct {
	Endpoint string
	Err      error
}

func (e *BindError) Error() string {
	return fmt.Sprintf("cannot listen on %s: %v\n  remedy: %s", e.Endpoint, e.Err, e.remedy())
}

func (e *BindError) Unwrap() error { return e.Err }

func (e *BindError) remedy() string {
	switch {
	case errors.Is(e.Err, errInUse) || errors.Is(e.Err, syscall.EADDRINUSE) || errors.Is(e.Err, zmq4.Errno(syscall.EADDRINUSE)):
		return "stop the other process, or choose another endpoint"
	case strings.HasPrefix(e.Endpoint, "ipc://"):
		return "the folder must exist and be writable for the daemon's user; under systemd RuntimeDirectory=edged makes it"
	}
	return "the address must be one of this machine's, the port free and above 1023"
}

var errInUse = errors.New("another process serves there")

// Open creates the sockets and binds them. The calling goroutine must be locked to its thread
// and go on to call Serve.
func Open(options Options) (*Gateway, error) {
	g := &Gateway{options: options, outboxes: map[string]*outbox{}}
	g.take, g.send = g.receive, g.reply
	if err := g.open(); err != nil {
		g.Close()
		return nil, err
	}
	return g, nil
}

func (g *Gateway) open() (err error) {
	if g.context, err = zmq4.NewContext(); err != nil {
		return err
	}
	if g.socket, err = g.context.NewSocket(zmq4.ROUTER); err != nil {
		return err
	}
	if err := g.configure(); err != nil {
		return err
	}
	if err := g.openControl(); err != nil {
		return err
	}
	for _, l := range g.options.Passed {
		if err := g.adopt(l); err != nil {
			return &BindError{l.Endpoint, err}
		}
	}
	for _, endpoint := range g.options.Endpoints {
		if slices.Contains(g.bound, endpoint) {
			continue
		}
		if err := g.bind(endpoint); err != nil {
			return &BindError{endpoint, err}
		}
	}
	if g.control != nil {
		g.control.start()
	}
	g.router, err = openRouter(g.socket, g.options.Curve != nil)
	return err
}

func (g *Gateway) configure() error {
	s, o := g.socket, &g.options
	return errors.Join(
		s.SetRouterMandatory(1),
		s.SetSndhwm(o.SendHWM),
		s.SetRcvhwm(o.RecvHWM),
		s.SetMaxmsgsize(o.MaxMessageBytes),
		s.SetHandshakeIvl(handshake),
		s.SetLinger(linger),
		s.SetIpv6(true),
	)
}

// answers says whether somebody accepts connections on a unix socket. (The net package would add a tenth to the binary.)
func answers(path string) bool {
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, 0)
	if err != nil {
		return false
	}
	defer syscall.Close(fd) //nolint:errcheck // nothing was written
	err = syscall.Connect(fd, &syscall.SockaddrUnix{Name: path})
	return err == nil || errors.Is(err, syscall.EAGAIN) // EAGAIN: its backlog is full
}

func (g *Gateway) bind(endpoint string) error {
	path, ipc := strings.CutPrefix(endpoint, "ipc://")
	if ipc {
		// libzmq removes a socket file that is in its way, also that of a running daemon.
		if answers(path) {
			return errInUse
		}
	}
	if err := errors.Join(g.protect(g.socket, endpoint), g.beat(endpoint)); err != nil {
		return err
	}
	if err := g.socket.Bind(endpoint); err != nil {
		return err
	}
	last, err := g.socket.GetLastEndpoint()
	if err != nil {
		return err
	}
	g.bound = append(g.bound, last)
	if ipc {
		g.files = append(g.files, path)
		return os.Chmod(path, 0o660)
	}
	return nil
}

// beat sets the heartbeats of the next Bind. Unix sockets have none: the kernel says at once that a peer is gone, while
// libzmq takes one for gone whose messages wait for room below the high-water mark longer than the heartbeats' timeout.
func (g *Gateway) beat(endpoint string) error {
	interval := heartbeat
	if strings.HasPrefix(endpoint, "ipc://") {
		interval = 0
	}
	return errors.Join(g.socket.SetHeartbeatIvl(interval), g.socket.SetHeartbeatTimeout(3*interval), g.socket.SetHeartbeatTtl(3*interval))
}

// Endpoints returns what was bound, with the ports the system chose.
func (g *Gateway) Endpoints() []string { return g.bound }

// Close closes the sockets and waits for the last replies to leave, for a bounded time.
func (g *Gateway) Close() {
	for _, file := range g.files { // libzmq leaves them; while they go we still listen, so none is a successor's
		_ = os.Remove(file)
	}
	if g.control != nil {
		g.control.stop()
	}
	if g.router != nil {
		g.router.close()
	}
	if g.socket != nil {
		_ = g.socket.Close()
	}
	if g.context != nil {
		_ = g.context.Term()
	}
}

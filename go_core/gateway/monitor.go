package gateway

import (
	"fmt"
	"log/slog"
	"syscall"

	zmq "github.com/pebbe/zmq4"

	"edged/counters"
)

// Handshakes counts how connections to the ROUTER begin and end.
type Handshakes struct {
	Accepted     counters.Counter // CURVE or NULL handshake done
	Denied       counters.Counter // the client's key is not allowed
	Protocol     counters.Counter // wrong server key, or no ZeroMQ at all
	Incomplete   counters.Counter // the peer gave up: it went away, was too slow, or wants no CURVE
	Disconnected counters.Counter
}

const monitored = zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_HANDSHAKE_FAILED_AUTH | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL |
	zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL | zmq.EVENT_DISCONNECTED

// monitor reads a socket's events: a handshake that fails looks like no network at all from the client's side.
type monitor struct {
	socket     *zmq.Socket
	handshakes *Handshakes
	log        *slog.Logger
}

// newMonitor attaches to watched, which belongs to another goroutine: call it before that one starts.
func newMonitor(ctx *zmq.Context, watched *zmq.Socket, name string, handshakes *Handshakes, log *slog.Logger) (*monitor, error) {
	endpoint := "inproc://monitor." + name
	if err := watched.Monitor(endpoint, monitored); err != nil {
		return nil, fmt.Errorf("socket monitor: %w", err)
	}
	socket, err := ctx.NewSocket(zmq.PAIR)
	if err != nil {
		return nil, fmt.Errorf("socket monitor: %w", err)
	}
	if err := socket.Connect(endpoint); err != nil {
		return nil, fmt.Errorf("socket monitor: %w", err)
	}
	return &monitor{socket: socket, handshakes: handshakes, log: log}, nil
}

// observe takes one event, if there is one.
func (m *monitor) observe() error {
	event, endpoint, value, err := m.socket.RecvEvent(zmq.DONTWAIT)
	if err != nil {
		return fmt.Errorf("socket monitor: %w", err)
	}
	failed := func(counter *counters.Counter, reason string) {
		counter.Inc()
		m.log.Warn("handshake failed: "+reason, "event", "handshake_failed", "endpoint", endpoint, "value", value)
	}
	switch event {
	case zmq.EVENT_HANDSHAKE_SUCCEEDED:
		m.handshakes.Accepted.Inc()
	case zmq.EVENT_DISCONNECTED:
		m.handshakes.Disconnected.Inc()
	case zmq.EVENT_HANDSHAKE_FAILED_AUTH:
		m.handshakes.Denied.Inc() // zap has logged it, with key and address
	case zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL:
		failed(&m.handshakes.Protocol, protocolError(value))
	case zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL:
		failed(&m.handshakes.Incomplete, "the peer closed the connection ("+syscall.Errno(value).Error()+"): clients without CURVE do, where it is demanded")
	}
	return nil
}

// protocolError explains a ZMQ_PROTOCOL_ERROR_* of zmq.h.
func protocolError(value int) string {
	switch value {
	case 0x11000001:
		return "the client holds a wrong server key (edgectl keys show prints the right one)"
	case 0x11000002:
		return "one side uses CURVE, the other does not"
	case 0x10000013, 0x10000014:
		return "malformed CURVE command: the client is no CURVE client, or damaged"
	}
	return fmt.Sprintf("protocol error 0x%08x", value)
}

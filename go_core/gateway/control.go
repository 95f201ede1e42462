package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"time"

	zmq "github.com/pebbe/zmq4"
)

// controlTick is how long a publication or the end of the daemon may wait; handshakes and events don't.
const controlTick = 250 * time.Millisecond

// control is the gateway's second thread: ZAP handler, socket monitor and statistics publisher.
// It is apart from the serving loop so that a slow batch never blocks a handshake.
type control struct {
	zap       *zap // nil without CURVE
	monitor   *monitor
	publisher *zmq.Socket   // nil without stats_endpoint
	statistic <-chan []byte // what the publisher sends
	log       *slog.Logger
}

// run owns the sockets until ctx ends, then closes them.
func (c *control) run(ctx context.Context) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer c.close()
	poller := zmq.NewPoller()
	attend := map[*zmq.Socket]func() error{c.monitor.socket: c.monitor.observe}
	if c.zap != nil {
		attend[c.zap.socket] = c.zap.answer
	}
	for socket := range attend {
		poller.Add(socket, zmq.POLLIN)
	}
	for ctx.Err() == nil {
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
		c.publish()
	}
}

func (c *control) publish() {
	select {
	case statistic := <-c.statistic:
		if _, err := c.publisher.SendMessageDontwait("stats", statistic); err != nil {
			c.log.Warn("statistics not published", "event", "publish_failed", "error", err.Error())
		}
	default:
	}
}

func (c *control) close() {
	sockets := []*zmq.Socket{c.monitor.socket}
	if c.zap != nil {
		sockets = append(sockets, c.zap.socket)
	}
	if c.publisher != nil {
		sockets = append(sockets, c.publisher)
	}
	for _, socket := range sockets {
		if err := socket.Close(); err != nil {
			c.log.Debug(fmt.Sprintf("closing a socket: %v", err))
		}
	}
}

package gateway

import (
	"errors"
	"fmt"
)

// noPassedSocket is ZMQ_USE_FD's default: libzmq opens the listening socket itself.
const noPassedSocket = -1

// adopt accepts connections on a listening descriptor instead of opening one. Closing the ROUTER closes our copy of it;
// systemd keeps its own, with the connections that wait in it, so a restart refuses none.
func (g *Gateway) adopt(l Listener) error {
	if err := errors.Join(g.protect(g.socket, l.Endpoint), g.beat(l.Endpoint)); err != nil {
		return err
	}
	if err := g.socket.SetUseFd(l.FD); err != nil {
		return fmt.Errorf("socket activation: libzmq does not take descriptor %d: %w", l.FD, err)
	}
	if err := g.socket.Bind(l.Endpoint); err != nil {
		return fmt.Errorf("socket activation: cannot listen on descriptor %d: %w", l.FD, err)
	}
	g.bound = append(g.bound, l.Endpoint)
	return g.socket.SetUseFd(noPassedSocket)
}

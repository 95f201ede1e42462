package gateway

import (
	"fmt"

	zmq "github.com/pebbe/zmq4"
)

// noPassedSocket is ZMQ_USE_FD's default: libzmq opens the listening socket itself.
const noPassedSocket = -1

// adopt makes a socket accept connections on a listening descriptor that systemd passed, instead of opening one.
// endpoint is the descriptor's own address. Closing the ZeroMQ socket closes our copy; systemd keeps its own, with
// the connections that wait in it, so a restart refuses none.
func adopt(socket *zmq.Socket, fd int, endpoint string) error {
	if err := socket.SetUseFd(fd); err != nil {
		return fmt.Errorf("socket activation: libzmq does not take descriptor %d: %w", fd, err)
	}
	if err := socket.Bind(endpoint); err != nil {
		return fmt.Errorf("socket activation: cannot listen on descriptor %d as %s: %w", fd, endpoint, err)
	}
	return socket.SetUseFd(noPassedSocket)
}

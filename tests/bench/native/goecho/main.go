// Command goecho ENDPOINT sends every message back as it came, with the binding that the
// daemon's sockets are made with: what Go adds to a bare libzmq server.
package main

import (
	"fmt"
	"os"

	"github.com/pebbe/zmq4"
)

func main() {
	if err := serve(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "goecho:", err)
		os.Exit(1)
	}
}

func serve(args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("usage: goecho ENDPOINT")
	}
	router, err := zmq4.NewSocket(zmq4.ROUTER)
	if err != nil {
		return err
	}
	if err := router.Bind(args[0]); err != nil {
		return err
	}
	for {
		frames, err := router.RecvMessageBytes(0)
		if err != nil {
			return err
		}
		if _, err := router.SendMessage(frames); err != nil {
			return err
		}
	}
}

package gateway

import (
	"net"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	zmq "github.com/pebbe/zmq4"
	"golang.org/x/sys/unix"
)

// listeningFD opens what a socket unit would, and returns a descriptor of its own for the daemon to close.
func listeningFD(t *testing.T, network, address string) (fd int, endpoint string) {
	t.Helper()
	listener, err := net.Listen(network, address)
	must(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	file, err := listener.(interface{ File() (*os.File, error) }).File()
	must(t, err)
	fd, err = unix.Dup(int(file.Fd()))
	must(t, err)
	must(t, unix.SetNonblock(fd, true))
	must(t, file.Close())
	if network == "unix" {
		return fd, "ipc://" + address
	}
	return fd, "tcp://" + listener.Addr().String()
}

func TestPassedSocketsServeAndOutliveTheGateway(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	log, _ := newLog()
	for _, l := range [][2]string{{"unix", filepath.Join(t.TempDir(), "s")}, {"tcp", "127.0.0.1:0"}} {
		first, endpoint := listeningFD(t, l[0], l[1])
		second, err := unix.Dup(first)
		must(t, err)
		var client *zmq.Socket
		for i, fd := range []int{first, second} { // the second round is the restarted daemon
			g, err := Open(Options{Passed: []Listener{{fd, endpoint}}, Endpoints: []string{endpoint, "tcp://127.0.0.1:*"},
				SendHWM: 16, RecvHWM: 16, MaxMessageBytes: 1 << 16, Log: log})
			must(t, err)
			if len(g.Endpoints()) != 2 || g.Endpoints()[0] != endpoint {
				t.Errorf("endpoints %q: the passed one is not to be opened again", g.Endpoints())
			}
			if i == 0 {
				client = dial(t, endpoint, "", "", "")
			}
			hello(t, client)
			g.takeOne(t)
			g.Close()
			if l[0] == "unix" {
				if _, err := os.Stat(l[1]); err != nil {
					t.Fatalf("the socket file is gone after round %d: %v", i, err)
				}
			}
		}
	}
}

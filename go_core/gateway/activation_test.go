package gateway

import (
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

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

func TestAdoptedSocketsServeAndOutliveTheRouter(t *testing.T) {
	for _, l := range [][2]string{{"unix", filepath.Join(t.TempDir(), "s")}, {"tcp", "127.0.0.1:0"}} {
		fd, endpoint := listeningFD(t, l[0], l[1])
		second, err := unix.Dup(fd)
		must(t, err)
		var client *zmq.Socket
		for i, fd := range []int{fd, second} { // the second round is the restarted daemon
			ctx, err := zmq.NewContext()
			must(t, err)
			router, err := ctx.NewSocket(zmq.ROUTER)
			must(t, err)
			must(t, router.SetLinger(0))
			must(t, router.SetRcvtimeo(20*time.Second))
			must(t, adopt(router, fd, endpoint))
			if i == 0 {
				client = dial(t, endpoint, "", "", "")
			}
			hello(t, client)
			_, err = router.RecvMessage(0)
			must(t, err)
			// what the router binds itself after that is not the passed descriptor
			must(t, router.Bind("tcp://127.0.0.1:*"))
			must(t, router.Close())
			must(t, ctx.Term())
			if l[0] == "unix" {
				if _, err := os.Stat(l[1]); err != nil {
					t.Fatalf("the socket file is gone after round %d: %v", i, err)
				}
			}
		}
	}
}

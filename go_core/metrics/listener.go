// Package metrics serves what people and machines ask over HTTP: /metrics for Prometheus, /healthz and /readyz for
// supervisors, /stats and a status page for people. It is off unless metrics.listen is set.
//
// net/http would serve it in fewer lines. Measured on x86-64 with Go 1.26, a program that only imports net/http is 4.2 MB
// larger and keeps 3.7 MB more resident than one without, before it serves anything; net alone costs 0.65 MB of each. Most
// boards never ask for metrics and would carry that for nothing. So this package stands on system calls and on the
// runtime's poller (through os.File), answers GET and HEAD, one request a connection, and nothing else of HTTP.
package metrics

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"syscall"
)

// Listener is a listening TCP socket.
type Listener struct{ file *os.File }

// ListenError says why an address can't be listened on.
type ListenError struct {
	Address string
	Err     error
}

func (e *ListenError) Error() string {
	return fmt.Sprintf("metrics.listen = %q: %v\n  remedy: name an address of this machine and a free port, such as 127.0.0.1:9464", e.Address, e.Err)
}

func (e *ListenError) Unwrap() error { return e.Err }

// Listen opens ADDRESS:PORT; "localhost" is 127.0.0.1, port 0 lets the system choose. Errors are *ListenError.
func Listen(address string) (*Listener, error) {
	wanted, err := netip.ParseAddrPort(strings.Replace(address, "localhost:", "127.0.0.1:", 1))
	if err != nil {
		return nil, &ListenError{address, errors.New("not an address and a port")}
	}
	fd, err := open(wanted)
	if err != nil {
		return nil, &ListenError{address, err}
	}
	return Adopt(fd)
}

func open(address netip.AddrPort) (fd int, err error) {
	family, to := syscall.AF_INET6, syscall.Sockaddr(&syscall.SockaddrInet6{Port: int(address.Port()), Addr: address.Addr().As16()})
	if address.Addr().Is4() {
		family, to = syscall.AF_INET, &syscall.SockaddrInet4{Port: int(address.Port()), Addr: address.Addr().As4()}
	}
	fd, err = syscall.Socket(family, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	const backlog = 16
	err = errors.Join(
		syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1),
		syscall.Bind(fd, to),
		syscall.Listen(fd, backlog),
	)
	if err != nil {
		return -1, errors.Join(err, syscall.Close(fd))
	}
	return fd, nil
}

// Adopt takes over a listening socket that somebody else opened, such as systemd.
func Adopt(fd int) (*Listener, error) {
	syscall.CloseOnExec(fd)
	if err := syscall.SetNonblock(fd, true); err != nil {
		return nil, err
	}
	return &Listener{os.NewFile(uintptr(fd), "metrics")}, nil
}

// Address is what the socket is bound to.
func (l *Listener) Address() (address netip.AddrPort) {
	raw, err := l.file.SyscallConn()
	if err != nil {
		return address
	}
	// Control, unlike Read, does not wait for an accept that is under way.
	_ = raw.Control(func(fd uintptr) {
		bound, _ := syscall.Getsockname(int(fd)) // fails for no listening socket
		switch to := bound.(type) {
		case *syscall.SockaddrInet4:
			address = netip.AddrPortFrom(netip.AddrFrom4(to.Addr), uint16(to.Port))
		case *syscall.SockaddrInet6:
			address = netip.AddrPortFrom(netip.AddrFrom16(to.Addr), uint16(to.Port))
		}
	})
	return address
}

// accept waits for the next connection. It fails with os.ErrClosed after Close.
func (l *Listener) accept() (*os.File, error) {
	raw, err := l.file.SyscallConn()
	if err != nil {
		return nil, err
	}
	connection, failure := -1, error(nil)
	err = raw.Read(func(fd uintptr) bool {
		connection, _, failure = syscall.Accept4(int(fd), syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC)
		return !errors.Is(failure, syscall.EAGAIN) && !errors.Is(failure, syscall.EINTR)
	})
	if err = errors.Join(err, failure); err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(connection), "metrics client"), nil
}

// Close ends listening.
func (l *Listener) Close() error { return l.file.Close() }

func shutdownWrite(fd uintptr) { _ = syscall.Shutdown(int(fd), syscall.SHUT_WR) }

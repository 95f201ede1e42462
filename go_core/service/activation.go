package service

import (
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// firstPassedFD is SD_LISTEN_FDS_START.
const firstPassedFD = 3

// PassedSocket is a listening socket that systemd opened and handed over.
type PassedSocket struct {
	FD   int
	Name string // FileDescriptorName= of the socket unit
}

// PassedSockets lists the sockets of LISTEN_FDS, marks them close-on-exec, and removes the variables from the environment.
// There are none when the variables are absent or meant for another process.
func PassedSockets() ([]PassedSocket, error) {
	pid, fds, names := os.Getenv("LISTEN_PID"), os.Getenv("LISTEN_FDS"), os.Getenv("LISTEN_FDNAMES")
	for _, name := range []string{"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"} {
		if err := os.Unsetenv(name); err != nil {
			return nil, fmt.Errorf("cannot remove %s from the environment: %w", name, err)
		}
	}
	if fds == "" || pid != strconv.Itoa(os.Getpid()) {
		return nil, nil
	}
	sockets, err := parsePassed(fds, names)
	if err != nil {
		return nil, err
	}
	for _, s := range sockets {
		if _, err := unix.FcntlInt(uintptr(s.FD), unix.F_SETFD, unix.FD_CLOEXEC); err != nil {
			return nil, fmt.Errorf("LISTEN_FDS=%s, but descriptor %d (%s) is not open: %w", fds, s.FD, s.Name, err)
		}
	}
	return sockets, nil
}

func parsePassed(fds, names string) ([]PassedSocket, error) {
	n, err := strconv.Atoi(fds)
	if err != nil || n < 0 || n > 1024 {
		return nil, fmt.Errorf("LISTEN_FDS=%q is no count of descriptors", fds)
	}
	var name []string
	if names != "" {
		name = strings.Split(names, ":")
		if len(name) != n {
			return nil, fmt.Errorf("LISTEN_FDS=%d, but LISTEN_FDNAMES=%q names %d", n, names, len(name))
		}
	}
	sockets := make([]PassedSocket, n)
	for i := range sockets {
		sockets[i] = PassedSocket{FD: firstPassedFD + i, Name: "unknown"}
		if name != nil {
			sockets[i].Name = name[i]
		}
	}
	return sockets, nil
}

// Endpoint is the ZeroMQ address of the socket: what to bind to after ZMQ_USE_FD, and what clients connect to.
func (s PassedSocket) Endpoint() (string, error) {
	address, err := unix.Getsockname(s.FD)
	if err != nil {
		return "", fmt.Errorf("descriptor %d (%s) passed by systemd is no socket: %w", s.FD, s.Name, err)
	}
	kind, err := unix.GetsockoptInt(s.FD, unix.SOL_SOCKET, unix.SO_TYPE)
	if err != nil || kind != unix.SOCK_STREAM {
		return "", fmt.Errorf("descriptor %d (%s) passed by systemd is no stream socket: write ListenStream= in its unit", s.FD, s.Name)
	}
	switch a := address.(type) {
	case *unix.SockaddrUnix:
		return "ipc://" + a.Name, nil
	case *unix.SockaddrInet4:
		return fmt.Sprintf("tcp://%s:%d", netip.AddrFrom4(a.Addr), a.Port), nil
	case *unix.SockaddrInet6:
		return fmt.Sprintf("tcp://[%s]:%d", netip.AddrFrom16(a.Addr), a.Port), nil
	}
	return "", fmt.Errorf("descriptor %d (%s) passed by systemd is neither a unix nor a TCP socket", s.FD, s.Name)
}

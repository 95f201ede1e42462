package service

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Notifier tells the service manager what this process is doing, by sd_notify(3).
// The zero value and nil say nothing to nobody: a daemon started by hand needs no special case.
// Its methods may be called from any goroutine.
type Notifier struct {
	socket string
}

// NewNotifier reads NOTIFY_SOCKET and removes it from the environment, so that no child process speaks for the service.
// Both path sockets ("/run/...") and abstract ones ("@...") are understood.
func NewNotifier() (*Notifier, error) {
	name := os.Getenv("NOTIFY_SOCKET")
	if name == "" {
		return &Notifier{}, nil
	}
	if err := os.Unsetenv("NOTIFY_SOCKET"); err != nil {
		return nil, fmt.Errorf("cannot remove NOTIFY_SOCKET from the environment: %w", err)
	}
	if name[0] != '/' && name[0] != '@' {
		return nil, fmt.Errorf("NOTIFY_SOCKET=%q is neither an absolute path nor an abstract socket (@...)", name)
	}
	return &Notifier{socket: name}, nil
}

// Managed says whether a service manager listens.
func (n *Notifier) Managed() bool { return n != nil && n.socket != "" }

// Ready ends start-up, or a reload. status is the line `systemctl status` shows.
func (n *Notifier) Ready(status string) error { return n.send("READY=1", statusLine(status)) }

// Status replaces the line `systemctl status` shows.
func (n *Notifier) Status(status string) error { return n.send(statusLine(status)) }

// Watchdog tells the service manager that the service is alive.
func (n *Notifier) Watchdog() error { return n.send("WATCHDOG=1") }

// Stopping begins the shutdown.
func (n *Notifier) Stopping(status string) error { return n.send("STOPPING=1", statusLine(status)) }

// Reloading begins a reload, which Ready ends. The time stamp is what Type=notify-reload (systemd 253) asks for;
// older ones ignore it.
func (n *Notifier) Reloading() error {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return fmt.Errorf("cannot read the monotonic clock: %w", err)
	}
	return n.send("RELOADING=1", "MONOTONIC_USEC="+strconv.FormatInt(now.Nano()/1000, 10))
}

// ExtendTimeout asks for d more, from now, before the start, stop or watchdog timeout in force strikes.
func (n *Notifier) ExtendTimeout(d time.Duration) error {
	return n.send("EXTEND_TIMEOUT_USEC=" + strconv.FormatInt(d.Microseconds(), 10))
}

// ExtendWhile asks for more time again and again until ctx ends, for a start or a reload that loads a large model. After
// most it stops asking: what hangs is to be killed after all.
func (n *Notifier) ExtendWhile(ctx context.Context, most time.Duration) {
	if !n.Managed() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	for {
		if n.ExtendTimeout(2*extendEvery) != nil {
			return // the next notification that matters reports it
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(extendEvery):
		}
	}
}

const extendEvery = 10 * time.Second

func statusLine(status string) string {
	return "STATUS=" + strings.ReplaceAll(status, "\n", " ")
}

func (n *Notifier) send(assignments ...string) error {
	if !n.Managed() {
		return nil
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("cannot open a socket to notify the service manager: %w", err)
	}
	defer unix.Close(fd) //nolint:errcheck // a datagram already sent
	message := []byte(strings.Join(assignments, "\n"))
	address := &unix.SockaddrUnix{Name: n.socket} // one for each call: Sendto writes into it
	for {
		err = unix.Sendto(fd, message, unix.MSG_NOSIGNAL, address)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("cannot notify the service manager at %s (%s): %w", n.socket, assignments[0], err)
	}
	return nil
}

package service

import (
	"context"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// listen stands where systemd listens, and returns what one datagram says.
func listen(t *testing.T, address string) func() string {
	t.Helper()
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: address, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return func() string {
		t.Helper()
		buffer := make([]byte, 4096)
		if err := conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		n, err := conn.Read(buffer)
		if err != nil {
			t.Fatalf("nothing was sent: %v", err)
		}
		return string(buffer[:n])
	}
}

func TestNotifySpeaksToPathAndAbstractSockets(t *testing.T) {
	for _, address := range []string{filepath.Join(t.TempDir(), "notify"), "@edged-test-" + strconv.Itoa(unix.Getpid())} {
		receive := listen(t, address)
		t.Setenv("NOTIFY_SOCKET", address)
		n, err := NewNotifier()
		if err != nil {
			t.Fatal(err)
		}
		if !n.Managed() {
			t.Fatalf("%s: not managed", address)
		}
		steps := []struct {
			send func() error
			want string
		}{
			{func() error { return n.Ready("model edged 1") }, "READY=1\nSTATUS=model edged 1"},
			{func() error { return n.Status("two\nlines") }, "STATUS=two lines"},
			{n.Watchdog, "WATCHDOG=1"},
			{func() error { return n.ExtendTimeout(1500 * time.Millisecond) }, "EXTEND_TIMEOUT_USEC=1500000"},
			{func() error { return n.Stopping("draining") }, "STOPPING=1\nSTATUS=draining"},
		}
		for _, step := range steps {
			if err := step.send(); err != nil {
				t.Fatal(err)
			}
			if got := receive(); got != step.want {
				t.Errorf("%s: sent %q, want %q", address, got, step.want)
			}
		}
	}
}

func TestReloadingCarriesTheMonotonicClock(t *testing.T) {
	address := filepath.Join(t.TempDir(), "notify")
	receive := listen(t, address)
	t.Setenv("NOTIFY_SOCKET", address)
	n, err := NewNotifier()
	if err != nil {
		t.Fatal(err)
	}
	var before, after unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &before); err != nil {
		t.Fatal(err)
	}
	if err := n.Reloading(); err != nil {
		t.Fatal(err)
	}
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &after); err != nil {
		t.Fatal(err)
	}
	stamp, found := strings.CutPrefix(receive(), "RELOADING=1\nMONOTONIC_USEC=")
	usec, err := strconv.ParseInt(stamp, 10, 64)
	if !found || err != nil || usec < before.Nano()/1000 || usec > after.Nano()/1000 {
		t.Errorf("stamp %q is not between %d and %d us", stamp, before.Nano()/1000, after.Nano()/1000)
	}
}

func TestExtendWhileEndsWithItsContextAndAfterItsLimit(t *testing.T) {
	address := filepath.Join(t.TempDir(), "notify")
	receive := listen(t, address)
	t.Setenv("NOTIFY_SOCKET", address)
	n, err := NewNotifier()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { n.ExtendWhile(ctx, time.Hour); close(done) }()
	if got := receive(); got != "EXTEND_TIMEOUT_USEC=20000000" {
		t.Errorf("sent %q", got)
	}
	cancel()
	<-done
	n.ExtendWhile(t.Context(), time.Millisecond)
}

func TestNotifyIsSilentWithoutAServiceManager(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	n, err := NewNotifier()
	if err != nil || n.Managed() {
		t.Fatalf("managed %v, error %v", n.Managed(), err)
	}
	var none *Notifier
	for _, n := range []*Notifier{n, none} {
		if err := n.Ready("x"); err != nil {
			t.Error(err)
		}
	}
}

func TestNotifyErrorsNameTheSocket(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "relative")
	if _, err := NewNotifier(); err == nil || !strings.Contains(err.Error(), `"relative"`) {
		t.Errorf("error %v", err)
	}
	missing := filepath.Join(t.TempDir(), "missing")
	t.Setenv("NOTIFY_SOCKET", missing)
	n, err := NewNotifier()
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Watchdog(); err == nil || !strings.Contains(err.Error(), missing) {
		t.Errorf("error %v", err)
	}
}

package service

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestWatchdogInterval(t *testing.T) {
	own := strconv.Itoa(os.Getpid())
	for _, c := range []struct {
		usec, pid string
		want      time.Duration
		fails     bool
	}{
		{"30000000", own, 30 * time.Second, false},
		{"1", "", time.Microsecond, false},
		{"", own, 0, false},
		{"30000000", "1", 0, false},
		{"-1", own, 0, true},
		{"soon", own, 0, true},
		{"9223372036854775807", own, 0, true},
	} {
		t.Setenv("WATCHDOG_USEC", c.usec)
		t.Setenv("WATCHDOG_PID", c.pid)
		got, err := WatchdogInterval()
		if got != c.want || (err != nil) != c.fails || (c.fails && !strings.Contains(err.Error(), c.usec)) {
			t.Errorf("%q for %q: %v, %v", c.usec, c.pid, got, err)
		}
		if _, left := os.LookupEnv("WATCHDOG_USEC"); left {
			t.Error("WATCHDOG_USEC is left for child processes")
		}
	}
}

// watched runs a Watchdog against a socket where systemd would listen, and counts its pings.
type watched struct {
	pings, turns atomic.Int64
	marks        chan struct{} // one for each status that says so
	notifier     *Notifier
	log          *lines
}

// arrived counts the pings that were sent before the call.
func (w *watched) arrived(t *testing.T) int64 {
	t.Helper()
	if err := w.notifier.Status("mark"); err != nil {
		t.Fatal(err)
	}
	<-w.marks
	return w.pings.Load()
}

func watch(t *testing.T, patience time.Duration, canary func(context.Context) error, turning bool) *watched {
	t.Helper()
	w := &watched{log: &lines{}, marks: make(chan struct{}, 10)}
	address := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: address, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		buffer := make([]byte, 4096)
		for {
			n, err := conn.Read(buffer)
			if err != nil {
				return
			}
			switch string(buffer[:n]) {
			case "WATCHDOG=1":
				w.pings.Add(1)
			case "STATUS=mark":
				w.marks <- struct{}{}
			}
		}
	}()
	t.Setenv("NOTIFY_SOCKET", address)
	if w.notifier, err = NewNotifier(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	dog := &Watchdog{
		Interval: 40 * time.Millisecond, Patience: patience,
		Turns: func() uint64 {
			if turning {
				w.turns.Add(1)
			}
			return uint64(w.turns.Load())
		},
		Canary: canary, Notifier: w.notifier, Status: func() string { return "serving" },
		Log: slog.New(slog.NewTextHandler(w.log, nil)),
	}
	done := make(chan struct{})
	go func() { dog.Run(ctx); close(done) }()
	t.Cleanup(func() { cancel(); <-done; _ = conn.Close() })
	return w
}

// eventually waits up to a minute: the test is of what happens, not of how fast.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("never: " + what)
		}
	}
}

func TestPingsWhileCanariesPass(t *testing.T) {
	var canaries atomic.Int64
	w := watch(t, time.Minute, func(context.Context) error { canaries.Add(1); return nil }, true)
	eventually(t, "five pings, each after a canary", func() bool { return w.pings.Load() >= 5 && canaries.Load() >= 5 })
}

func TestASlowCanaryIsNoFailure(t *testing.T) {
	// Three intervals for one canary, as behind a long batch: still pinged meanwhile.
	w := watch(t, time.Minute, func(ctx context.Context) error {
		select {
		case <-time.After(120 * time.Millisecond):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}, true)
	eventually(t, "pings behind slow canaries", func() bool { return w.pings.Load() >= 10 })
	if log := strings.Join(w.log.take(), "\n"); strings.Contains(log, "canary_failed") {
		t.Error(log)
	}
}

func TestNoPingsAfterAFailedCanary(t *testing.T) {
	broken := errors.New("model: out of memory")
	var passing atomic.Bool
	w := watch(t, time.Minute, func(context.Context) error {
		if passing.Load() {
			return nil
		}
		return broken
	}, true)
	logged := ""
	eventually(t, "the failure is logged", func() bool {
		logged += strings.Join(w.log.take(), "\n")
		return strings.Contains(logged, "event=canary_failed") && strings.Contains(logged, broken.Error())
	})
	pings := w.arrived(t)
	time.Sleep(200 * time.Millisecond)
	if now := w.arrived(t); now != pings {
		t.Errorf("%d pings although no canary passes", now-pings)
	}
	passing.Store(true)
	eventually(t, "pings again", func() bool { return w.pings.Load() > pings })
	eventually(t, "recovery is logged", func() bool {
		logged += strings.Join(w.log.take(), "\n")
		return strings.Contains(logged, "event=canary_recovered")
	})
}

func TestAHungCanaryFailsAfterPatience(t *testing.T) {
	w := watch(t, 200*time.Millisecond, func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }, true)
	logged := ""
	eventually(t, "the hang is logged", func() bool {
		logged += strings.Join(w.log.take(), "\n")
		return strings.Contains(logged, "no answer within 200ms")
	})
}

func TestNoPingsWhileTheLoopStandsStill(t *testing.T) {
	w := watch(t, time.Minute, func(context.Context) error { return nil }, false)
	logged := ""
	eventually(t, "the stall is logged", func() bool {
		logged += strings.Join(w.log.take(), "\n")
		return strings.Contains(logged, "event=loop_stalled")
	})
	if pings := w.arrived(t); pings != 0 {
		t.Errorf("%d pings although the loop stands still", pings)
	}
}

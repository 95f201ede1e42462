package service

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"time"
)

// WatchdogInterval is the time within which systemd wants to hear of the service (WatchdogSec=), or 0 where it doesn't.
// It removes WATCHDOG_USEC and WATCHDOG_PID from the environment.
func WatchdogInterval() (time.Duration, error) {
	usec, pid := os.Getenv("WATCHDOG_USEC"), os.Getenv("WATCHDOG_PID")
	for _, name := range []string{"WATCHDOG_USEC", "WATCHDOG_PID"} {
		if err := os.Unsetenv(name); err != nil {
			return 0, fmt.Errorf("cannot remove %s from the environment: %w", name, err)
		}
	}
	if usec == "" || (pid != "" && pid != strconv.Itoa(os.Getpid())) {
		return 0, nil
	}
	n, err := strconv.ParseInt(usec, 10, 64)
	if err != nil || n <= 0 || n > int64(1<<63-1)/int64(time.Microsecond) {
		return 0, fmt.Errorf("WATCHDOG_USEC=%q is no positive number of microseconds", usec)
	}
	return time.Duration(n) * time.Microsecond, nil
}

// Watchdog proves again and again that reviews can be scored, and tells systemd so while they can.
//
// Every Interval/4 it looks at two things: did the serving loop turn since the last look, and did the last canary pass?
// Only if both hold does it ping. A canary is a real review, first in the queue: load delays it by one batch,
// never fails it. It fails when it is answered with an error or not within Patience.
// A daemon whose interpreter hangs is thus restarted within Patience + Interval.
type Watchdog struct {
	Interval time.Duration                   // WatchdogSec= ; also the pace of canaries where no systemd listens
	Patience time.Duration                   // how long one canary may take: longer than the longest allowed call
	Turns    func() uint64                   // turns of the serving loop; grows while it lives, idle or busy
	Canary   func(ctx context.Context) error // one real review through the whole path
	Notifier *Notifier
	Status   func() string // line for systemctl status, sent with every look; may be nil
	Log      *slog.Logger

	failing   bool
	lastTurns uint64
}

// Run watches until ctx ends.
func (w *Watchdog) Run(ctx context.Context) {
	ticker := time.NewTicker(w.Interval / 4)
	defer ticker.Stop()
	verdicts := make(chan error, 1) // room for one: the last canary may end after Run
	start := func() { go func() { verdicts <- w.sendCanary(ctx) }() }
	w.lastTurns = w.Turns()
	start()
	for underWay := true; ; {
		select {
		case <-ctx.Done():
			return
		case err := <-verdicts:
			underWay = false
			w.judge(ctx, err)
		case <-ticker.C:
			w.look()
			if !underWay {
				underWay = true
				start()
			}
		}
	}
}

func (w *Watchdog) sendCanary(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, w.Patience,
		fmt.Errorf("no answer within %v: the interpreter hangs, or a call takes longer than it may", w.Patience))
	defer cancel()
	if err := w.Canary(ctx); err != nil {
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
		return err
	}
	return nil
}

func (w *Watchdog) judge(ctx context.Context, err error) {
	switch {
	case err == nil && w.failing:
		w.failing = false
		w.Log.Info("canary passes again", "event", "canary_recovered")
	case err != nil && ctx.Err() == nil:
		w.failing = true
		w.Log.Error("canary failed; without a passing one systemd restarts the service",
			"event", "canary_failed", "error", err.Error())
	}
}

func (w *Watchdog) look() {
	turns := w.Turns()
	turned := turns != w.lastTurns
	w.lastTurns = turns
	if w.Status != nil {
		w.report(w.Notifier.Status(w.Status()))
	}
	if !turned {
		w.Log.Warn("the serving loop did not turn since the last look", "event", "loop_stalled", "look", w.Interval/4)
	}
	if turned && !w.failing {
		w.report(w.Notifier.Watchdog())
	}
}

func (w *Watchdog) report(err error) {
	if err != nil {
		w.Log.Warn("cannot reach systemd", "event", "notify_failed", "error", err.Error())
	}
}

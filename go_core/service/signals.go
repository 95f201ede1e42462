package service

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// Lifecycle turns signals into what a service does.
//
// SIGTERM and SIGINT drain; a second one exits at once with 128 + its number, as a shell would report it. SIGHUP reloads.
type Lifecycle struct {
	Notifier *Notifier
	Log      *slog.Logger
	Drain    func()         // begin the drain and return
	Patience time.Duration  // how long the drain and the end after it may take
	Reload   func() error   // nil error or not, the daemon goes on
	Status   func() string  // line for systemctl status
	Exit     func(code int) // os.Exit
}

// Run handles signals until ctx ends.
func (l *Lifecycle) Run(ctx context.Context) { l.run(ctx, func() {}) }

func (l *Lifecycle) run(ctx context.Context, listening func()) {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	defer signal.Stop(signals)
	listening()
	draining := false
	for {
		select {
		case <-ctx.Done():
			return
		case s := <-signals:
			switch {
			case s == syscall.SIGHUP && draining:
				l.Log.Info("not reloaded: the daemon is draining", "event", "reload_refused")
			case s == syscall.SIGHUP:
				l.reload(ctx)
			case draining:
				l.Log.Warn("second signal: exit without finishing", "event", "exit_forced", "signal", s.String())
				l.Exit(128 + int(s.(syscall.Signal)))
			default:
				draining = true
				l.Log.Info("draining", "event", "drain", "signal", s.String())
				l.report(l.Notifier.Stopping(fmt.Sprintf("draining after %v", s)))
				l.report(l.Notifier.ExtendTimeout(l.Patience)) // TimeoutStopSec= knows nothing of drain_timeout
				l.Drain()
			}
		}
	}
}

// LongestLoad is how long a model or a handler may take to load before systemd's own timeout counts.
const LongestLoad = 10 * time.Minute

func (l *Lifecycle) reload(ctx context.Context) {
	l.report(l.Notifier.Reloading())
	ctx, loaded := context.WithCancel(ctx)
	defer loaded()
	go l.Notifier.ExtendWhile(ctx, LongestLoad)
	if err := l.Reload(); err != nil {
		l.Log.Error("reload failed; the daemon goes on as it was", "event", "reload_failed", "error", err.Error())
	} else {
		l.Log.Info("reloaded", "event", "reloaded")
	}
	l.report(l.Notifier.Ready(l.Status()))
}

func (l *Lifecycle) report(err error) {
	if err != nil {
		l.Log.Warn("cannot reach systemd", "event", "notify_failed", "error", err.Error())
	}
}

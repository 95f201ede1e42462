package daemon

import (
	"context"
	"errors"
	"os"
	"time"

	"edged/protocol"
)

// canaryText goes through the whole path at the start and for the watchdog.
const canaryText = "A fine wine with bright cherry and a long finish."

// Canary sends one real review through the whole path, first in line, and waits for it.
func (d *Daemon) Canary(ctx context.Context) error {
	outcome := make(chan error, 1)
	d.gateway.Post(func() {
		d.batcher.Canary(d.clock(), canaryText, func(_ protocol.Result, err error) { outcome <- err })
	})
	select {
	case err := <-outcome:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// becomeReady tells systemd and the log once a review has gone through the whole path, then keeps proving it.
func (d *Daemon) becomeReady(ctx context.Context) {
	for wait := 10 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		err := d.Canary(ctx)
		if err == nil {
			break
		}
		var fault *protocol.Error
		if ctx.Err() != nil {
			return
		}
		if !errors.As(err, &fault) || fault.Code != protocol.Unavailable {
			d.log.Error("the first review failed; edged is not ready", "event", "canary_failed", "error", err.Error())
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
	d.ready.Store(true)
	g := d.current.Load()
	d.log.Info("edged is ready", "event", "ready", "version", d.version, "endpoints", d.gateway.Endpoints(), "host", d.host.Name(),
		"python", d.host.Version(), "model", g.Description.Name, "inline", g.config.RunsInline(), "after", time.Since(d.start).Round(time.Millisecond))
	if err := d.notifier.Ready(d.statusLine()); err != nil {
		d.log.Warn("cannot reach systemd", "event", "notify_failed", "error", err.Error())
	}
	go d.watchdog(ctx)
	d.keepLedger(ctx, d.mapped)
}

// watchCalls ends the daemon when a call into Python lasts longer than handler_timeout.
// Where a thread can still answer, what is in flight gets internal; a hung inline call holds
// the only thread that owns the socket, and its clients retry.
func (d *Daemon) watchCalls(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		c := d.current.Load().config
		timer.Reset(max(c.HandlerTimeout/8, 10*time.Millisecond))
		since := d.batcher.Running()
		if since == 0 || d.clock()-since < c.HandlerTimeout {
			continue
		}
		d.log.Error("a call into Python did not return within handler_timeout; the Python stacks follow on stderr",
			"event", "handler_hung", "exit", ExitHung, "handler_timeout", c.HandlerTimeout)
		if err := d.host.DumpTraceback(os.Stderr.Fd()); err != nil {
			d.log.Error("no Python stacks", "event", "handler_hung", "error", err.Error())
		}
		if !c.RunsInline() {
			d.failAll()
		}
		os.Exit(ExitHung)
	}
}

// exhausted ends the daemon when its memory is full of what no request brought: all it could say would be busy.
func (d *Daemon) exhausted() {
	d.log.Error("memory has been nearly used up for minutes, and every request was refused: does the handler keep what it should forget?",
		"event", "memory_exhausted", "exit", ExitHung)
	d.failAll()
	os.Exit(ExitHung)
}

// failAll answers what is in flight from the serving loop, which a hung thread does not hold.
func (d *Daemon) failAll() {
	done := make(chan struct{})
	d.gateway.Post(func() {
		d.batcher.FailAll(d.clock())
		close(done)
	})
	select {
	case <-done:
		time.Sleep(lastWords)
	case <-time.After(time.Second):
	}
}

// lastWords is how long the last replies get to leave the process: libzmq's own thread sends
// them, and os.Exit waits for nobody.
const lastWords = 200 * time.Millisecond

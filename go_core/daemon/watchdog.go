package daemon

import (
	"context"
	"fmt"
	"time"

	"edged/service"
)

// statusEvery is how often systemctl's status line is renewed, where no WatchdogSec= sets the pace.
const statusEvery = time.Minute

// canaryGrace is how much longer than the longest allowed call a canary may take: handler_timeout itself acts first.
const canaryGrace = 5 * time.Second

// watchdog proves to systemd that reviews are scored. Without systemd there is nobody to tell.
func (d *Daemon) watchdog(ctx context.Context) {
	interval, err := service.WatchdogInterval()
	if err != nil {
		d.log.Warn("no watchdog", "event", "watchdog_off", "error", err.Error())
	}
	if !d.notifier.Managed() {
		return
	}
	if interval == 0 {
		interval = 4 * statusEvery
	}
	(&service.Watchdog{Interval: interval, Patience: d.config.HandlerTimeout + canaryGrace, Turns: d.gateway.Turns, Canary: d.Canary,
		Notifier: d.notifier, Status: d.statusLine, Log: d.log}).Run(ctx)
}

// statusLine is what systemctl status shows: model, queue, and PSS once the ledger has read it.
func (d *Daemon) statusLine() string {
	g := d.current.Load()
	line := fmt.Sprintf("%s %s, %s host, %d reviews waiting", g.Description.Name, g.Description.Version, d.host.Name(),
		d.batcher.Counters.QueueReviews.Load())
	if s := d.reporter.Stats.Snapshot(); s != nil {
		line += fmt.Sprintf(", PSS %.1f MiB", float64(s.Total.Pss)/(1<<20))
	}
	return line
}

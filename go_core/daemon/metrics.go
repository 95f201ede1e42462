package daemon

import (
	"context"
	"errors"
	"time"

	"edged/metrics"
	"edged/stats"
)

// serveMetrics answers HTTP from here on, also while the model is still being loaded.
func (d *Daemon) serveMetrics(ctx context.Context) (err error) {
	if address := d.config.MetricsListen; address != "" && d.metrics == nil {
		if d.metrics, err = metrics.Listen(address); err != nil {
			return err
		}
	}
	if d.metrics == nil {
		return nil
	}
	d.document.Store(stats.NewDocument()) // says no more than that the daemon starts
	server := &metrics.Server{
		Metrics: func(dst []byte) []byte { return d.document.Load().AppendMetrics(dst) }, MetricsType: stats.ContentType,
		Stats: func(dst []byte) []byte { return d.document.Load().AppendJSON(dst) },
		Alive: d.alive, Ready: d.isReady, Log: d.log,
	}
	bound := d.metrics.Address()
	d.log.Info("serving metrics", "event", "metrics", "address", bound.String())
	if !bound.Addr().IsLoopback() {
		d.log.Warn("everyone who reaches the metrics address can read them; they hold no reviews", "event", "metrics_exposed", "address", bound.String())
	}
	go server.Serve(ctx, d.metrics)
	return nil
}

// alive fails when the daemon had better be restarted.
func (d *Daemon) alive() error {
	if d.batcherSince() > d.config.HandlerTimeout {
		return errors.New("a call into Python has lasted longer than handler_timeout")
	}
	return nil
}

// batcherSince is how long the longest call into Python has lasted.
func (d *Daemon) batcherSince() time.Duration {
	if !d.ready.Load() {
		return 0
	}
	if since := d.batcher.Running(); since != 0 {
		return d.clock() - since
	}
	return 0
}

func (d *Daemon) isReady() error {
	switch {
	case d.draining.Load():
		return errors.New("the daemon is draining")
	case !d.ready.Load():
		return errors.New("no review has gone through yet")
	}
	return nil
}

// drain ends the intake.
func (d *Daemon) drain() {
	d.draining.Store(true)
	d.gateway.Drain()
}

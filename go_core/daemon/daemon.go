// Package daemon assembles one running daemon from its parts: interpreter, model, batcher,
// gateway, service.
package daemon

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"runtime"
	"sync/atomic"
	"time"

	"edged/batcher"
	"edged/config"
	"edged/gateway"
	"edged/memory"
	"edged/metrics"
	"edged/model"
	"edged/python"
	"edged/service"
	"edged/stats"
	"edged/status"
)

// Exit codes of the daemon, after sysexits.h where one fits.
const (
	ExitOK          = 0
	ExitUnexpected  = 1
	ExitUsage       = 64
	ExitUnavailable = 69 // no interpreter, package or model
	ExitHung        = 70 // a call into Python did not return, the drain was cut short, or memory stayed short
	ExitBind        = 73
	ExitConfig      = 78
)

// Options is what a daemon starts with.
type Options struct {
	Config   *config.Config
	Reread   func() (*config.Config, error) // the configuration as it is now, for Reload
	SetLevel func(level string)             // of the log
	Version  string
	Log      *slog.Logger
}

// Daemon is one running daemon.
type Daemon struct {
	options     Options
	config      *config.Config // that of the start; a generation has its own
	version     string
	reloads     reloads
	log         *slog.Logger
	host        *python.Host
	batcher     *batcher.Batcher
	gateway     *gateway.Gateway
	notifier    *service.Notifier
	reporter    *status.Reporter
	stages      model.Stages
	start       time.Time
	mapped      memory.Runtime // what Go had mapped before anything else
	guard       *memory.Guard
	descriptors int // open when the daemon was ready: the rest are clients
	current     atomic.Pointer[generation]
	serving     *python.Thread    // inline: the serving goroutine's
	release     func()            // ends what the inline runner of the current generation started
	metrics     *metrics.Listener // nil: nobody is told over HTTP
	document    atomic.Pointer[stats.Document]
	ready       atomic.Bool // a review has gone through the whole path
	draining    atomic.Bool
}

// Run serves until a signal ends it and returns the exit code. It locks the calling
// goroutine to its thread, which becomes the serving one.
func Run(options Options) int {
	runtime.LockOSThread()
	log := options.Log
	d := &Daemon{options: options, config: options.Config, version: options.Version, log: log, start: time.Now(), mapped: memory.ObserveRuntime()}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if err := d.open(ctx); err != nil {
		code := exitCode(err)
		log.Error("edged can't start", "event", "start_failed", "exit", code, "error", err.Error())
		return code
	}
	return d.serve(ctx, cancel)
}

func exitCode(err error) int {
	var bind *gateway.BindError
	var listen *metrics.ListenError
	var fault configError
	switch {
	case errors.As(err, &bind), errors.As(err, &listen):
		return ExitBind
	case errors.As(err, &fault):
		return ExitConfig
	}
	return ExitUnavailable
}

// clock is the daemon's monotonic time; never 0, which means "none" elsewhere.
func (d *Daemon) clock() time.Duration { return time.Since(d.start) + 1 }

func (d *Daemon) open(ctx context.Context) (err error) {
	if d.notifier, err = service.NewNotifier(); err != nil {
		return err
	}
	starting, started := context.WithCancel(ctx)
	defer started()
	go d.notifier.ExtendWhile(starting, service.LongestLoad)
	listening := d.gatewayOptions()
	if err := d.listenOn(ctx, &listening); err != nil {
		return err
	}
	if err := d.serveMetrics(ctx); err != nil {
		return err
	}
	c := d.config
	d.host, err = python.Open(pythonOptions(c, d.log))
	if err != nil {
		return err
	}
	first, err := load(d.host, c, 1)
	if err != nil {
		return err
	}
	d.keepWithinBudget()
	d.batcher = batcher.New(d.batcherOptions(c))
	if d.gateway, err = gateway.Open(listening); err != nil {
		return err
	}
	d.reporter = d.newReporter()
	return d.use(first)
}

func pythonOptions(c *config.Config, log *slog.Logger) python.Options {
	return python.Options{Embed: c.Embed, Executable: c.Python, LibPython: c.LibPython, LibMetaCall: c.MetaCallLib, Path: c.PythonPath, Log: log}
}

func (d *Daemon) batcherOptions(c *config.Config) batcher.Options {
	return batcher.Options{
		MaxBatchSize: int(c.MaxBatchSize), MaxBatchTime: c.MaxBatchTime, MaxQueueDelay: c.MaxQueueDelay,
		QueueReviews: c.QueueReviews, QueueBytes: c.QueueBytes, ClientReviews: c.ClientReviews, ClientBytes: c.ClientBytes,
		MaxReviews: int(c.MaxReviews), MaxReviewBytes: int(c.MaxReviewBytes), Short: d.guard.Short, Answer: d.answer, Refused: d.logRefusal,
	}
}

func (d *Daemon) gatewayOptions() gateway.Options {
	c := d.config
	return gateway.Options{
		Endpoints: c.Endpoints, StatsEndpoint: c.StatsEndpoint, SendHWM: int(c.SendHWM), RecvHWM: int(c.RecvHWM), MaxMessageBytes: c.MaxMessageBytes(),
		OutboxBytes: c.ClientBytes, SendTimeout: c.SendTimeout, DrainTimeout: c.DrainTimeout, Clock: d.clock, Log: d.log,
	}
}

// use makes g serve: on the serving goroutine, which must be the calling one, or on threads.
func (d *Daemon) use(g *generation) error {
	if g.config.RunsInline() {
		if d.serving == nil {
			var err error
			if d.serving, err = d.host.Attach(); err != nil {
				return err
			}
		}
		runner, release := g.runner(d.serving, &d.stages, d.log)
		d.batcher.UseInline(runner, d.clock)
		d.allowHelper(g)
		if d.release != nil {
			d.release()
		}
		d.release = release
		d.setCurrent(g)
		return nil
	}
	d.setCurrent(g)
	d.useThreads(g)
	return nil
}

func (d *Daemon) setCurrent(g *generation) {
	d.current.Store(g)
	d.setModel(g)
}

// serve runs the serving loop and everything beside it.
func (d *Daemon) serve(ctx context.Context, cancel context.CancelFunc) int {
	lifecycle := &service.Lifecycle{Notifier: d.notifier, Log: d.log, Drain: d.drain, Reload: d.Reload,
		Patience: d.config.DrainTimeout + closing, Status: d.statusLine, Exit: os.Exit}
	go lifecycle.Run(ctx)
	go d.watchCalls(ctx)
	go d.guard.Run(ctx)
	go d.becomeReady(ctx)
	drained, err := d.gateway.Serve(d.batcher)
	cancel()
	if err != nil {
		d.log.Error("the serving loop failed", "event", "serve_failed", "error", err.Error())
	}
	return d.close(drained, err)
}

// closing is how long Python and the last replies may take after the drain.
const closing = 10 * time.Second

// close ends everything in order: replies, Python, sockets.
func (d *Daemon) close(drained bool, err error) int {
	code := ExitOK
	switch {
	case err != nil:
		code = ExitUnexpected
	case !drained:
		code = ExitHung
		d.log.Warn("drain_timeout passed with requests unanswered; their clients will retry", "event", "drain_timeout", "after", d.config.DrainTimeout)
	}
	if drained {
		d.batcher.StopThreads()
		if d.release != nil {
			d.release()
		}
		if d.serving != nil {
			_ = d.serving.Detach()
		}
		if err := d.host.Close(); err != nil {
			d.log.Warn("Python did not close", "event", "python_close", "error", err.Error())
		}
	}
	d.gateway.Close()
	d.log.Info("edged stopped", "event", "stopped", "exit", code, "uptime", time.Since(d.start).Round(time.Millisecond))
	return code
}

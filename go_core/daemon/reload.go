package daemon

import (
	"errors"
	"fmt"
	"strings"
	"sync"

	"edged/protocol"
	"edged/status"
)

// reloads remembers what became of the last one, for info.
type reloads struct {
	mu   sync.Mutex
	last status.Reload
}

func (r *reloads) record(err error, restart []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last.Attempts++
	r.last.NeedsRestart, r.last.Error = restart, ""
	if err != nil {
		r.last.Error = err.Error()
	}
}

func (r *reloads) get() status.Reload {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last
}

// Reload reads the configuration again and loads what it names beside what serves, tries it,
// and lets it take over between two batches. A faulty configuration, and a model or handler
// that can't be loaded or fails its trial, are refused, and the old one goes on.
func (d *Daemon) Reload() error {
	restart, err := d.reload()
	if len(restart) > 0 {
		d.log.Warn("some changes need a restart", "event", "reload_partial", "keys", strings.Join(restart, ", "))
	}
	d.reloads.record(err, restart)
	return err
}

func (d *Daemon) reload() (restart []string, err error) {
	wanted, err := d.options.Reread()
	if err != nil {
		return nil, err
	}
	old := d.current.Load()
	merged, restart := old.config.Reload(wanted)
	next, err := load(d.host, merged, old.Number+1)
	if err != nil {
		return restart, err
	}
	if err := d.try(next); err != nil {
		next.close()
		return restart, fmt.Errorf("what was loaded failed its trial: %w", err)
	}
	taken := make(chan error, 1)
	d.gateway.Post(func() {
		err := d.use(next)
		if err == nil {
			d.batcher.SetOptions(d.batcherOptions(merged))
		}
		taken <- err
	})
	if err := <-taken; err != nil {
		next.close()
		return restart, err
	}
	d.options.SetLevel(merged.LogLevel)
	if old.config.RunsInline() {
		old.close() // threads close their own when they end
	}
	return restart, nil
}

// try runs one review through g, on a thread of its own.
func (d *Daemon) try(g *generation) error {
	outcome := make(chan error, 1)
	go func() {
		thread, err := d.host.Attach()
		if err != nil {
			outcome <- err
			return
		}
		runner, release := g.runner(thread, &d.stages, d.log)
		err = runner.Run([][]byte{[]byte(canaryText)}, make([]protocol.Result, 1))
		release()
		outcome <- errors.Join(err, thread.Detach())
	}()
	return <-outcome
}

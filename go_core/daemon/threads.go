package daemon

import (
	"errors"
	"fmt"

	"edged/batcher"
)

// useThreads has every interpreter thread load a copy of its own: N of them run N TFLite
// interpreters side by side. The first uses what g loaded already.
func (d *Daemon) useThreads(g *generation) {
	d.batcher.UseThreads(max(int(g.config.Interpreters), 1), d.clock, d.gateway.Wake, d.starter(func(i int) (*generation, error) {
		if i == 0 {
			return g, nil
		}
		return d.again(g)
	}), func(err error) {
		d.log.Error("an interpreter thread could not start", "event", "thread_failed", "error", err.Error())
	})
}

// allowHelper lets a thread with a copy of its own help the serving goroutine, once there is more to do than that can.
func (d *Daemon) allowHelper(g *generation) {
	if !g.config.HasHelper() {
		return
	}
	start := d.starter(func(int) (*generation, error) {
		d.log.Info("a second interpreter starts: two batches were left waiting", "event", "helper")
		return d.again(g)
	})
	d.batcher.AllowHelper(d.gateway.Wake, start, func(err error) {
		d.log.Warn("a second interpreter could not start; the first goes on alone", "event", "helper_failed", "error", err.Error())
	})
}

// again loads what g loaded, which may have been replaced since: then two models would answer side by side.
func (d *Daemon) again(g *generation) (*generation, error) {
	own, err := load(d.host, g.config, g.Number)
	if err == nil && own.file != nil && own.file.SHA256 != g.file.SHA256 {
		own.close()
		err = fmt.Errorf("model %s is another file by now\n  remedy: edgectl reload takes it over", g.file.Path)
	}
	return own, err
}

// starter is what starts interpreter thread i: it attaches the thread, and has what it serves loaded.
func (d *Daemon) starter(loaded func(i int) (*generation, error)) func(i int) (batcher.Runner, func(), error) {
	return func(i int) (batcher.Runner, func(), error) {
		thread, err := d.host.Attach()
		if err != nil {
			return nil, nil, err
		}
		own, err := loaded(i)
		if err != nil {
			return nil, nil, errors.Join(err, thread.Detach())
		}
		runner, release := own.runner(thread, &d.stages, d.log)
		return runner, func() {
			release()
			own.close()
			_ = thread.Detach()
		}, nil
	}
}

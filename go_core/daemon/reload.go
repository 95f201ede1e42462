package daemon

import (
	"errors"
	"fmt"

	"edged/protocol"
)

// Reload loads the model or handler again beside the one that serves, tries it, and lets it
// take over between two batches. What can't be loaded or fails its trial is refused, and the
// old one goes on.
func (d *Daemon) Reload() error {
	old := d.current.Load()
	next, err := load(d.host, d.config, old.Number+1)
	if err != nil {
		return err
	}
	if err := d.try(next); err != nil {
		next.close()
		return fmt.Errorf("the new model failed its trial: %w", err)
	}
	taken := make(chan error, 1)
	d.gateway.Post(func() { taken <- d.use(next) })
	if err := <-taken; err != nil {
		return err
	}
	if d.config.RunsInline() {
		old.close() // threads close their own when they end
	}
	return nil
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
		runner, release := g.runner(thread, d.config, &d.stages, d.log)
		err = runner.Run([][]byte{[]byte(canaryText)}, make([]protocol.Result, 1))
		release()
		outcome <- errors.Join(err, thread.Detach())
	}()
	return <-outcome
}

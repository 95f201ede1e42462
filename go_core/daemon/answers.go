package daemon

import (
	"os"

	"edged/protocol"
	"edged/status"
)

func (d *Daemon) newReporter() *status.Reporter {
	document := d.newDocument()
	d.document.Store(document)
	return &status.Reporter{Info: d.info, Stats: document}
}

// logRefusal says that a request was refused and why, never what was in it; a flood of them becomes one line.
func (d *Daemon) logRefusal(code protocol.Code) {
	d.log.Warn("request refused", "event", "refused", "code", string(code))
}

func (d *Daemon) answer(op protocol.Op) []byte { return d.reporter.Answer(op) }

func (d *Daemon) info() status.Info {
	g := d.current.Load()
	c := g.config
	info := status.Info{Version: d.version, Host: d.host.Name(), MetaCall: d.host.MetaCallVersion(), Python: d.host.Version(),
		Interpreter: d.host.Interpreter().Executable, Model: g.Description.Name, Labels: g.Description.Labels,
		ModelPath: g.Description.Model, Generation: g.Number, Endpoints: d.gateway.Endpoints(), Inline: c.RunsInline(), PID: os.Getpid(), Reload: d.reloads.get(),
		Limits: status.Limits{MaxMessageBytes: c.MaxMessageBytes(), MaxReviews: c.MaxReviews, MaxReviewBytes: c.MaxReviewBytes}}
	if g.file != nil {
		info.Labels, info.SHA256 = g.file.Description.Labels[:], g.file.SHA256
	}
	return info
}

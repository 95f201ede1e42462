package daemon

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"

	"edged/batcher"
	"edged/config"
	"edged/model"
	"edged/protocol"
	"edged/python"
)

// generation is one loaded model or handler, with the texts' way to it.
type generation struct {
	Number      int64
	Description description
	config      *config.Config // what it was loaded by
	handle      uint16
	file        *model.File // nil for handler files
	host        *python.Host
}

// description is what Python says of what it loaded.
type description struct {
	Handle  uint16   `json:"handle"`
	Kind    string   `json:"kind"` // "ids" or "texts"
	Name    string   `json:"name"`
	Version string   `json:"version"`
	Model   string   `json:"model"` // path, "" for handlers without one
	Labels  []string `json:"labels"`
}

// load has Python load what the configuration names, beside whatever is loaded already.
func load(host *python.Host, c *config.Config, number int64) (g *generation, err error) {
	var file *model.File
	if c.Handler == "" && c.Model != "" {
		if file, err = check(c.Model); err != nil {
			return nil, err
		}
	}
	if g, err = loadUnchecked(host, c, number, file); err != nil && file != nil {
		file.Close()
	}
	return g, err
}

// loadUnchecked loads with the file of the model, where that is open already; else it opens what Python says it took.
func loadUnchecked(host *python.Host, c *config.Config, number int64, file *model.File) (*generation, error) {
	options, err := json.Marshal(map[string]any{
		"model": c.Model, "handler": c.Handler, "options": c.HandlerOptions, "threads": 1, "cascade": c.Cascade,
	})
	if err != nil {
		return nil, fmt.Errorf("handler_options: %w", err)
	}
	reply, err := host.Load(options)
	if err != nil {
		return nil, explainLoad(c, err)
	}
	g := &generation{Number: number, config: c, host: host, file: file}
	if err := json.Unmarshal(reply, &g.Description); err != nil {
		return nil, fmt.Errorf("Python's description of what it loaded: %w", err)
	}
	g.handle = g.Description.Handle
	if g.file == nil && g.Description.Kind == "ids" {
		g.file, err = model.Open(g.Description.Model)
	}
	if err == nil && g.file != nil {
		err = g.file.InPlace()
	}
	if err != nil {
		g.close()
		return nil, err
	}
	return g, nil
}

// explainLoad puts the cause before the traceback, and says which file it is about.
func explainLoad(c *config.Config, err error) error {
	what := "the built-in model"
	switch {
	case c.Handler != "":
		what = "handler " + c.Handler
	case c.Model != "":
		what = "model " + c.Model
	}
	var raised *python.Error
	if errors.As(err, &raised) && raised.Traceback != "" && c.Handler != "" {
		return fmt.Errorf("cannot load %s: %w\n%s", what, err, raised.Traceback)
	}
	return fmt.Errorf("cannot load %s: %w", what, err)
}

// runner makes what classifies on the calling thread, which must be attached, and what to
// call when it is no longer used.
func (g *generation) runner(thread *python.Thread, stages *model.Stages, log *slog.Logger) (batcher.Runner, func()) {
	caller := &caller{thread: thread, log: log}
	if g.file == nil {
		return model.NewTexts(caller, g.handle, stages), func() {}
	}
	classifier := g.file.NewClassifier(caller, g.handle, int(g.config.FeatureWorkers), stages)
	return classifier, classifier.Close
}

// close drops it from Python and unmaps the file. Nothing may use its runners any more.
func (g *generation) close() {
	// Python refuses only an unknown handle, or is closed: either way nothing is left to drop.
	_ = g.host.Unload(fmt.Appendf(nil, `{"handle":%d}`, g.handle))
	if g.file != nil {
		g.file.Close()
	}
}

// caller is the seam between a runner and Python: what Python raised is logged with its
// traceback, and becomes what the client may know of it.
type caller struct {
	thread *python.Thread
	log    *slog.Logger
}

// ProcessBatch makes the call.
func (c *caller) ProcessBatch(record, reply []byte) ([]byte, error) {
	reply, err := c.thread.ProcessBatch(record, reply)
	if err == nil {
		return reply, nil
	}
	var raised *python.Error
	if !errors.As(err, &raised) {
		c.log.Error("the call into Python failed", "event", "python_call", "error", err)
		return reply, err
	}
	c.log.Error("Python raised an exception", "event", "python_error", "code", string(protocol.Model),
		"error", raised.Error(), "traceback", raised.Traceback)
	return reply, &protocol.Error{Code: protocol.Model, Message: raised.Error(),
		Hint: "the model or handler failed on this request; the daemon's log has the traceback"}
}

package daemon

import (
	"context"
	"encoding/json"
	"os"
	"runtime/debug"
	"time"

	"edged/counters"
	"edged/memory"
	"edged/protocol"
	"edged/python"
	"edged/stats"
)

// newDocument enters everything that is counted.
func (d *Daemon) newDocument() *stats.Document {
	b, g := &d.batcher.Counters, &d.gateway.Counters
	s := stats.NewDocument()
	s.Counter("received", "Messages read from the socket, of any kind.", g.Received.Load)
	s.Counter("admitted", "Classify requests admitted.", b.Admitted.Load)
	s.Counter("answered", "Requests answered without an error.", b.Answered.Load)
	for i, code := range protocol.Codes {
		s.CounterBy("failed", "Requests answered with an error, by its code.", "code", string(code), b.Failed[i].Load)
	}
	s.Counter("reviews", "Reviews classified.", b.Reviews.Load)
	s.Counter("batches", "Batches handed to Python.", b.Batches.Load)
	s.Counter("sent", "Replies handed to ZeroMQ.", g.Sent.Load)
	s.Counter("dropped_unroutable", "Replies dropped because their client was gone.", g.Unroutable.Load)
	s.Counter("dropped_slow", "Replies dropped because their client did not read for send_timeout.", g.DroppedSlow.Load)
	for _, h := range []struct {
		outcome string
		counter *counters.Counter
	}{
		{"accepted", &g.Handshakes.Accepted}, {"denied", &g.Handshakes.Denied}, {"protocol", &g.Handshakes.Protocol},
		{"incomplete", &g.Handshakes.Incomplete}, {"disconnected", &g.Handshakes.Disconnected},
	} {
		s.CounterBy("connections", "Connections over the network, by what became of them.", "outcome", h.outcome, h.counter.Load)
	}
	s.Counter("python_call_errors", "Calls into Python that broke the boundary.", func() uint64 { return uint64(d.host.Failures()) })
	s.Latency("queue", &b.Queue)
	s.Latency("features", &d.stages.Features)
	s.Latency("inference", &d.stages.Inference)
	s.Latency("batch", &b.Run)
	s.Latency("reply", &b.Reply)
	s.Latency("total", &b.Total)
	s.Sizes("batch_reviews", "Reviews in a batch.", &b.BatchSize)
	s.Gauge("queue", "reviews", "Reviews waiting.", b.QueueReviews.Load)
	s.Gauge("queue", "bytes", "Bytes of requests and unread replies held.", b.HeldBytes.Load)
	return s
}

// keepWithinBudget tells Go its limit and watches the whole process's.
func (d *Daemon) keepWithinBudget() {
	budget := &d.config.Budget
	if warning := budget.Warning(); warning != "" {
		d.log.Warn(warning, "event", "budget")
	}
	debug.SetMemoryLimit(budget.GoLimit)
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(collectAt)
	}
	group, _ := memory.Surroundings()
	d.guard = memory.NewGuard(*budget, group, d.working, d.trim, d.exhausted)
}

// working says whether reviews wait or are being classified.
func (d *Daemon) working() bool {
	return d.batcher.Counters.QueueReviews.Load() > 0 || d.batcher.Running() != 0
}

// collectAt is Go's GC percent. At its own 100 the heap, 1 MB when live, grows to 4 MB before it is first looked at; at 30 that
// is 1.2 MB, for a collection of 0.2 ms every few thousand reviews.
const collectAt = 30

// trim gives back what is not in use.
func (d *Daemon) trim() {
	done := make(chan struct{})
	d.gateway.Post(func() {
		d.batcher.Trim()
		close(done)
	})
	select {
	case <-done:
	case <-time.After(time.Second): // a long call into Python holds the serving loop: its buffers stay for now
	}
	debug.FreeOSMemory()
	python.Trim()
	if _, err := memory.ReleaseFiles(); err != nil {
		d.log.Debug("mapped files stay resident", "event", "release_failed", "error", err.Error())
	}
}

// keepLedger reads where the memory is until ctx ends; the first reading once the daemon is ready is the one growth is
// counted from.
func (d *Daemon) keepLedger(ctx context.Context, known memory.Runtime) {
	d.guard.Settle()
	d.descriptors = memory.OpenDescriptors()
	ledger := memory.NewLedger(known, memory.Sources{ModelPath: d.current.Load().Description.Model, Arenas: d.arenas, Details: d.memoryDetails})
	d.reporter.Stats.SetLedger(ledger)
	var logged time.Time
	ledger.Run(ctx, d.config.StatsInterval, func(s *memory.Snapshot) {
		d.gateway.Publish(d.reporter.Stats.AppendJSON(nil))
		if logged.IsZero() {
			ledger.MarkStart()
		}
		if s.At.Sub(logged) >= logInterval {
			logged = s.At
			d.log.Info("memory", append([]any{"event", "memory"}, s.LogFields()...)...)
		}
	}, func(err error) {
		d.log.Warn("memory could not be accounted for", "event", "ledger_failed", "error", err.Error())
	})
}

// connectionBytes is what libzmq 4.3 allocates for one client: buffers of its encoder and decoder, two pipes. Measured with 64
// clients over ipc.
const connectionBytes = 27 << 10

// logInterval is the slow rate at which the log says where the memory is.
const logInterval = time.Hour

func (d *Daemon) arenas(ranges []memory.Range) []memory.Range {
	d.host.Arenas(func(start, end uint64) { ranges = append(ranges, memory.Range{Start: start, End: end}) })
	return ranges
}

// memoryDetails asks those who hold memory, on the ledger's goroutine.
func (d *Daemon) memoryDetails(rows []memory.Detail) []memory.Detail {
	rows = append(rows, memory.Detail{Part: memory.PartGo, Name: "queue", Bytes: uint64(d.batcher.Counters.HeldBytes.Load())})
	connections := max(memory.OpenDescriptors()-d.descriptors, 0)
	rows = append(rows, memory.Detail{Part: memory.PartCHeap, Name: "zeromq", Bytes: uint64(connections) * connectionBytes, Estimate: true})
	report, err := d.host.Memory()
	if err != nil {
		return rows // a handler holds the interpreter's lock, or it is closed; the next reading asks again
	}
	d.reporter.Stats.SetPython(report)
	return append(rows, pythonDetails(report)...)
}

// pythonDetails reads the rows out of what edged.embedded.memory reports.
func pythonDetails(report []byte) (rows []memory.Detail) {
	var python struct {
		Pymalloc struct {
			Arenas uint64 `json:"arenas_bytes"`
			Blocks uint64 `json:"blocks_bytes"`
		} `json:"pymalloc"`
		Modules uint64 `json:"module_bytes"`
		Arrays  uint64 `json:"array_bytes"`
		Tensors uint64 `json:"tensor_bytes"`
	}
	if json.Unmarshal(report, &python) != nil {
		return nil
	}
	return []memory.Detail{
		{Part: memory.PartPython, Name: "arenas", Bytes: python.Pymalloc.Arenas},
		{Part: memory.PartPython, Name: "blocks", Bytes: python.Pymalloc.Blocks},
		{Part: memory.PartPython, Name: "modules", Bytes: python.Modules, Estimate: true},
		{Part: memory.PartCHeap, Name: "numpy", Bytes: python.Arrays, Estimate: true},
		{Part: memory.PartCHeap, Name: "tensors", Bytes: python.Tensors, Estimate: true},
	}
}

// setModel puts what serves now into the statistics.
func (d *Daemon) setModel(g *generation) {
	text, err := json.Marshal(map[string]any{
		"name": g.Description.Name, "version": g.Description.Version, "generation": g.Number, "host": d.host.Name(),
	})
	if err == nil { // strings and numbers always can be encoded
		d.reporter.Stats.SetModel(text)
	}
}

package stats

import (
	"math"
	"strconv"

	"edged/memory"
)

// ContentType is what AppendMetrics writes.
const ContentType = "text/plain; version=0.0.4; charset=utf-8"

// Bounds of the buckets handed to Prometheus, each a factor of four above the last: our own buckets begin at powers of
// two, so the counts are exact, and thirteen buckets a stage are cheap to store. Latencies from 2^12 ns (4.1 us) to 2^36 ns
// (69 s); sizes from 1 to 2^12.
const (
	firstLatencyBit, lastLatencyBit, latencyBits = 12, 36, 2
	firstSizeBit, lastSizeBit, sizeBits          = 0, 12, 1
)

// AppendMetrics appends the document in Prometheus' text format.
func (d *Document) AppendMetrics(dst []byte) []byte {
	e := &exposition{dst: dst}
	e.family("uptime_seconds", "gauge", "Time since the daemon started.")
	e.sample("uptime_seconds", "", "", d.Uptime().Seconds())
	for _, c := range d.counters {
		name := c.name + "_total"
		e.family(name, "counter", c.help)
		for _, v := range c.values {
			e.sample(name, c.label, v.value, float64(v.read()))
		}
	}
	for _, g := range d.gauges {
		name := g.section + "_" + g.name
		e.family(name, "gauge", g.help)
		e.sample(name, "", "", float64(g.read()))
	}
	d.appendBuckets(e)
	if s := d.Snapshot(); s != nil {
		e.memory(s)
	}
	return e.dst
}

func (d *Document) appendBuckets(e *exposition) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.latencies) > 0 {
		e.family("stage_duration_seconds", "histogram", "Time spent in each stage of a review's path.")
	}
	for _, h := range d.latencies {
		h.histogram.ReadInto(&d.scratch)
		for bit := firstLatencyBit; bit <= lastLatencyBit; bit += latencyBits {
			e.bucket("stage_duration_seconds", h.name, float64(uint64(1)<<bit)/1e9, d.scratch.AtMost(1<<bit-1))
		}
		e.summed("stage_duration_seconds", h.name, float64(d.scratch.Sum)/1e9, d.scratch.Count)
	}
	for _, h := range d.sizes {
		h.histogram.ReadInto(&d.scratch)
		e.family(h.name, "histogram", h.help)
		for bit := firstSizeBit; bit <= lastSizeBit; bit += sizeBits {
			e.bucket(h.name, "", float64(uint64(1)<<bit)-1, d.scratch.AtMost(1<<bit-1))
		}
		e.summed(h.name, "", float64(d.scratch.Sum), d.scratch.Count)
	}
}

// exposition appends lines of the text format; see the Prometheus documentation, "Exposition formats".
type exposition struct{ dst []byte }

func (e *exposition) family(name, kind, help string) {
	e.text("# HELP edged_", name, " ", help, "\n# TYPE edged_", name, " ", kind, "\n")
}

func (e *exposition) text(parts ...string) {
	for _, part := range parts {
		e.dst = append(e.dst, part...)
	}
}

func (e *exposition) sample(name, label, value string, amount float64) {
	e.text("edged_", name)
	if label != "" {
		e.text("{", label, `="`)
		e.escaped(value)
		e.text(`"}`)
	}
	e.amount(amount)
}

// escaped writes a label's value. Paths need not be UTF-8, labels must be.
func (e *exposition) escaped(value string) {
	for _, r := range value {
		switch r {
		case '\\', '"':
			e.dst = append(e.dst, '\\', byte(r))
		case '\n':
			e.dst = append(e.dst, '\\', 'n')
		default:
			e.dst = append(e.dst, string(r)...)
		}
	}
}

func (e *exposition) amount(amount float64) {
	e.dst = append(e.dst, ' ')
	e.dst = strconv.AppendFloat(e.dst, amount, 'g', -1, 64)
	e.dst = append(e.dst, '\n')
}

func (e *exposition) bucket(name, stage string, bound float64, count uint64) {
	e.text("edged_", name, "_bucket{")
	if stage != "" {
		e.text(`stage="`, stage, `",`)
	}
	e.text(`le="`)
	if math.IsInf(bound, 1) {
		e.text("+Inf")
	} else {
		e.dst = strconv.AppendFloat(e.dst, bound, 'g', -1, 64)
	}
	e.text(`"}`)
	e.amount(float64(count))
}

func (e *exposition) summed(name, stage string, sum float64, count uint64) {
	e.bucket(name, stage, math.Inf(1), count)
	label := ""
	if stage != "" {
		label = "stage"
	}
	e.sample(name+"_sum", label, stage, sum)
	e.sample(name+"_count", label, stage, float64(count))
}

// memory writes the ledger. Gauges of things a machine does not have are left out.
func (e *exposition) memory(s *memory.Snapshot) {
	gauge := func(name, help string, amount float64) {
		e.family(name, "gauge", help)
		e.sample(name, "", "", amount)
	}
	gauge("process_rss_bytes", "Resident set size, shared pages in full.", float64(s.Total.Rss))
	gauge("process_pss_bytes", "Proportional set size: each shared page divided by its users.", float64(s.Total.Pss))
	gauge("process_uss_bytes", "Unique set size: what would be free if the daemon ended.", float64(s.Total.Uss()))
	gauge("process_swap_bytes", "Memory of the daemon in swap.", float64(s.Total.Swap))
	gauge("process_peak_rss_bytes", "Highest resident set size so far.", float64(s.Peak))
	gauge("process_threads", "Threads of the operating system.", float64(s.Threads))
	gauge("go_goroutines", "Goroutines.", float64(s.Go.Goroutines))
	e.family("go_collections_total", "counter", "Garbage collections of Go's runtime.")
	e.sample("go_collections_total", "", "", float64(s.Go.Collections))
	e.family("memory_part_pss_bytes", "gauge", "Proportional set size by class of mapping; adds up to edged_process_pss_bytes.")
	for part, usage := range s.Parts {
		e.sample("memory_part_pss_bytes", "part", memory.Part(part).String(), float64(usage.Pss))
	}
	e.family("memory_part_growth_bytes", "gauge", "Growth of each part's proportional set size since the daemon was ready.")
	for part, growth := range s.Growth {
		e.sample("memory_part_growth_bytes", "part", memory.Part(part).String(), float64(growth))
	}
	e.cgroup(&s.Cgroup, gauge)
	e.system(s, gauge)
}

func (e *exposition) cgroup(c *memory.Cgroup, gauge func(name, help string, amount float64)) {
	if c.Version == 0 {
		return
	}
	gauge("cgroup_memory_current_bytes", "Memory charged to the control group.", float64(c.Current))
	if c.Limit() != memory.NoLimit {
		gauge("cgroup_memory_limit_bytes", "The lowest of memory.high and memory.max up to the root.", float64(c.Limit()))
	}
	e.family("cgroup_memory_events_total", "counter", "Times the control group reached its limits.")
	e.sample("cgroup_memory_events_total", "event", "high", float64(c.HighEvents))
	e.sample("cgroup_memory_events_total", "event", "max", float64(c.MaxEvents))
	e.sample("cgroup_memory_events_total", "event", "oom", float64(c.OomEvents))
	e.sample("cgroup_memory_events_total", "event", "oom_kill", float64(c.OomKillCount))
}

func (e *exposition) system(s *memory.Snapshot, gauge func(name, help string, amount float64)) {
	if s.System.Total != 0 {
		gauge("system_memory_bytes", "Memory of the board.", float64(s.System.Total))
		gauge("system_memory_available_bytes", "Memory the board could still give out without swapping.", float64(s.System.Available))
	}
	if s.Pressure.Known {
		e.family("system_memory_pressure_seconds_total", "counter", "Time in which some or all tasks waited for memory (PSI).")
		e.sample("system_memory_pressure_seconds_total", "tasks", "some", float64(s.Pressure.SomeMicroseconds)/1e6)
		e.sample("system_memory_pressure_seconds_total", "tasks", "full", float64(s.Pressure.FullMicroseconds)/1e6)
	}
	if !math.IsNaN(s.Temperature) {
		gauge("board_temperature_celsius", "The hottest thermal zone.", s.Temperature)
	}
	if s.Throttle.Known {
		gauge("board_throttled", "The firmware's state word; not 0: power or heat is or was a problem.", float64(s.Throttle.Word))
	}
}

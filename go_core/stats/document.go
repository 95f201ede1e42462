package stats

import (
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"edged/counters"
	"edged/memory"
)

// Document is everything the daemon tells of itself. Its methods are safe from any goroutine once Registry is filled.
type Document struct {
	Registry

	started time.Time
	ledger  atomic.Pointer[memory.Ledger]
	python  atomic.Pointer[[]byte]
	model   atomic.Pointer[[]byte]

	mu      sync.Mutex
	scratch counters.Snapshot
}

// NewDocument returns a document of a daemon that starts now.
func NewDocument() *Document { return &Document{started: time.Now()} }

// SetLedger says where the sections process, memory, cgroup and system come from.
func (d *Document) SetLedger(l *memory.Ledger) { d.ledger.Store(l) }

// SetPython replaces the section python: a JSON object, the interpreter's own account. The document keeps it.
func (d *Document) SetPython(object []byte) { d.python.Store(&object) }

// SetModel replaces the section model: a JSON object. The document keeps it.
func (d *Document) SetModel(object []byte) { d.model.Store(&object) }

// Uptime is how long the daemon has run, on the monotonic clock.
func (d *Document) Uptime() time.Duration { return time.Since(d.started) }

// Snapshot returns the ledger's last reading, nil before the first.
func (d *Document) Snapshot() *memory.Snapshot {
	if l := d.ledger.Load(); l != nil {
		return l.Snapshot()
	}
	return nil
}

// AppendJSON appends the document, one JSON object. Counts are of this moment, memory is of the last reading, age_ms ago.
// It allocates nothing when dst has room for about 6 KiB.
func (d *Document) AppendJSON(dst []byte) []byte {
	dst = append(dst, `{"uptime_seconds":`...)
	dst = strconv.AppendFloat(dst, d.Uptime().Seconds(), 'f', 1, 64)
	if s := d.Snapshot(); s != nil {
		dst = append(dst, `,"age_ms":`...)
		dst = strconv.AppendInt(dst, time.Since(s.At).Milliseconds(), 10)
		dst = append(dst, ',')
		dst = s.AppendJSON(dst)
	}
	dst = d.appendCounters(dst)
	dst = d.appendHistograms(dst)
	dst = d.appendGauges(dst)
	dst = appendSection(dst, "python", d.python.Load())
	dst = appendSection(dst, "model", d.model.Load())
	return append(dst, '}')
}

func appendSection(dst []byte, name string, object *[]byte) []byte {
	if object == nil {
		return dst
	}
	dst = appendName(append(dst, ','), name)
	return append(dst, *object...)
}

// appendName appends a name of the daemon's own, which needs no escapes.
func appendName(dst []byte, name string) []byte {
	dst = append(dst, '"')
	dst = append(dst, name...)
	return append(dst, `":`...)
}

// separate appends a comma unless an object or the document has just begun.
func separate(dst []byte) []byte {
	if dst[len(dst)-1] == '{' {
		return dst
	}
	return append(dst, ',')
}

func (d *Document) appendCounters(dst []byte) []byte {
	dst = append(dst, `,"counters":{`...)
	for _, c := range d.counters {
		dst = appendName(separate(dst), c.name)
		if c.label == "" {
			dst = strconv.AppendUint(dst, c.values[0].read(), 10)
			continue
		}
		dst = append(dst, '{')
		for _, v := range c.values {
			dst = strconv.AppendUint(appendName(separate(dst), v.value), v.read(), 10)
		}
		dst = append(dst, '}')
	}
	return append(dst, '}')
}

func (d *Document) appendHistograms(dst []byte) []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	dst = append(dst, `,"latency":{`...)
	for _, h := range d.latencies {
		h.histogram.ReadInto(&d.scratch)
		dst = d.scratch.AppendLatencyJSON(appendName(separate(dst), h.name))
	}
	dst = append(dst, `},"sizes":{`...)
	for _, h := range d.sizes {
		h.histogram.ReadInto(&d.scratch)
		dst = d.scratch.AppendSizeJSON(appendName(separate(dst), h.name))
	}
	return append(dst, '}')
}

// appendGauges writes an object for each section; gauges of a section are entered one after the other.
func (d *Document) appendGauges(dst []byte) []byte {
	section := ""
	for _, g := range d.gauges {
		if g.section != section {
			if section != "" {
				dst = append(dst, '}')
			}
			section = g.section
			dst = append(appendName(append(dst, ','), section), '{')
		}
		dst = strconv.AppendInt(appendName(separate(dst), g.name), g.read(), 10)
	}
	if section != "" {
		dst = append(dst, '}')
	}
	return dst
}

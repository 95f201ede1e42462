package stats

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"edged/counters"
	"edged/memory"
)

var atStart = memory.ObserveRuntime()

// filled returns a document with one of everything, and the counters behind it.
func filled(t *testing.T) *Document {
	t.Helper()
	d := NewDocument()
	var requests, busy, tooLarge counters.Counter
	var queue, batch counters.Histogram
	requests.Add(7)
	busy.Add(2)
	queue.Observe(3 * time.Millisecond)
	batch.Record(5)
	d.Counter("requests", "Requests read.", requests.Load)
	d.CounterBy("errors", "Requests answered with an error.", "code", "busy", busy.Load)
	d.CounterBy("errors", "Requests answered with an error.", "code", "too_large", tooLarge.Load)
	d.Gauge("queue", "reviews", "Reviews waiting.", func() int64 { return 3 })
	d.Gauge("queue", "bytes", "Bytes held.", func() int64 { return 4096 })
	d.Gauge("clients", "connected", "Clients connected.", func() int64 { return 1 })
	d.Latency("queue", &queue)
	d.Sizes("batch_reviews", "Reviews in a batch.", &batch)
	ledger := memory.NewLedger(atStart, memory.Sources{})
	if _, err := ledger.Read(); err != nil {
		t.Fatal(err)
	}
	d.SetLedger(ledger)
	d.SetPython([]byte(`{"modules":3}`))
	d.SetModel([]byte(`{"name":"x"}`))
	return d
}

func TestTheDocumentHasEverySection(t *testing.T) {
	var document map[string]any
	text := filled(t).AppendJSON(nil)
	if err := json.Unmarshal(text, &document); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	for _, section := range []string{
		"uptime_seconds", "age_ms", "process", "memory", "cgroup", "system", "counters", "latency", "sizes", "queue", "clients", "python", "model",
	} {
		if document[section] == nil {
			t.Errorf("no section %s in %s", section, text)
		}
	}
	for _, part := range []string{
		`"counters":{"requests":7,"errors":{"busy":2,"too_large":0}}`, `"queue":{"reviews":3,"bytes":4096},"clients":{"connected":1}`,
		`"latency":{"queue":{"count":1,"mean_us":3000.0`, `"sizes":{"batch_reviews":{"count":1,"mean":5.0,"p50":5.0`,
	} {
		if !strings.Contains(string(text), part) {
			t.Errorf("no %s in %s", part, text)
		}
	}
}

func TestAnEmptyDocumentIsStillOne(t *testing.T) {
	d := NewDocument()
	if text := d.AppendJSON(nil); !json.Valid(text) {
		t.Errorf("%s", text)
	}
	if text := string(d.AppendMetrics(nil)); !strings.HasPrefix(text, "# HELP edged_uptime_seconds ") {
		t.Errorf("%s", text)
	}
}

func TestMetricsFollowTheTextFormat(t *testing.T) {
	text := string(filled(t).AppendMetrics(nil))
	for _, line := range []string{
		"# TYPE edged_requests_total counter\nedged_requests_total 7\n",
		"# TYPE edged_errors_total counter\nedged_errors_total{code=\"busy\"} 2\nedged_errors_total{code=\"too_large\"} 0\n",
		"edged_queue_bytes 4096\n",
		"edged_stage_duration_seconds_bucket{stage=\"queue\",le=\"0.001048576\"} 0\nedged_stage_duration_seconds_bucket{stage=\"queue\",le=\"0.004194304\"} 1\n",
		"edged_stage_duration_seconds_bucket{stage=\"queue\",le=\"+Inf\"} 1\nedged_stage_duration_seconds_sum{stage=\"queue\"} 0.003\nedged_stage_duration_seconds_count{stage=\"queue\"} 1\n",
		"edged_batch_reviews_bucket{le=\"3\"} 0\nedged_batch_reviews_bucket{le=\"7\"} 1\n",
		"edged_batch_reviews_sum 5\nedged_batch_reviews_count 1\n",
		"edged_memory_part_pss_bytes{part=\"go\"} ",
	} {
		if !strings.Contains(text, line) {
			t.Errorf("no %q in\n%s", line, text)
		}
	}
}

func TestLabelsAreEscaped(t *testing.T) {
	e := &exposition{}
	e.sample("x", "path", "a\"b\\c\nd\xff", 1)
	if want := "edged_x{path=\"a\\\"b\\\\c\\nd\uFFFD\"} 1\n"; string(e.dst) != want {
		t.Errorf("%q, want %q", e.dst, want)
	}
}

func TestServingTheDocumentDoesNotAllocate(t *testing.T) {
	d := filled(t)
	buffer := make([]byte, 0, 32<<10)
	if n := testing.AllocsPerRun(100, func() { buffer = d.AppendJSON(buffer[:0]) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

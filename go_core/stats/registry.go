// Package stats puts together what the daemon tells of itself: the JSON document that answers the stats request, goes out
// on the PUB socket and feeds the status page, and the metrics Prometheus reads. Both come from one Registry, in which
// every part of the daemon enters what it counts.
package stats

import (
	"edged/counters"
)

// Registry lists what is counted. It is filled while the daemon starts and only read afterwards.
type Registry struct {
	counters  []counter
	gauges    []gauge
	latencies []histogram
	sizes     []histogram
}

type counter struct {
	name, help string
	label      string // "" for a plain counter
	values     []labelled
}

type labelled struct {
	value string
	read  func() uint64
}

type gauge struct {
	section, name, help string
	read                func() int64
}

type histogram struct {
	name, help string
	histogram  *counters.Histogram
}

// Counter enters a count of events; read must be safe from any goroutine. In JSON it is counters.NAME, for Prometheus
// edged_NAME_total.
func (r *Registry) Counter(name, help string, read func() uint64) {
	r.counters = append(r.counters, counter{name: name, help: help, values: []labelled{{"", read}}})
}

// CounterBy enters one of several counts told apart by a label: the first call for a name sets help and label. In JSON
// they are an object counters.NAME, for Prometheus edged_NAME_total{LABEL="VALUE"}.
func (r *Registry) CounterBy(name, help, label, value string, read func() uint64) {
	for i := range r.counters {
		if r.counters[i].name == name {
			r.counters[i].values = append(r.counters[i].values, labelled{value, read})
			return
		}
	}
	r.counters = append(r.counters, counter{name: name, help: help, label: label, values: []labelled{{value, read}}})
}

// Gauge enters an amount that goes up and down; read must be safe from any goroutine. In JSON it is SECTION.NAME, for
// Prometheus edged_SECTION_NAME.
func (r *Registry) Gauge(section, name, help string, read func() int64) {
	r.gauges = append(r.gauges, gauge{section, name, help, read})
}

// Latency enters the duration of one stage on a review's path. In JSON it is latency.STAGE, for Prometheus
// edged_stage_duration_seconds{stage="STAGE"}.
func (r *Registry) Latency(stage string, h *counters.Histogram) {
	r.latencies = append(r.latencies, histogram{name: stage, histogram: h})
}

// Sizes enters a distribution of sizes. In JSON it is sizes.NAME, for Prometheus edged_NAME.
func (r *Registry) Sizes(name, help string, h *counters.Histogram) {
	r.sizes = append(r.sizes, histogram{name, help, h})
}

// Package status composes what the daemon says about itself: the answers to stats, health
// and info.
package status

import (
	"encoding/json"
	"time"

	"edged/batcher"
	"edged/counters"
	"edged/gateway"
	"edged/model"
	"edged/protocol"
)

// Info is the answer to info: what does not change while a generation serves.
type Info struct {
	Version    string   `json:"version"`
	Host       string   `json:"host"`
	Python     string   `json:"python"`
	Model      string   `json:"model"`
	ModelPath  string   `json:"model_path,omitempty"`
	Labels     []string `json:"labels,omitempty"`
	Generation int64    `json:"generation"`
	Endpoints  []string `json:"endpoints"`
	Inline     bool     `json:"inline"`
	Limits     Limits   `json:"limits"`
}

// Limits is what a client must keep to.
type Limits struct {
	MaxMessageBytes int64 `json:"max_message_bytes"`
	MaxReviews      int64 `json:"max_reviews"`
	MaxReviewBytes  int64 `json:"max_review_bytes"`
}

// Reporter composes the answers. Its fields are set before it is used.
type Reporter struct {
	Info    func() Info
	Batcher *batcher.Batcher
	Gateway *gateway.Gateway
	Stages  *model.Stages
	Started time.Time
	// Sections adds parts to stats, by name.
	Sections map[string]func() any
}

// Answer returns the JSON object for op. On the serving goroutine only.
func (r *Reporter) Answer(op protocol.Op) []byte {
	var object any
	switch op {
	case protocol.OpInfo:
		object = r.Info()
	case protocol.OpHealth:
		object = r.health()
	default:
		object = r.stats()
	}
	text, err := json.Marshal(object)
	if err != nil {
		// Only a section that holds NaN or a channel could do this: a bug worth seeing.
		text, _ = json.Marshal(map[string]string{"fault": err.Error()})
	}
	return text
}

func (r *Reporter) health() any {
	return map[string]any{"status": "ok", "uptime_seconds": int64(time.Since(r.Started).Seconds())}
}

func (r *Reporter) stats() any {
	reviews, bytes := r.Batcher.Waiting()
	info := r.Info()
	stats := map[string]any{
		"version":        info.Version,
		"uptime_seconds": int64(time.Since(r.Started).Seconds()),
		"host":           info.Host,
		"model":          map[string]any{"name": info.Model, "generation": info.Generation},
		"queue":          map[string]int64{"reviews": reviews, "bytes": bytes},
		"counters":       r.counters(),
		"latency":        r.latency(),
	}
	for name, section := range r.Sections {
		stats[name] = section()
	}
	return stats
}

func (r *Reporter) counters() map[string]any {
	b, g := &r.Batcher.Counters, &r.Gateway.Counters
	failed := map[string]uint64{}
	for i, code := range protocol.Codes {
		failed[string(code)] = b.Failed[i].Load()
	}
	return map[string]any{
		"received": g.Received.Load(), "sent": g.Sent.Load(),
		"dropped_unroutable": g.Unroutable.Load(), "dropped_slow": g.DroppedSlow.Load(),
		"admitted": b.Admitted.Load(), "answered": b.Answered.Load(), "failed": failed,
		"reviews": b.Reviews.Load(), "batches": b.Batches.Load(),
	}
}

// Distribution is a histogram in few numbers; latencies are in microseconds.
type Distribution struct {
	Count uint64  `json:"count"`
	Mean  float64 `json:"mean"`
	P50   float64 `json:"p50"`
	P95   float64 `json:"p95"`
	P99   float64 `json:"p99"`
	Max   float64 `json:"max"`
}

func distribution(h *counters.Histogram, unit float64) Distribution {
	s := h.Snapshot()
	return Distribution{Count: s.Count, Mean: s.Mean() / unit, P50: float64(s.Quantile(0.5)) / unit,
		P95: float64(s.Quantile(0.95)) / unit, P99: float64(s.Quantile(0.99)) / unit, Max: float64(s.Max) / unit}
}

func (r *Reporter) latency() map[string]Distribution {
	b := &r.Batcher.Counters
	const us = 1000
	return map[string]Distribution{
		"queue_us": distribution(&b.Queue, us), "features_us": distribution(&r.Stages.Features, us),
		"inference_us": distribution(&r.Stages.Inference, us), "batch_us": distribution(&b.Run, us),
		"total_us": distribution(&b.Total, us), "batch_reviews": distribution(&b.BatchSize, 1),
	}
}

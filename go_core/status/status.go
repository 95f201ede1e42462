// Package status composes the daemon's answers to health, info and stats.
package status

import (
	"encoding/json"
	"time"

	"edged/protocol"
	"edged/stats"
)

// Info is the answer to info: what does not change while a generation serves.
type Info struct {
	Version     string   `json:"version"`
	Host        string   `json:"host"`
	MetaCall    string   `json:"metacall,omitempty"` // its version, where it is the host
	Python      string   `json:"python"`
	Interpreter string   `json:"interpreter"` // path
	Model       string   `json:"model"`
	ModelPath   string   `json:"model_path,omitempty"`
	Labels      []string `json:"labels,omitempty"`
	Generation  int64    `json:"generation"`
	Endpoints   []string `json:"endpoints"`
	Inline      bool     `json:"inline"`
	PID         int      `json:"pid"`
	SHA256      string   `json:"model_sha256,omitempty"`
	Reload      Reload   `json:"reload"`
	Limits      Limits   `json:"limits"`
}

// Reload is what became of the last reload. Attempts grows with each, whatever its outcome.
type Reload struct {
	Attempts     int64    `json:"attempts"`
	Error        string   `json:"error"`         // "": it succeeded
	NeedsRestart []string `json:"needs_restart"` // keys that changed and can't change while the daemon runs
}

// Limits is what a client must keep to.
type Limits struct {
	MaxMessageBytes int64 `json:"max_message_bytes"`
	MaxReviews      int64 `json:"max_reviews"`
	MaxReviewBytes  int64 `json:"max_review_bytes"`
}

// Reporter composes the answers. Its fields are set before it is used.
type Reporter struct {
	Info  func() Info
	Stats *stats.Document

	buffer []byte
}

// Answer returns the JSON object for op, valid until the next call. On the serving goroutine only.
func (r *Reporter) Answer(op protocol.Op) []byte {
	switch op {
	case protocol.OpInfo:
		return encode(r.Info())
	case protocol.OpHealth:
		return encode(map[string]any{"status": "ok", "uptime_seconds": int64(r.Stats.Uptime() / time.Second)})
	default:
		r.buffer = r.Stats.AppendJSON(r.buffer[:0])
		return r.buffer
	}
}

func encode(object any) []byte {
	text, err := json.Marshal(object)
	if err != nil {
		panic(err) // only a channel or NaN could do this, and there is none in what is encoded
	}
	return text
}

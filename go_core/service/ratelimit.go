package service

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// RateLimited wraps a handler so that a flood of one event writes at most burst lines per window, then one line that
// says how many were suppressed. Boards log to SD cards. Events are told apart by the attributes "event" and "code", else
// by message.
type RateLimited struct {
	next    slog.Handler
	limits  *limits
	event   string // set by WithAttrs
	grouped bool   // after WithGroup an attribute "event" is the group's
}

type limits struct {
	mu     sync.Mutex
	burst  int
	window time.Duration
	after  func(time.Duration, func()) // time.AfterFunc, but for tests
	seen   map[string]*flood
}

type flood struct {
	passed     int
	suppressed int64
}

// NewRateLimited lets burst records of each event through in any window.
// The summary is written when the window ends, whether or not the event goes on.
func NewRateLimited(next slog.Handler, burst int, window time.Duration) *RateLimited {
	after := func(d time.Duration, f func()) { time.AfterFunc(d, f) }
	return &RateLimited{next: next, limits: &limits{burst: burst, window: window, after: after, seen: map[string]*flood{}}}
}

// Enabled implements slog.Handler.
func (h *RateLimited) Enabled(ctx context.Context, level slog.Level) bool {
	return h.next.Enabled(ctx, level)
}

// Handle implements slog.Handler.
func (h *RateLimited) Handle(ctx context.Context, r slog.Record) error {
	event, code := h.event, ""
	if !h.grouped {
		r.Attrs(func(a slog.Attr) bool {
			switch a.Key {
			case "event":
				event = a.Value.String()
			case "code":
				code = a.Value.String()
			}
			return true
		})
	}
	key := event + "\x00" + code
	if event == "" {
		key = r.Message
	}
	if !h.limits.admit(key, func(n int64) { h.summarize(r, event, code, n) }) {
		return nil
	}
	return h.next.Handle(ctx, r)
}

func (h *RateLimited) summarize(r slog.Record, event, code string, suppressed int64) {
	summary := slog.NewRecord(time.Now(), r.Level, "suppressed similar messages: "+r.Message, 0)
	if event != "" && h.event == "" {
		summary.AddAttrs(slog.String("event", event))
	}
	if code != "" {
		summary.AddAttrs(slog.String("code", code))
	}
	summary.AddAttrs(slog.Int64("suppressed", suppressed), slog.Duration("window", h.limits.window))
	_ = h.next.Handle(context.Background(), summary) // nowhere left to report to
}

// admit counts one record of an event. The first one opens a window; when that ends, summarize is called
// if any was suppressed, and the event starts afresh.
func (l *limits) admit(key string, summarize func(suppressed int64)) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	f := l.seen[key]
	if f == nil {
		f = &flood{}
		l.seen[key] = f
		l.after(l.window, func() {
			l.mu.Lock()
			delete(l.seen, key)
			suppressed := f.suppressed
			l.mu.Unlock()
			if suppressed > 0 {
				summarize(suppressed)
			}
		})
	}
	if f.passed < l.burst {
		f.passed++
		return true
	}
	f.suppressed++
	return false
}

// WithAttrs implements slog.Handler.
func (h *RateLimited) WithAttrs(attrs []slog.Attr) slog.Handler {
	with := *h
	with.next = h.next.WithAttrs(attrs)
	for _, a := range attrs {
		if a.Key == "event" && !h.grouped {
			with.event = a.Value.String()
		}
	}
	return &with
}

// WithGroup implements slog.Handler.
func (h *RateLimited) WithGroup(name string) slog.Handler {
	with := *h
	with.next, with.grouped = h.next.WithGroup(name), h.grouped || name != ""
	return &with
}

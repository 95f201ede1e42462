package service

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"
)

type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) take() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.b.Reset()
	return strings.Split(strings.TrimSuffix(l.b.String(), "\n"), "\n")
}

// limitedLogger's third result ends all windows open at the time.
func limitedLogger(burst int, window time.Duration) (*slog.Logger, *lines, func()) {
	out := &lines{}
	noTime := func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}
	text := slog.NewTextHandler(out, &slog.HandlerOptions{ReplaceAttr: noTime})
	handler := NewRateLimited(text, burst, window)
	var open []func()
	handler.limits.after = func(_ time.Duration, end func()) { open = append(open, end) }
	return slog.New(handler), out, func() {
		for _, end := range open {
			end()
		}
		open = nil
	}
}

func TestFloodWritesABurstThenOneSummary(t *testing.T) {
	log, out, endWindows := limitedLogger(2, 10*time.Second)
	for range 100_000 {
		log.Warn("refused", "event", "bad_request", "code", "bad_request")
	}
	log.Warn("refused", "event", "bad_request", "code", "busy")
	if got := out.take(); len(got) != 3 {
		t.Errorf("%d lines: %q", len(got), got)
	}
	endWindows()
	want := `level=WARN msg="suppressed similar messages: refused" event=bad_request code=bad_request suppressed=99998 window=10s`
	if got := out.take(); len(got) != 1 || got[0] != want {
		t.Errorf("after the window: %q", got)
	}
	log.Warn("refused", "event", "bad_request")
	if got := out.take(); len(got) != 1 || got[0] != `level=WARN msg=refused event=bad_request` {
		t.Errorf("a new window: %q", got)
	}
}

func TestLimitKnowsEventsSetByWith(t *testing.T) {
	log, out, endWindows := limitedLogger(1, time.Second)
	a, b := log.With("event", "a"), log.With("event", "b")
	for range 3 {
		a.Info("m")
		b.Info("m")
	}
	log.WithGroup("g").Info("other", "event", "a") // g.event is not the event
	if got := out.take(); len(got) != 3 {
		t.Errorf("%q", got)
	}
	endWindows()
	for _, line := range out.take() {
		if strings.Count(line, "event=") != 1 || !strings.Contains(line, "suppressed=2") {
			t.Errorf("summary %q", line)
		}
	}
}

func TestNothingSuppressedNoSummary(t *testing.T) {
	log, out, endWindows := limitedLogger(5, time.Second)
	log.Info("once")
	endWindows()
	if got := out.take(); len(got) != 1 {
		t.Errorf("%q", got)
	}
}

func TestTheWindowEndsByItself(t *testing.T) {
	out := &lines{}
	log := slog.New(NewRateLimited(slog.NewTextHandler(out, nil), 1, 20*time.Millisecond))
	log.Info("m")
	log.Info("m")
	logged := ""
	eventually(t, "the summary is written", func() bool {
		logged += strings.Join(out.take(), "\n")
		return strings.Contains(logged, "suppressed=1")
	})
}

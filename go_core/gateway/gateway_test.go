package gateway

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"edged/protocol"

	"github.com/pebbe/zmq4"
)

// echo is a Core that sends every body back, several times if told so.
type echo struct {
	times    int
	waiting  [][3][]byte
	held     atomic.Int64
	draining bool
}

func (e *echo) Receive(_ time.Duration, peer, envelope, body []byte, refusal *protocol.Error) {
	if refusal != nil {
		body = protocol.AppendError(nil, nil, refusal)
	}
	if e.draining {
		body = []byte("draining")
	}
	for range max(1, e.times) {
		e.waiting = append(e.waiting, [3][]byte{bytes.Clone(peer), bytes.Clone(envelope), bytes.Clone(body)})
	}
}
func (e *echo) Step(time.Duration)               {}
func (e *echo) Wait(time.Duration) time.Duration { return -1 }
func (e *echo) Hold(_ []byte, n int64)           { e.held.Add(n) }
func (e *echo) Release(_ []byte, n int64)        { e.held.Add(-n) }
func (e *echo) Full() bool                       { return e.held.Load() > 1<<20 }
func (e *echo) Drain()                           { e.draining = true }
func (e *echo) Drained() bool                    { return true }
func (e *echo) Flush(_ func() time.Duration, send func(peer, envelope, body []byte)) int {
	n := len(e.waiting)
	for _, w := range e.waiting {
		send(w[0], w[1], w[2])
	}
	e.waiting = nil
	return n
}

func testOptions(endpoint string) Options {
	start := time.Now()
	return Options{Endpoints: []string{endpoint}, SendHWM: 16, RecvHWM: 16, MaxMessageBytes: 1 << 20, OutboxBytes: 1 << 20,
		SendTimeout: time.Minute, DrainTimeout: time.Minute,
		Clock: func() time.Duration { return time.Since(start) + 1 }, Log: slog.New(slog.DiscardHandler)}
}

// shortFolder is short enough for an ipc path, which t.TempDir is not always.
func shortFolder(t *testing.T) string {
	folder, err := os.MkdirTemp("", "gw")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	return folder
}

// serve runs a gateway over core until the test ends.
func serve(t *testing.T, core Core, change func(*Options)) *Gateway {
	options := testOptions("ipc://" + shortFolder(t) + "/s")
	if change != nil {
		change(&options)
	}
	opened, done := make(chan *Gateway), make(chan error)
	go func() {
		runtime.LockOSThread()
		g, err := Open(options)
		if err != nil {
			t.Error(err)
		}
		opened <- g
		_, err = g.Serve(core)
		g.Close()
		done <- err
	}()
	g := <-opened
	t.Cleanup(func() {
		g.Drain()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return g
}

func dealer(t *testing.T, g *Gateway, kind zmq4.Type) *zmq4.Socket {
	s, err := zmq4.NewSocket(kind)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.SetLinger(0), s.SetRcvtimeo(time.Minute), s.Connect(g.Endpoints()[0])); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func send(t *testing.T, s *zmq4.Socket, frames ...string) {
	t.Helper()
	if _, err := s.SendMessage(frames); err != nil {
		t.Fatal(err)
	}
}

func receive(t *testing.T, s *zmq4.Socket) []string {
	t.Helper()
	frames, err := s.RecvMessage(0)
	if err != nil {
		t.Fatal(err)
	}
	return frames
}

func TestEnvelopesComeBackVerbatim(t *testing.T) {
	g := serve(t, &echo{}, nil)
	req := dealer(t, g, zmq4.REQ)
	send(t, req, "from a REQ")
	if got := receive(t, req); len(got) != 1 || got[0] != "from a REQ" {
		t.Errorf("got %q", got)
	}
	d := dealer(t, g, zmq4.DEALER)
	for _, frames := range [][]string{
		{"body"}, {"", "body"}, {"proxy1", "proxy2", "", "body"}, {"", ""}, {""},
		{"1", "2", "3", "4", "5", "6", "7", "body"}, {strings.Repeat("x", 300), "", "body"},
	} {
		send(t, d, frames...)
		if got := receive(t, d); fmt.Sprint(got) != fmt.Sprint(frames) {
			t.Errorf("sent %q, got %q", frames, got)
		}
	}
}

func TestMoreThanEightFramesAreRefused(t *testing.T) {
	g := serve(t, &echo{}, nil)
	d := dealer(t, g, zmq4.DEALER)
	for _, n := range []int{9, 200} {
		send(t, d, strings.Split(strings.Repeat("f,", n-1)+"body", ",")...)
		got := receive(t, d)
		if len(got) != 8 || !strings.Contains(got[7], "more than 8 frames") {
			t.Errorf("%d frames: got %q", n, got)
		}
	}
}

func TestMessagesOfAnySizeUpToTheLimit(t *testing.T) {
	g := serve(t, &echo{}, nil)
	d := dealer(t, g, zmq4.DEALER)
	for _, n := range []int{0, 1, 7, 8, 9, bufferSize - 100, bufferSize, bufferSize + 1, 1 << 20} {
		body := strings.Repeat("x", n)
		send(t, d, "small")
		send(t, d, body)
		send(t, d, "after")
		for _, want := range []string{"small", body, "after"} {
			if got := receive(t, d); got[0] != want {
				t.Fatalf("%d bytes: got %d", len(want), len(got[0]))
			}
		}
	}
	if len(g.router.buffer) != bufferSize {
		t.Errorf("the buffer stayed at %d bytes", len(g.router.buffer))
	}
}

// A peer's high-water mark must not cost an honest client a reply.
func TestRepliesOutlastTheHighWaterMark(t *testing.T) {
	core := &echo{times: 3000}
	g := serve(t, core, nil)
	d := dealer(t, g, zmq4.DEALER)
	if err := d.SetRcvhwm(1); err != nil {
		t.Fatal(err)
	}
	body := strings.Repeat("x", 200)
	send(t, d, body)
	for i := range 3000 {
		if got := receive(t, d); got[0] != body {
			t.Fatalf("reply %d: %q", i, got)
		}
	}
	eventually(t, "nothing is held any more", func() bool { return core.held.Load() == 0 })
}

func TestRepliesLeaveAsSoonAsThereIsRoom(t *testing.T) {
	const replies, mark = 1500, 2
	core := &echo{times: replies}
	d := dealer(t, serve(t, core, func(o *Options) { o.SendHWM = mark }), zmq4.DEALER)
	best := time.Minute
	for range 5 {
		start := time.Now()
		send(t, d, "x")
		for range replies {
			receive(t, d)
		}
		best = min(best, time.Since(start))
	}
	if byTimer := replies / (mark + 1) * retryEvery; best > byTimer/8 {
		t.Errorf("%d replies took %v; a try every %v would take %v", replies, best, retryEvery, byTimer)
	}
}

func TestAClientThatNeverReadsIsGivenUp(t *testing.T) {
	core := &echo{times: 2000}
	g := serve(t, core, func(o *Options) { o.OutboxBytes, o.SendTimeout = 100_000, 300*time.Millisecond })
	d := dealer(t, g, zmq4.DEALER)
	if err := d.SetRcvhwm(1); err != nil {
		t.Fatal(err)
	}
	send(t, d, strings.Repeat("x", 10_000)) // 20 MB of replies: no kernel buffer holds them
	eventually(t, "the replies are dropped", func() bool {
		if core.held.Load() > 100_000 {
			t.Fatalf("%d bytes held", core.held.Load())
		}
		return g.Counters.DroppedSlow.Load() > 0 && core.held.Load() == 0
	})
	other := dealer(t, g, zmq4.DEALER)
	send(t, other, "still served")
	if got := receive(t, other); got[0] != "still served" {
		t.Errorf("got %q", got)
	}
}

func TestRepliesToAGonePeerAreCounted(t *testing.T) {
	g := serve(t, &echo{times: 1}, nil)
	g.Post(func() { g.reply([]byte("nobody"), nil, []byte("x")) })
	eventually(t, "it is counted", func() bool { return g.Counters.Unroutable.Load() > 0 })
}

func TestPostRunsFromManyGoroutines(t *testing.T) {
	g := serve(t, &echo{}, nil)
	var ran atomic.Int32
	done := make(chan struct{})
	for range 100 {
		go g.Post(func() {
			if ran.Add(1) == 100 {
				close(done)
			}
		})
	}
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Fatalf("%d of 100 ran", ran.Load())
	}
}

func TestDrainEndsServeAndRemovesTheSocketFile(t *testing.T) {
	options := testOptions("ipc://" + shortFolder(t) + "/s")
	opened, done := make(chan *Gateway), make(chan bool)
	core := &echo{}
	go func() {
		runtime.LockOSThread()
		g, err := Open(options)
		if err != nil {
			t.Error(err)
		}
		opened <- g
		drained, _ := g.Serve(core)
		g.Close()
		done <- drained
	}()
	g := <-opened
	d := dealer(t, g, zmq4.DEALER)
	send(t, d, "before")
	if got := receive(t, d); got[0] != "before" {
		t.Fatal(got)
	}
	g.Drain()
	if drained := <-done; !drained {
		t.Error("not drained")
	}
	if _, err := os.Stat(strings.TrimPrefix(options.Endpoints[0], "ipc://")); err == nil {
		t.Error("the socket file is still there")
	}
	g.Wake() // must be harmless after the end
}

func TestBindErrorsSayWhatToDo(t *testing.T) {
	g := serve(t, &echo{}, nil)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for endpoint, want := range map[string]string{
		g.Endpoints()[0]:              "another process serves there",
		"ipc:///nonexistent/folder/s": "the folder must exist",
		"tcp://192.0.2.1:5555":        "must be one of this machine's",
	} {
		_, err := Open(testOptions(endpoint))
		var bind *BindError
		if !errors.As(err, &bind) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), endpoint) {
			t.Errorf("%s: %v", endpoint, err)
		}
	}
}

func TestTCPPortChosenByTheSystemAndTakenTwice(t *testing.T) {
	g := serve(t, &echo{}, func(o *Options) { o.Endpoints = []string{"tcp://127.0.0.1:*"} })
	if strings.HasSuffix(g.Endpoints()[0], "*") {
		t.Fatal(g.Endpoints())
	}
	d := dealer(t, g, zmq4.DEALER)
	send(t, d, "x")
	receive(t, d)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if _, err := Open(testOptions(g.Endpoints()[0])); err == nil || !strings.Contains(err.Error(), "stop the other process") {
		t.Errorf("got %v", err)
	}
}

func TestSocketFileIsForTheGroup(t *testing.T) {
	g := serve(t, &echo{}, nil)
	info, err := os.Stat(filepath.Clean(strings.TrimPrefix(g.Endpoints()[0], "ipc://")))
	if err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

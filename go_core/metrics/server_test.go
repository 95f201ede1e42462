package metrics

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// serve starts a server on a free port and returns its base URL and what makes it not ready.
func serve(t *testing.T) (base string, notReady *error) {
	t.Helper()
	l, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(time.Millisecond, func() { l.Address() }) // must not wait for the next connection
	notReady = new(error)
	s := &Server{
		Metrics:     func(dst []byte) []byte { return append(dst, "edged_x 1\n"...) },
		MetricsType: "text/plain; version=0.0.4; charset=utf-8",
		Stats:       func(dst []byte) []byte { return append(dst, `{"uptime_seconds":1}`...) },
		Alive:       func() error { return nil },
		Ready:       func() error { return *notReady },
		Log:         slog.New(slog.DiscardHandler),
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { s.Serve(ctx, l); close(ended) }()
	t.Cleanup(func() { cancel(); <-ended })
	return "http://" + l.Address().String(), notReady
}

func get(t *testing.T, method, url string) (*http.Response, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close() //nolint:errcheck // only read from
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer, string(body)
}

func TestPaths(t *testing.T) {
	base, notReady := serve(t)
	for _, test := range []struct {
		method, path string
		status       int
		kind, body   string
	}{
		{"GET", "/metrics", 200, "text/plain; version=0.0.4; charset=utf-8", "edged_x 1\n"},
		{"GET", "/metrics?a=b", 200, "text/plain; version=0.0.4; charset=utf-8", "edged_x 1\n"},
		{"HEAD", "/metrics", 200, "text/plain; version=0.0.4; charset=utf-8", ""},
		{"GET", "/stats", 200, "application/json", `{"uptime_seconds":1}`},
		{"GET", "/healthz", 200, textPlain, "ok\n"},
		{"GET", "/readyz", 200, textPlain, "ok\n"},
		{"GET", "/", 200, "text/html; charset=utf-8", string(page)},
		{"GET", "/else", 404, textPlain, "there is /metrics, /healthz, /readyz, /stats and /\n"},
		{"POST", "/metrics", 405, textPlain, "only GET and HEAD\n"},
	} {
		answer, body := get(t, test.method, base+test.path)
		if answer.StatusCode != test.status || answer.Header.Get("Content-Type") != test.kind || body != test.body {
			t.Errorf("%s %s: %d %s %q", test.method, test.path, answer.StatusCode, answer.Header.Get("Content-Type"), body)
		}
		if !strings.Contains(answer.Header.Get("Content-Security-Policy"), "default-src 'none'") {
			t.Errorf("%s: no policy", test.path)
		}
	}
	*notReady = errors.New("the daemon is draining")
	if answer, body := get(t, "GET", base+"/readyz"); answer.StatusCode != 503 || body != "the daemon is draining\n" {
		t.Errorf("not ready: %d %q", answer.StatusCode, body)
	}
}

func TestThePageStandsAloneAndIsSmall(t *testing.T) {
	if len(page) > 40<<10 {
		t.Errorf("the page has %d bytes, at most 40 KiB are wanted", len(page))
	}
	for _, outside := range []string{"http://", "https://", "src=", "@import", "url("} {
		if strings.Contains(string(page), outside) {
			t.Errorf("the page refers to something outside: %s", outside)
		}
	}
}

func TestWhatIsNoRequestIsRefused(t *testing.T) {
	base, _ := serve(t)
	for name, text := range map[string]string{
		"garbage":     "hello\r\n\r\n",
		"no path":     "GET metrics HTTP/1.1\r\n\r\n",
		"old":         "GET /metrics\r\n\r\n",
		"HTTP/2":      "PRI * HTTP/2.0\r\n\r\n",
		"long header": "GET / HTTP/1.1\r\nX: " + strings.Repeat("x", 2*mostHeader),
	} {
		connection, err := net.Dial("tcp", strings.TrimPrefix(base, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(connection, text); err != nil {
			t.Fatal(err)
		}
		answer, err := http.ReadResponse(bufio.NewReader(connection), nil)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if answer.StatusCode != 400 {
			t.Errorf("%s: %s", name, answer.Status)
		}
		_ = answer.Body.Close()
		_ = connection.Close()
	}
}

func TestSilentClientsKeepNobodyOut(t *testing.T) {
	base, _ := serve(t)
	for range mostClients - 1 {
		connection, err := net.Dial("tcp", strings.TrimPrefix(base, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer connection.Close() //nolint:errcheck // says nothing
	}
	if answer, _ := get(t, "GET", base+"/healthz"); answer.StatusCode != 200 {
		t.Errorf("%s", answer.Status)
	}
}

func TestListenSaysWhatIsWrong(t *testing.T) {
	taken, err := Listen("localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close() //nolint:errcheck // nothing was accepted
	for address, want := range map[string]string{
		"nonsense":               "not an address and a port",
		"127.0.0.1":              "not an address and a port",
		taken.Address().String(): "in use",
		"192.0.2.1:9464":         "cannot assign",
	} {
		var failure *ListenError
		if _, err := Listen(address); !errors.As(err, &failure) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "remedy") {
			t.Errorf("%s: %v", address, err)
		}
	}
}

func TestIPv6(t *testing.T) {
	l, err := Listen("[::1]:0")
	if err != nil {
		t.Skip("no IPv6 here:", err)
	}
	if address := l.Address(); !address.Addr().IsLoopback() || address.Port() == 0 {
		t.Errorf("%v", address)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := l.accept(); err == nil {
		t.Error("a closed listener accepts")
	}
}

func TestServeEndsWithItsContext(t *testing.T) {
	l, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { (&Server{Log: slog.New(slog.DiscardHandler)}).Serve(ctx, l); close(ended) }()
	cancel()
	select {
	case <-ended:
	case <-time.After(time.Minute):
		t.Fatal("still serving")
	}
}

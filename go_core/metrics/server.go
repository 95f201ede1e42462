package metrics

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"strconv"
	"time"

	_ "embed"
)

const (
	// timeout is how long one client may take for its request and for reading the answer.
	timeout = 5 * time.Second
	// mostClients are served side by side; others wait in the backlog.
	mostClients = 8
	// mostHeader bytes of request are read; browsers send less than 2 KiB.
	mostHeader = 8 << 10
)

//go:embed page.html
var page []byte

// Server answers from functions that never wait for the serving loop.
type Server struct {
	// Metrics appends Prometheus' text format, Stats the statistics as JSON.
	Metrics, Stats func([]byte) []byte
	// MetricsType is the content type of what Metrics appends.
	MetricsType string
	// Alive says why the daemon should be restarted, Ready why it should get no requests; nil: all is well.
	Alive, Ready func() error
	Log          *slog.Logger
}

// Serve answers requests until the context ends, then closes the Listener.
func (s *Server) Serve(ctx context.Context, l *Listener) {
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	slots := make(chan struct{}, mostClients)
	for {
		slots <- struct{}{}
		connection, err := l.accept()
		if err != nil {
			<-slots
			if errors.Is(err, os.ErrClosed) || ctx.Err() != nil {
				return
			}
			s.Log.Warn("metrics: no connection accepted", "event", "metrics_accept", "error", err.Error())
			time.Sleep(time.Second) // out of descriptors, most likely: nothing is gained by haste
			continue
		}
		go func() {
			defer func() { <-slots }()
			s.answer(connection)
		}()
	}
}

func (s *Server) answer(connection *os.File) {
	defer connection.Close() //nolint:errcheck // the answer is written or the client is gone
	if connection.SetDeadline(time.Now().Add(timeout)) != nil {
		return // not a socket the poller knows: a deadline is what keeps it from staying for ever
	}
	method, path, err := readRequest(connection)
	r := response{status: "400 Bad Request", kind: textPlain, body: []byte("GET /metrics, /healthz, /readyz, /stats or /\n")}
	switch {
	case err != nil && !errors.Is(err, errBadRequest):
		return // the client went away
	case err == nil && method != "GET" && method != "HEAD":
		r.status, r.body = "405 Method Not Allowed", []byte("only GET and HEAD\n")
	case err == nil:
		r = s.route(path)
	}
	if _, err := connection.Write(r.encode(method != "HEAD")); err == nil {
		finish(connection)
	}
}

// finish reads what the client still sends before the socket is closed: unread input would make TCP reset the connection,
// and the client might lose the answer.
func finish(connection *os.File) {
	_ = connection.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	raw, err := connection.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(shutdownWrite)
	_, _ = io.CopyN(io.Discard, connection, mostHeader)
}

var errBadRequest = errors.New("not an HTTP request")

// readRequest reads a request's head and returns its method and path, without the query.
func readRequest(r io.Reader) (method, path string, err error) {
	buffer := make([]byte, 0, mostHeader)
	for !bytes.Contains(buffer, []byte("\r\n\r\n")) {
		if len(buffer) == cap(buffer) {
			return "", "", errBadRequest
		}
		n, err := r.Read(buffer[len(buffer):cap(buffer)])
		if err != nil {
			return "", "", err
		}
		buffer = buffer[:len(buffer)+n]
	}
	line, _, _ := bytes.Cut(buffer, []byte("\r\n"))
	words := bytes.Split(line, []byte(" "))
	if len(words) != 3 || !bytes.HasPrefix(words[2], []byte("HTTP/1.")) || len(words[1]) == 0 || words[1][0] != '/' {
		return "", "", errBadRequest
	}
	target, _, _ := bytes.Cut(words[1], []byte("?"))
	return string(words[0]), string(target), nil
}

const (
	textPlain = "text/plain; charset=utf-8"
	// The page needs nothing but itself and /stats.
	pagePolicy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

func (s *Server) route(path string) response {
	switch path {
	case "/metrics":
		return response{"200 OK", s.MetricsType, s.Metrics(nil)}
	case "/stats":
		return response{"200 OK", "application/json", s.Stats(nil)}
	case "/healthz":
		return verdict(s.Alive())
	case "/readyz":
		return verdict(s.Ready())
	case "/":
		return response{"200 OK", "text/html; charset=utf-8", page}
	}
	return response{"404 Not Found", textPlain, []byte("there is /metrics, /healthz, /readyz, /stats and /\n")}
}

func verdict(err error) response {
	if err != nil {
		return response{"503 Service Unavailable", textPlain, []byte(err.Error() + "\n")}
	}
	return response{"200 OK", textPlain, []byte("ok\n")}
}

type response struct {
	status, kind string
	body         []byte
}

func (r *response) encode(withBody bool) []byte {
	head := "HTTP/1.1 " + r.status + "\r\nContent-Type: " + r.kind + "\r\nContent-Length: " + strconv.Itoa(len(r.body)) +
		"\r\nConnection: close\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nContent-Security-Policy: " + pagePolicy + "\r\n\r\n"
	out := make([]byte, 0, len(head)+len(r.body))
	out = append(out, head...)
	if withBody {
		out = append(out, r.body...)
	}
	return out
}

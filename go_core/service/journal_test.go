package service

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// journald stands where journald listens; the function it returns reads one entry, by datagram or by memfd.
func journald(t *testing.T) (path string, receive func() map[string]string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "socket")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return path, func() map[string]string {
		t.Helper()
		data, oob := make([]byte, 1<<18), make([]byte, 64)
		if err := conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		n, nOOB, _, _, err := conn.ReadMsgUnix(data, oob)
		if err != nil {
			t.Fatalf("nothing was logged: %v", err)
		}
		if nOOB > 0 {
			return entry(t, readSealed(t, oob[:nOOB]))
		}
		return entry(t, data[:n])
	}
}

func readSealed(t *testing.T, oob []byte) []byte {
	t.Helper()
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		t.Fatal(err)
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil {
		t.Fatal(err)
	}
	file := os.NewFile(uintptr(fds[0]), "memfd")
	defer file.Close() //nolint:errcheck // a test's
	if _, err := file.WriteAt([]byte("x"), 0); !errors.Is(err, unix.EPERM) {
		t.Errorf("the memfd is not sealed: %v", err)
	}
	data, err := io.ReadAll(io.NewSectionReader(file, 0, 1<<24))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// entry parses the native protocol as its specification has it.
func entry(t *testing.T, data []byte) map[string]string {
	t.Helper()
	fields := map[string]string{}
	for len(data) > 0 {
		line, rest, found := bytes.Cut(data, []byte("\n"))
		if !found {
			t.Fatalf("unfinished line %q", line)
		}
		name, value, plain := bytes.Cut(line, []byte("="))
		if !plain {
			n := binary.LittleEndian.Uint64(rest)
			value, rest = rest[8:8+n], rest[8+n+1:]
		}
		fields[string(name)], data = string(value), rest
	}
	return fields
}

func TestJournalFields(t *testing.T) {
	path, receive := journald(t)
	h, err := newJournalHandler(slog.LevelInfo, path)
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(h).With("host", "cpython").WithGroup("queue").With("reviews", 7)
	log.Warn("two\nlines", "event", "bad", "note", "a b", slog.Group("client", "key-id", int64(3)), "took", 20*time.Millisecond)
	got := receive()
	want := map[string]string{
		"MESSAGE":  "two\nlines host=cpython queue.reviews=7 queue.event=bad queue.note=\"a b\" queue.client.key-id=3 queue.took=20ms",
		"PRIORITY": "4", "SYSLOG_IDENTIFIER": "edged", "EDGED_HOST": "cpython", "EDGED_QUEUE_REVIEWS": "7",
		"EDGED_QUEUE_EVENT": "bad", "EDGED_QUEUE_NOTE": "a b", "EDGED_QUEUE_CLIENT_KEY_ID": "3", "EDGED_QUEUE_TOOK": "20ms",
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

func TestJournalEventStandsInAFieldNotInTheMessage(t *testing.T) {
	path, receive := journald(t)
	h, err := newJournalHandler(slog.LevelDebug, path)
	if err != nil {
		t.Fatal(err)
	}
	for level, priority := range map[slog.Level]string{slog.LevelDebug: "7", slog.LevelInfo: "6", slog.LevelWarn: "4", slog.LevelError: "3"} {
		slog.New(h).Log(t.Context(), level, "ready", "event", "ready", "empty", "")
		got := receive()
		if got["MESSAGE"] != `ready empty=""` || got["EDGED_EVENT"] != "ready" || got["PRIORITY"] != priority {
			t.Errorf("level %v: %v", level, got)
		}
	}
	if h.Enabled(t.Context(), slog.LevelDebug-1) {
		t.Error("a level below the handler's is enabled")
	}
}

func TestJournalPassesLargeMessagesBySealedMemfd(t *testing.T) {
	path, receive := journald(t)
	h, err := newJournalHandler(slog.LevelInfo, path)
	if err != nil {
		t.Fatal(err)
	}
	traceback := strings.Repeat("  File \"handler.py\", line 1\n", 40_000) // 1.1 MB, beyond any datagram
	slog.New(h).Error("handler failed", "traceback", traceback)
	if got := receive(); got["EDGED_TRACEBACK"] != traceback || got["PRIORITY"] != "3" {
		t.Errorf("%d bytes of traceback arrived, %d sent", len(got["EDGED_TRACEBACK"]), len(traceback))
	}
}

func TestFieldNames(t *testing.T) {
	for key, want := range map[string]string{
		"event": "EDGED_EVENT", "a.b-c d": "EDGED_A_B_C_D", "übel": "EDGED__BEL",
		strings.Repeat("x", 100): "EDGED_" + strings.Repeat("X", 58),
	} {
		if got := fieldName(key); got != want {
			t.Errorf("fieldName(%q) = %q, want %q", key, got, want)
		}
	}
}

func TestNoJournald(t *testing.T) {
	if _, err := newJournalHandler(slog.LevelInfo, filepath.Join(t.TempDir(), "none")); err == nil || !strings.Contains(err.Error(), "none") {
		t.Errorf("error %v", err)
	}
}

package service

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// LogFormats are the values of the configuration key log_format.
var LogFormats = []string{"auto", "journald", "text", "json"}

// Each event may write eventBurst lines in an eventWindow, then a summary: under a flood, 0.6 lines a second.
const (
	eventBurst  = 5
	eventWindow = 10 * time.Second
)

// NewLogHandler is where the daemon's log goes: "journald" by journald's native protocol, "text" or "json" to stderr; "auto"
// is the journal where stderr is connected to it, else text. It is rate-limited per event.
func NewLogHandler(format string, level slog.Leveler, stderr *os.File) (slog.Handler, error) {
	handler, err := newFormat(format, level, stderr)
	if err != nil {
		return nil, err
	}
	return NewRateLimited(handler, eventBurst, eventWindow), nil
}

func newFormat(format string, level slog.Leveler, stderr *os.File) (slog.Handler, error) {
	switch format {
	case "journald":
		return NewJournalHandler(level)
	case "json":
		return slog.NewJSONHandler(stderr, &slog.HandlerOptions{Level: level}), nil
	case "text":
		return newTextHandler(level, stderr), nil
	case "auto":
		if isJournalStream(stderr, os.Getenv("JOURNAL_STREAM")) {
			if handler, err := NewJournalHandler(level); err == nil {
				return handler, nil
			}
		}
		return newTextHandler(level, stderr), nil
	}
	return nil, fmt.Errorf("log_format = %q is unknown: use one of %q", format, LogFormats)
}

func newTextHandler(level slog.Leveler, w io.Writer) slog.Handler {
	return slog.NewTextHandler(w, &slog.HandlerOptions{Level: level})
}

// isJournalStream compares a file with JOURNAL_STREAM ("device:inode"), which systemd.exec(5) sets
// where it connected stderr to the journal. A shell that redirected stderr elsewhere inherits the variable, not the file.
func isJournalStream(file *os.File, stream string) bool {
	var st unix.Stat_t
	if stream == "" || unix.Fstat(int(file.Fd()), &st) != nil {
		return false
	}
	return stream == fmt.Sprintf("%d:%d", uint64(st.Dev), uint64(st.Ino)) //nolint:unconvert // narrower on 32-bit ARM
}

package service

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestLogFormats(t *testing.T) {
	for format, want := range map[string]string{"text": "level=WARN msg=m event=e", "json": `"msg":"m","event":"e"`, "auto": "msg=m event=e"} {
		t.Setenv("JOURNAL_STREAM", "")
		file, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
		if err != nil {
			t.Fatal(err)
		}
		handler, err := NewLogHandler(format, slog.LevelWarn, file)
		if err != nil {
			t.Fatal(err)
		}
		slog.New(handler).Warn("m", "event", "e")
		slog.New(handler).Info("below the level")
		written, err := os.ReadFile(file.Name())
		if err != nil || !strings.Contains(string(written), want) || strings.Contains(string(written), "below") {
			t.Errorf("%s: %q, %v", format, written, err)
		}
	}
	if _, err := NewLogHandler("xml", slog.LevelInfo, os.Stderr); err == nil || !strings.Contains(err.Error(), `"xml"`) || !strings.Contains(err.Error(), "journald") {
		t.Errorf("error %v", err)
	}
}

func TestIsJournalStream(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(file.Fd()), &st); err != nil {
		t.Fatal(err)
	}
	if stream := fmt.Sprintf("%d:%d", st.Dev, st.Ino); !isJournalStream(file, stream) {
		t.Errorf("%s is not recognised", stream)
	}
	for _, stream := range []string{"", "1:2", fmt.Sprintf("%d:%d", st.Dev, st.Ino+1)} {
		if isJournalStream(file, stream) {
			t.Errorf("%q is taken for this file", stream)
		}
	}
}

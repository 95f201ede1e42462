package gateway

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// logged is a log that tests may read while others write it.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logged) has(text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.b.String(), text)
}

func newLog() (*slog.Logger, *logged) {
	out := &logged{}
	return slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: slog.LevelDebug})), out
}

// eventually waits up to a minute: the tests are of what happens, not of how fast.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("never: " + what)
		}
	}
}

func watched(t *testing.T, folder string) (*AllowList, *logged) {
	t.Helper()
	log, out := newLog()
	list, err := NewAllowList(folder, log)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { list.Watch(ctx); close(done) }()
	t.Cleanup(func() { cancel(); <-done })
	return list, out
}

func TestAllowListFollowsItsFolder(t *testing.T) {
	folder := t.TempDir()
	list, log := watched(t, folder)
	eventually(t, "the empty folder is warned of", func() bool { return log.has("event=keys_none") })
	public, _ := newKeys(t)
	path := filepath.Join(folder, "till.key")
	allowed := func() bool { _, ok := list.Name(public); return ok }

	writeCertificate(t, path, public, "", 0o644)
	eventually(t, "the key is allowed", allowed)
	if name, _ := list.Name(public); name != "till" || list.Len() != 1 {
		t.Errorf("name %q of %d", name, list.Len())
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the key is revoked", func() bool { return !allowed() })
	eventually(t, "both are logged", func() bool {
		return log.has("event=key_allowed client=till") && log.has("event=key_revoked client=till")
	})
	// Allowed and revoked within one tick of the file system's clock: nothing that looks at time stamps would notice.
	for range 50 {
		writeCertificate(t, path, public, "", 0o644)
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	writeCertificate(t, filepath.Join(folder, "last.key"), newPublic(t), "", 0o644)
	eventually(t, "only the last is allowed", func() bool { return !allowed() && list.Len() == 1 })
}

func newPublic(t *testing.T) string { public, _ := newKeys(t); return public }

func TestAllowListFailsClosedAndRecovers(t *testing.T) {
	parent := t.TempDir()
	folder := filepath.Join(parent, "clients")
	public := newPublic(t)
	fill := func() {
		if err := os.Mkdir(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		writeCertificate(t, filepath.Join(folder, "till.key"), public, "", 0o644)
	}
	fill()
	list, log := watched(t, folder)
	if list.Len() != 1 {
		t.Fatalf("%d keys", list.Len())
	}
	if err := os.Rename(folder, folder+".old"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "nobody is allowed without the folder", func() bool { return list.Len() == 0 && log.has("event=keys_unwatched") })
	fill()
	eventually(t, "the new folder counts", func() bool { return list.Len() == 1 })
	if err := os.Chmod(folder, 0o777); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a folder that anyone may change counts for nothing", func() bool { return list.Len() == 0 && log.has("may be changed by others") })
	if err := os.Chmod(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a folder put right counts again", func() bool { return list.Len() == 1 })
}

func TestAllowListSkipsBadFilesAlone(t *testing.T) {
	folder := t.TempDir()
	writeCertificate(t, filepath.Join(folder, "good.key"), newPublic(t), "", 0o644)
	writeCertificate(t, filepath.Join(folder, "short.key"), "short", "", 0o644)
	writeCertificate(t, filepath.Join(folder, "writable.key"), newPublic(t), "", 0o644)
	if err := os.Chmod(filepath.Join(folder, "writable.key"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "notes.txt"), []byte("no key"), 0o644); err != nil {
		t.Fatal(err)
	}
	list, log := watched(t, folder)
	if list.Len() != 1 || !log.has("short.key") || !log.has("writable.key") || log.has("notes.txt") {
		t.Errorf("%d keys\n%s", list.Len(), log.b.String())
	}
	if list.Allows("") || list.Allows("short") || !list.Allows(localUser) {
		t.Error("somebody is allowed who should not be, or local users are not")
	}
}

func TestAllowListNeedsItsFolder(t *testing.T) {
	log, _ := newLog()
	missing := filepath.Join(t.TempDir(), "missing")
	if _, err := NewAllowList(missing, log); err == nil || !strings.Contains(err.Error(), missing) {
		t.Errorf("error %v", err)
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root to give a folder to another user")
	}
	foreign := t.TempDir()
	if err := os.Chown(foreign, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	if _, err := NewAllowList(foreign, log); err == nil || !strings.Contains(err.Error(), "user 65534") {
		t.Errorf("error %v", err)
	}
}

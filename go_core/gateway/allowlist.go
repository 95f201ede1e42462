package gateway

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// AllowList is the folder of client keys that may connect: one certificate NAME.key each, so that allowing and revoking
// are the atomic rename and removal of a file. Watch keeps it current; reading it is lock-free from any goroutine.
type AllowList struct {
	folder string
	log    *slog.Logger
	names  atomic.Pointer[map[string]string] // public key in Z85 -> NAME
	gone   atomic.Uint64                     // keys revoked since the start
}

// NewAllowList reads folder. It refuses a folder that others may change.
func NewAllowList(folder string, log *slog.Logger) (*AllowList, error) {
	l := &AllowList{folder: folder, log: log}
	names, err := l.read()
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		log.Warn("no client key is allowed yet, so nobody can connect: edgectl keys allow", "event", "keys_none", "folder", folder)
	}
	l.names.Store(&names)
	return l, nil
}

// Allows says whether a message may be served, by the User-Id that ZAP gave its connection. It is asked for every
// message, for libzmq can't close the open connection of a key that was revoked.
func (l *AllowList) Allows(user string) bool {
	_, allowed := l.Name(user)
	return allowed || user == localUser
}

// Name is the name under which a public key (Z85) is allowed.
func (l *AllowList) Name(key string) (name string, allowed bool) {
	name, allowed = (*l.names.Load())[key]
	return name, allowed
}

// Revoked counts the keys revoked since the start.
func (l *AllowList) Revoked() uint64 { return l.gone.Load() }

// Len is the number of allowed keys.
func (l *AllowList) Len() int { return len(*l.names.Load()) }

func (l *AllowList) read() (map[string]string, error) {
	info, err := os.Stat(l.folder)
	if err != nil {
		return nil, fmt.Errorf("curve.clients: %w\n  remedy: make the folder, owned by root with mode 755, or name another", err)
	}
	if err := checkOwnership(info); err != nil {
		return nil, fmt.Errorf("curve.clients: %s %w %s", l.folder, err, l.folder)
	}
	files, err := filepath.Glob(filepath.Join(l.folder, "*.key"))
	if err != nil {
		return nil, fmt.Errorf("curve.clients: %w", err)
	}
	names := make(map[string]string, len(files))
	for _, path := range files {
		name := strings.TrimSuffix(filepath.Base(path), ".key")
		key, err := readClientKey(path)
		switch {
		case errors.Is(err, os.ErrNotExist): // revoked since the folder was listed
		case err != nil:
			l.log.Error("client key skipped", "event", "key_invalid", "file", path, "error", err.Error())
		default:
			names[key] = name
		}
	}
	return names, nil
}

func readClientKey(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if err := checkOwnership(info); err != nil {
		return "", err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	certificate, err := parseCertificate(string(text))
	if err == nil && certificate.Public == "" {
		err = errors.New("has no public-key")
	}
	return certificate.Public, err
}

// Watch applies every change of the folder, as the kernel reports it, until ctx ends. While the folder can't be read, nobody is allowed.
func (l *AllowList) Watch(ctx context.Context) {
	for ctx.Err() == nil {
		err := l.follow(ctx)
		if ctx.Err() != nil {
			return
		}
		l.log.Error("client keys can't be watched: trying again", "event", "keys_unwatched", "error", err.Error())
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

const changes = unix.IN_CREATE | unix.IN_CLOSE_WRITE | unix.IN_MOVED_TO | unix.IN_MOVED_FROM | unix.IN_DELETE | unix.IN_ATTRIB |
	unix.IN_DELETE_SELF | unix.IN_MOVE_SELF | unix.IN_ONLYDIR

// follow returns when the folder itself goes away, or on error, or when ctx ends.
func (l *AllowList) follow(ctx context.Context) error {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return fmt.Errorf("inotify: %w", err)
	}
	events := os.NewFile(uintptr(fd), "inotify") // non-blocking, so Close wakes a Read
	defer events.Close()                         //nolint:errcheck // nothing was written
	defer context.AfterFunc(ctx, func() { _ = events.Close() })()
	_, watchErr := unix.InotifyAddWatch(fd, l.folder, changes)
	if err := errors.Join(l.refresh(), watchErr); err != nil {
		return err
	}
	buffer := make([]byte, 4096)
	for {
		n, err := events.Read(buffer)
		if err != nil {
			return fmt.Errorf("inotify: %w", err)
		}
		err = l.refresh()
		if err != nil {
			return err
		}
		if gone(buffer[:n]) {
			return errors.New("the folder was removed or replaced")
		}
	}
}

// gone finds IN_IGNORED or IN_MOVE_SELF among the events of one read (inotify(7): wd, mask, cookie, len, then len bytes).
func gone(events []byte) bool {
	for len(events) >= unix.SizeofInotifyEvent {
		mask := binary.NativeEndian.Uint32(events[4:])
		if mask&(unix.IN_IGNORED|unix.IN_MOVE_SELF) != 0 {
			return true
		}
		events = events[unix.SizeofInotifyEvent+int(binary.NativeEndian.Uint32(events[12:])):]
	}
	return false
}

// refresh reads the folder anew and logs who came and who went.
func (l *AllowList) refresh() error {
	names, err := l.read()
	if err != nil {
		names = map[string]string{}
	}
	before := *l.names.Swap(&names)
	for key, name := range names {
		if _, known := before[key]; !known {
			l.log.Info("client key allowed", "event", "key_allowed", "client", name)
		}
	}
	for key, name := range before {
		if _, still := names[key]; !still {
			l.gone.Add(1)
			l.log.Info("client key revoked", "event", "key_revoked", "client", name)
		}
	}
	return err
}

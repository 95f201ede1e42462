package service

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

const journalSocket = "/run/systemd/journal/socket"

// JournalHandler writes slog records to journald by its native protocol, one field per attribute:
// slog.Warn("refused", "event", "bad_request", "count", 3) becomes MESSAGE=refused count=3, PRIORITY=4,
// EDGED_EVENT=bad_request, EDGED_COUNT=3. The message repeats the attributes (event excepted) because that is all
// plain `journalctl` shows.
type JournalHandler struct {
	out    *journalWriter
	level  slog.Leveler
	fields []byte // of WithAttrs, encoded
	text   string // of WithAttrs, as appended to the message
	group  string // of WithGroup, as a prefix of keys: "group."
}

// journalWriter is shared by a handler and all its descendants.
type journalWriter struct {
	mu      sync.Mutex
	fd      int
	address *unix.SockaddrUnix
}

// NewJournalHandler opens a socket to journald. Records below level are dropped.
func NewJournalHandler(level slog.Leveler) (*JournalHandler, error) {
	return newJournalHandler(level, journalSocket)
}

func newJournalHandler(level slog.Leveler, path string) (*JournalHandler, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot open a socket for the journal: %w", err)
	}
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return nil, errors.Join(fmt.Errorf("no journald at %s: %w", path, err), unix.Close(fd))
	}
	return &JournalHandler{out: &journalWriter{fd: fd, address: &unix.SockaddrUnix{Name: path}}, level: level}, nil
}

// Enabled implements slog.Handler.
func (h *JournalHandler) Enabled(_ context.Context, level slog.Level) bool {
	return level >= h.level.Level()
}

// Handle implements slog.Handler.
func (h *JournalHandler) Handle(_ context.Context, r slog.Record) error {
	fields := bytes.NewBuffer(make([]byte, 0, 512))
	var text strings.Builder
	text.WriteString(r.Message)
	text.WriteString(h.text)
	fields.Write(h.fields)
	r.Attrs(func(a slog.Attr) bool {
		appendAttr(fields, &text, h.group, a)
		return true
	})
	appendField(fields, "MESSAGE", text.String())
	appendField(fields, "PRIORITY", strconv.Itoa(priority(r.Level)))
	appendField(fields, "SYSLOG_IDENTIFIER", "edged")
	return h.out.send(fields.Bytes())
}

// WithAttrs implements slog.Handler.
func (h *JournalHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	fields, text := bytes.NewBuffer(bytes.Clone(h.fields)), strings.Builder{}
	text.WriteString(h.text)
	for _, a := range attrs {
		appendAttr(fields, &text, h.group, a)
	}
	with := *h
	with.fields, with.text = fields.Bytes(), text.String()
	return &with
}

// WithGroup implements slog.Handler.
func (h *JournalHandler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	with := *h
	with.group += name + "."
	return &with
}

func appendAttr(fields *bytes.Buffer, text *strings.Builder, prefix string, a slog.Attr) {
	value := a.Value.Resolve()
	if value.Kind() == slog.KindGroup {
		if a.Key != "" {
			prefix += a.Key + "."
		}
		for _, member := range value.Group() {
			appendAttr(fields, text, prefix, member)
		}
		return
	}
	if a.Key == "" {
		return
	}
	key, written := prefix+a.Key, value.String()
	appendField(fields, fieldName(key), written)
	if key != "event" {
		if written == "" || strings.ContainsAny(written, " \t\n\"=") {
			written = strconv.Quote(written)
		}
		text.WriteString(" " + key + "=" + written)
	}
}

// fieldName turns an attribute's key into a journal field: uppercase letters, digits and underscores, at most 64 bytes
// (the limits of systemd.journal-fields(7) and of journald itself).
func fieldName(key string) string {
	name := "EDGED_" + strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z':
			return r - 'a' + 'A'
		case 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
			return r
		}
		return '_'
	}, key)
	return name[:min(len(name), 64)]
}

// appendField encodes one field: NAME=value, or with its length in 64 bits, little-endian, where the value has a newline.
func appendField(b *bytes.Buffer, name, value string) {
	b.WriteString(name)
	if strings.IndexByte(value, '\n') < 0 {
		b.WriteByte('=')
	} else {
		b.WriteByte('\n')
		b.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(value))))
	}
	b.WriteString(value)
	b.WriteByte('\n')
}

// priority maps slog's levels to syslog's: 7 debug, 6 info, 4 warning, 3 err.
func priority(level slog.Level) int {
	switch {
	case level >= slog.LevelError:
		return 3
	case level >= slog.LevelWarn:
		return 4
	case level >= slog.LevelInfo:
		return 6
	}
	return 7
}

func (w *journalWriter) send(datagram []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for {
		err := unix.Sendto(w.fd, datagram, unix.MSG_NOSIGNAL, w.address)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EMSGSIZE), errors.Is(err, unix.ENOBUFS):
			return w.sendLarge(datagram)
		default:
			return fmt.Errorf("cannot write to the journal: %w", err)
		}
	}
}

// sendLarge passes what does not fit into a datagram as a sealed memfd, as the protocol asks.
func (w *journalWriter) sendLarge(message []byte) error {
	fd, err := unix.MemfdCreate("edged-journal", unix.MFD_ALLOW_SEALING|unix.MFD_CLOEXEC)
	if err != nil {
		return fmt.Errorf("cannot pass a large message to the journal: %w", err)
	}
	file := os.NewFile(uintptr(fd), "edged-journal")
	defer file.Close() //nolint:errcheck // memory only
	if _, err := file.Write(message); err != nil {
		return fmt.Errorf("cannot pass a large message to the journal: %w", err)
	}
	seals := unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE | unix.F_SEAL_SEAL
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals); err != nil {
		return fmt.Errorf("cannot seal a large message for the journal: %w", err)
	}
	if err := unix.Sendmsg(w.fd, nil, unix.UnixRights(fd), w.address, unix.MSG_NOSIGNAL); err != nil {
		return fmt.Errorf("cannot pass a large message to the journal: %w", err)
	}
	return nil
}

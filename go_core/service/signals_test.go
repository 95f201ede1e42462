package service

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestLifecycle(t *testing.T) {
	address := filepath.Join(t.TempDir(), "notify")
	receive := listen(t, address)
	t.Setenv("NOTIFY_SOCKET", address)
	notifier, err := NewNotifier()
	if err != nil {
		t.Fatal(err)
	}
	reloads, exits, drains := make(chan error, 1), make(chan int, 1), make(chan struct{}, 2)
	ctx, cancel := context.WithCancel(t.Context())
	log := &lines{}
	l := &Lifecycle{
		Notifier: notifier, Log: slog.New(slog.NewTextHandler(log, nil)),
		Patience: 7 * time.Second,
		Drain:    func() { drains <- struct{}{} },
		Reload:   func() error { return <-reloads },
		Status:   func() string { return "serving" },
		Exit:     func(code int) { exits <- code },
	}
	done, listening := make(chan struct{}), make(chan struct{})
	go func() { l.run(ctx, func() { close(listening) }); close(done) }()
	<-listening
	kill := func(s syscall.Signal) {
		if err := syscall.Kill(os.Getpid(), s); err != nil {
			t.Fatal(err)
		}
	}
	for _, result := range []error{nil, errors.New("new model is broken")} {
		kill(syscall.SIGHUP)
		if got := receive(); !strings.HasPrefix(got, "RELOADING=1\nMONOTONIC_USEC=") {
			t.Errorf("on SIGHUP: %q", got)
		}
		if got := receive(); !strings.HasPrefix(got, "EXTEND_TIMEOUT_USEC=") {
			t.Errorf("while reloading: %q", got)
		}
		reloads <- result
		if got := receive(); got != "READY=1\nSTATUS=serving" {
			t.Errorf("after a reload with %v: %q", result, got)
		}
	}
	kill(syscall.SIGTERM)
	if got := receive(); !strings.HasPrefix(got, "STOPPING=1\n") {
		t.Errorf("on SIGTERM: %q", got)
	}
	if got := receive(); got != "EXTEND_TIMEOUT_USEC=7000000" {
		t.Errorf("for the drain: %q", got)
	}
	<-drains
	kill(syscall.SIGHUP) // Reload would block, as nothing is in reloads
	logged := ""
	eventually(t, "no reload while draining", func() bool {
		logged += strings.Join(log.take(), "\n")
		return strings.Contains(logged, "event=reload_refused")
	})
	kill(syscall.SIGTERM)
	if code := <-exits; code != 143 {
		t.Errorf("second SIGTERM exits %d", code)
	}
	kill(syscall.SIGINT)
	if code := <-exits; code != 130 {
		t.Errorf("SIGINT while draining exits %d", code)
	}
	if len(drains) != 0 {
		t.Error("drained twice")
	}
	cancel()
	<-done
}

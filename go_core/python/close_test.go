package python

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"
)

func TestCallsAfterCloseAreRefused(t *testing.T) {
	onEachHost(t, func(t *testing.T, host string) {
		h := open(t, testOptions(host))
		thread := attach(t, h)
		handle := loadFile(t, h, echo)
		if err := h.Close(); err != nil {
			t.Fatal(err)
		}
		_, call := thread.ProcessBatch(textsRecord(handle, "x"), nil)
		_, load := h.Load([]byte("{}"))
		_, memory := h.Memory()
		_, again := h.Attach()
		for what, err := range map[string]error{
			"ProcessBatch": call, "Load": load, "Memory": memory, "Attach": again,
			"Unload": h.Unload([]byte("{}")), "DumpTraceback": h.DumpTraceback(2), "Close": h.Close(),
		} {
			if !errors.Is(err, ErrClosed) {
				t.Errorf("%s after Close: %v", what, err)
			}
		}
		if err := thread.Detach(); err != nil {
			t.Errorf("Detach after Close: %v", err)
		}
	})
}

func TestASecondInterpreterIsRefused(t *testing.T) {
	onEachHost(t, func(t *testing.T, host string) {
		open(t, testOptions(host))
		if _, err := Open(testOptions(host)); err == nil {
			t.Error("a second Open succeeded")
		}
	})
}

func TestCloseWaitsForTheCallInFlight(t *testing.T) {
	onEachHost(t, func(t *testing.T, host string) {
		h := open(t, testOptions(host))
		handle, begun := loadFileThatTells(t, h, "time.sleep(0.3)")
		var answered atomic.Bool
		done := make(chan error, 1)
		go func() {
			thread, err := h.Attach()
			if err == nil {
				_, err = thread.ProcessBatch(textsRecord(handle, "x"), nil)
			}
			answered.Store(true)
			done <- err
		}()
		if !eventually(begun) {
			t.Fatal("the call never began")
		}
		if err := h.Close(); err != nil {
			t.Error(err)
		}
		if err := <-done; err != nil || !answered.Load() {
			t.Errorf("the call in flight: %v", err)
		}
	})
}

// MetaCall crashes when it is destroyed with a call in flight: Close gives up instead, and the process can exit.
func TestCloseGivesUpOnAHungCall(t *testing.T) {
	onEachHost(t, func(t *testing.T, host string) {
		options := testOptions(host)
		options.CloseTimeout = 200 * time.Millisecond
		h, err := Open(options)
		if err != nil {
			t.Fatal(err)
		}
		handle, begun := loadFileThatTells(t, h, "time.sleep(3600)")
		go func() { _ = callOnce(h, textsRecord(handle, "x")) }()
		if !eventually(begun) {
			t.Fatal("the call never began")
		}
		if err := h.Close(); !errors.Is(err, ErrHung) {
			t.Errorf("Close with a hung call: %v", err)
		}
		if _, err := h.Attach(); !errors.Is(err, ErrClosed) {
			t.Errorf("Attach to a hung interpreter: %v", err)
		}
	})
}

// loadFileThatTells loads a handler file that does something in each call, and says whether a call has begun.
func loadFileThatTells(t *testing.T, h *Host, does string) (handle uint16, begun func() bool) {
	t.Helper()
	mark := filepath.Join(t.TempDir(), "begun")
	handle = loadFile(t, h, fmt.Sprintf(`
import time
def process_batch(texts):
    open(%q, "w").close()
    %s
    return [("done", 1.0)] * len(texts)
`, mark, does))
	return handle, func() bool { return isFile(mark) }
}

// Python waits at its end for threads that are no daemons.
func TestCloseGivesUpOnAThreadThatNeverEnds(t *testing.T) {
	onEachHost(t, func(t *testing.T, host string) {
		options := testOptions(host)
		options.CloseTimeout = 500 * time.Millisecond
		h, err := Open(options)
		if err != nil {
			t.Fatal(err)
		}
		loadFile(t, h, "import threading, time\nthreading.Thread(target=lambda: time.sleep(3600)).start()\n"+echo)
		if err := h.Close(); !errors.Is(err, ErrHung) {
			t.Errorf("Close with a lasting thread: %v", err)
		}
	})
}

func TestMemoryIsNotHeldUpByAHungHandler(t *testing.T) {
	onEachHost(t, func(t *testing.T, host string) {
		h := open(t, testOptions(host))
		loading := make(chan error)
		file := script(t, "import os, time\nwhile not os.path.exists(__file__ + '.over'): time.sleep(0.01)\n"+echo)
		go func() {
			_, err := tryLoad(h, file)
			loading <- err
		}()
		if !eventually(func() bool {
			_, err := h.Memory()
			return errors.Is(err, ErrBusy)
		}) {
			t.Error("Memory waited")
		}
		if err := os.WriteFile(file+".over", nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := <-loading; err != nil {
			t.Error(err)
		}
		memoryOf(t, h)
	})
}

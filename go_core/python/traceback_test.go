package python

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestTheStackOfAHungHandlerCanBeHad(t *testing.T) {
	onEachHost(t, func(t *testing.T, host string) {
		h := open(t, testOptions(host))
		handle := loadFile(t, h, `
import time
stop = False

def hang_in_python():
    while not stop:
        pass

def hang_asleep():
    while not stop:
        time.sleep(0.01)

def process_batch(texts):
    global stop
    if texts == ["stop"]:
        stop = True
    else:
        globals()[texts[0]]()
    return [("done", 1.0)]
`)
		done := make(chan error)
		hangs := []string{"hang_in_python", "hang_asleep"}
		for _, name := range hangs {
			go func() { done <- callOnce(h, textsRecord(handle, name)) }()
		}
		for _, name := range hangs {
			if !eventually(func() bool { return strings.Contains(dumpTraceback(t, h), name) }) {
				t.Errorf("no stack shows %s:\n%s", name, dumpTraceback(t, h))
			}
		}
		if err := callOnce(h, textsRecord(handle, "stop")); err != nil {
			t.Error(err)
		}
		for range hangs {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	})
}

// A C function that keeps the interpreter lock cannot be interrupted; where it hangs can be seen all the same.
func TestTheStackOfAHandlerThatHoldsTheLockCanBeHad(t *testing.T) {
	onEachHost(t, func(t *testing.T, host string) {
		h := open(t, testOptions(host))
		handle := loadFile(t, h, `
import ctypes

def hang_in_c(descriptor):
    ctypes.PyDLL(None).read(descriptor, ctypes.create_string_buffer(1), 1)

def process_batch(texts):
    hang_in_c(int(texts[0]))
    return [("done", 1.0)]
`)
		var pipe [2]int // not os.Pipe's, which may not block
		if err := syscall.Pipe(pipe[:]); err != nil {
			t.Fatal(err)
		}
		done := make(chan error)
		go func() { done <- callOnce(h, textsRecord(handle, strconv.Itoa(pipe[0]))) }()
		if !eventually(func() bool { return strings.Contains(dumpTraceback(t, h), "hang_in_c") }) {
			t.Errorf("no stack shows it:\n%s", dumpTraceback(t, h))
		}
		if err := errors.Join(syscall.Close(pipe[1]), <-done, syscall.Close(pipe[0])); err != nil {
			t.Error(err)
		}
	})
}

func callOnce(h *Host, record []byte) error {
	thread, err := h.Attach()
	if err != nil {
		return err
	}
	_, err = thread.ProcessBatch(record, nil)
	return errors.Join(err, thread.Detach())
}

func eventually(condition func() bool) bool {
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if condition() {
			return true
		}
	}
	return false
}

func dumpTraceback(t *testing.T, h *Host) string {
	t.Helper()
	file, err := os.Create(filepath.Join(t.TempDir(), "stacks"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := h.DumpTraceback(file.Fd()); err != nil {
		t.Error(err)
	}
	text, err := os.ReadFile(file.Name())
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

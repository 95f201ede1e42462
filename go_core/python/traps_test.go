package python

import (
	"errors"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

func trapOptions(host, module string) Options {
	options := testOptions(host)
	options.module = module
	folder, err := filepath.Abs("testdata/entries")
	if err != nil {
		panic(err)
	}
	options.Path = append(options.Path, folder)
	return options
}

func TestNothingButBytesCrossesTheBoundary(t *testing.T) {
	onEachHost(t, func(t *testing.T, host string) {
		h := open(t, trapOptions(host, "breaks_the_boundary"))
		thread := attach(t, h)
		for what, names := range map[string]string{
			"r": "raised on purpose", "x": "", "s": "", "n": "", "i": "", "e": "empty",
		} {
			reply, err := thread.ProcessBatch([]byte(what), []byte("kept"))
			broken := new(BoundaryError)
			if !errors.As(err, &broken) || broken.Call != "process_batch" || !strings.Contains(broken.Detail, names) {
				t.Errorf("%s: %v", what, err)
			}
			if string(reply) != "kept" {
				t.Errorf("%s: the caller's buffer became %q", what, reply)
			}
			if reply, err := thread.ProcessBatch([]byte("fine"), nil); err != nil || string(reply) != "\x00fine" {
				t.Errorf("the call after %s: %q, %v", what, reply, err)
			}
		}
		if h.Failures() != 6 {
			t.Errorf("%d failures counted, want 6", h.Failures())
		}
	})
}

func TestAnEntryModuleWithoutItsFunctionsIsRefused(t *testing.T) {
	onEachHost(t, func(t *testing.T, host string) {
		_, err := Open(trapOptions(host, "lacks_a_function"))
		missing := new(UnavailableError)
		if !errors.As(err, &missing) || !strings.Contains(err.Error(), "memory") {
			t.Errorf("%v", err)
		}
	})
}

func TestAHandlersExceptionComesWithItsTraceback(t *testing.T) {
	onEachHost(t, func(t *testing.T, host string) {
		h := open(t, testOptions(host))
		thread := attach(t, h)
		handle := loadFile(t, h, `
def inner(text):
    return {}[text]

def process_batch(texts):
    return [(inner(text), 1.0) for text in texts]
`)
		_, err := thread.ProcessBatch(textsRecord(handle, "wine"), nil)
		raised := new(Error)
		if !errors.As(err, &raised) {
			t.Fatal(err)
		}
		if raised.Type != "KeyError" || raised.Message != "'wine'" {
			t.Errorf("%s: %s", raised.Type, raised.Message)
		}
		for _, part := range []string{"handler.py", "line 3, in inner", "return {}[text]", "KeyError: 'wine'"} {
			if !strings.Contains(raised.Traceback, part) {
				t.Errorf("the traceback lacks %q:\n%s", part, raised.Traceback)
			}
		}
	})
}

func TestARecoveredNilDereferenceStaysRecoverable(t *testing.T) {
	onEachHost(t, func(t *testing.T, host string) {
		dereference(t, "before Python")
		h := open(t, testOptions(host))
		dereference(t, "after Open")
		thread := attach(t, h)
		handle := loadFile(t, h, "import faulthandler\nfaulthandler.enable()\n"+echo)
		dereference(t, "after a handler took SIGSEGV")
		if _, err := thread.ProcessBatch(textsRecord(handle, "x"), nil); err != nil {
			t.Fatal(err)
		}
		dereference(t, "after a call")
	})
}

func dereference(t *testing.T, when string) {
	t.Helper()
	defer func() {
		if recovered, ok := recover().(runtime.Error); !ok || !strings.Contains(recovered.Error(), "nil pointer") {
			t.Errorf("%s: recovered %v", when, recovered)
		}
	}()
	var nothing *Host
	t.Log(nothing.version)
}

// MetaCall's backtrace plugin and faulthandler give their thread a signal stack of their own and free it at their end:
// the next signal that Go sends to that thread would then be fatal.
func TestTheSignalStackStaysGos(t *testing.T) {
	onEachHost(t, func(t *testing.T, host string) {
		h := open(t, testOptions(host))
		loadFile(t, h, "import faulthandler\nfaulthandler.enable()\n"+echo)
		owners := make(chan signalStack)
		h.work <- func() { owners <- currentSignalStack() }
		if own, gos := <-owners, currentSignalStack(); own.size != gos.size || own.flags != gos.flags {
			t.Errorf("the owner's thread has %+v, a thread of Go's has %+v", own, gos)
		}
	})
}

// signalStack is the kernel's stack_t.
type signalStack struct {
	base  uintptr
	flags int32
	size  uintptr
}

func currentSignalStack() (stack signalStack) {
	syscall.RawSyscall(syscall.SYS_SIGALTSTACK, 0, uintptr(unsafe.Pointer(&stack)), 0)
	return stack
}

func TestSignalsStayGos(t *testing.T) {
	onEachHost(t, func(t *testing.T, host string) {
		signals := make(chan os.Signal, 1)
		signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
		h := open(t, testOptions(host))
		loadFile(t, h, "import signal\nsignal.getsignal(signal.SIGINT)\n"+echo)
		for _, sent := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
			if err := syscall.Kill(os.Getpid(), sent); err != nil {
				t.Fatal(err)
			}
			select {
			case got := <-signals:
				if got != sent {
					t.Errorf("sent %v, got %v", sent, got)
				}
			case <-time.After(time.Minute):
				t.Errorf("%v never reached Go", sent)
			}
		}
	})
}

func TestNothingIsWrittenToStandardOutput(t *testing.T) {
	onEachHost(t, func(t *testing.T, host string) {
		read, restore := captureStdout(t)
		h := open(t, testOptions(host))
		thread := attach(t, h)
		handle := loadFile(t, h, "def process_batch(texts): raise ValueError")
		_, raised := thread.ProcessBatch(textsRecord(handle, "x"), nil)
		_, failed := tryLoad(h, script(t, "import no_such_module"))
		closed := h.Close()
		restore()
		written, err := io.ReadAll(read)
		if raised == nil || failed == nil || closed != nil || err != nil {
			t.Error(raised, failed, closed, err)
		}
		if len(written) > 0 {
			t.Errorf("stdout got %q", written)
		}
	})
}

func TestAHandlersPrintIsNotHeldBack(t *testing.T) {
	onEachHost(t, func(t *testing.T, host string) {
		read, restore := captureStdout(t)
		h := open(t, testOptions(host))
		loadFile(t, h, "print('loaded')\n"+echo)
		line := make([]byte, 7)
		_, err := io.ReadFull(read, line)
		restore()
		if string(line) != "loaded\n" || err != nil {
			t.Errorf("%q, %v", line, err)
		}
	})
}

// captureStdout puts a pipe in the place of descriptor 1, C's and Python's included.
func captureStdout(t *testing.T) (read *os.File, restore func()) {
	t.Helper()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	kept, err := syscall.Dup(1)
	if err == nil {
		err = syscall.Dup3(int(write.Fd()), 1, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	return read, func() {
		if err := errors.Join(syscall.Dup3(kept, 1, 0), write.Close()); err != nil {
			t.Error(err)
		}
	}
}

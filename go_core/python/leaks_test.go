package python

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

// On MetaCall an exception that crosses leaks 4.5 KB: 100,000 of them would be 450 MB.
func TestAHundredThousandExceptionsLeakNothing(t *testing.T) {
	onEachHost(t, func(t *testing.T, host string) {
		h := open(t, testOptions(host))
		thread := attach(t, h)
		raising := textsRecord(loadFile(t, h, "def process_batch(texts): raise ValueError('no')"), "x")
		rubbish := textsRecord(loadFile(t, h, "def process_batch(texts): return object()"), "x")
		repeat := func(record []byte, times int) {
			for range times {
				if _, err := thread.ProcessBatch(record, nil); !errors.As(err, new(*Error)) {
					t.Fatal(err)
				}
			}
		}
		repeat(raising, 2000)
		repeat(rubbish, 2000)
		runtime.GC()
		before := residentBytes(t)
		repeat(raising, 100_000)
		repeat(rubbish, 10_000)
		runtime.GC()
		if grown := residentBytes(t) - before; grown > 8<<20 {
			t.Errorf("resident memory grew by %d KiB in 110,000 failing calls", grown>>10)
		}
	})
}

func TestReloadingLeaksNothing(t *testing.T) {
	onEachHost(t, func(t *testing.T, host string) {
		h := open(t, testOptions(host))
		thread := attach(t, h)
		file := script(t, "kept = [bytes(1000) for _ in range(2000)]\nkept.append(kept)\n"+echo)
		reload := func(times int) {
			for range times {
				handle, err := tryLoad(h, file)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := thread.ProcessBatch(textsRecord(handle, "x"), nil); err != nil {
					t.Fatal(err)
				}
				if err := h.Unload(fmt.Appendf(nil, `{"handle":%d}`, handle)); err != nil {
					t.Fatal(err)
				}
			}
		}
		reload(5)
		before := residentBytes(t)
		reload(50)
		if grown := residentBytes(t) - before; grown > 8<<20 {
			t.Errorf("resident memory grew by %d KiB in 50 reloads of 2 MB", grown>>10)
		}
	})
}

// TFLite keeps some 20 KB of each model whose signatures it has made runners of; a reload must cost no more than that.
func TestReloadingTheModelLeaksNothingOfOurs(t *testing.T) {
	onEachHost(t, func(t *testing.T, host string) {
		h := open(t, testOptions(host))
		reload := func(times int) {
			for range times {
				description, err := h.Load([]byte("{}"))
				if err != nil {
					t.Fatal(err)
				}
				var model struct{ Handle uint16 }
				if err := json.Unmarshal(description, &model); err != nil {
					t.Fatal(err)
				}
				if err := h.Unload(fmt.Appendf(nil, `{"handle":%d}`, model.Handle)); err != nil {
					t.Fatal(err)
				}
			}
		}
		reload(5)
		before := residentBytes(t)
		reload(50)
		if grown := residentBytes(t) - before; grown > 4<<20 {
			t.Errorf("resident memory grew by %d KiB in 50 reloads", grown>>10)
		}
	})
}

func residentBytes(t *testing.T) int64 {
	t.Helper()
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	pages, err := strconv.ParseInt(strings.Fields(string(text))[1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return pages * int64(os.Getpagesize())
}

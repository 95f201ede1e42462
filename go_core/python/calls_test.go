package python

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"sync"
	"testing"
)

const echo = `
def process_batch(texts):
    return [(text, len(text) / 1000) for text in texts]
`

// labelled unpacks a reply of form 2.
func labelled(t *testing.T, reply []byte) (labels []string, scores []float32) {
	t.Helper()
	if reply[0] != 0 || reply[1] != 2 {
		t.Fatalf("status %d, form %d", reply[0], reply[1])
	}
	table := make([]string, binary.LittleEndian.Uint16(reply[2:]))
	n := int(binary.LittleEndian.Uint32(reply[4:]))
	rest := reply[8:]
	for i := range table {
		length := int(binary.LittleEndian.Uint16(rest))
		table[i], rest = string(rest[2:2+length]), rest[2+length:]
	}
	for i := range n {
		scores = append(scores, math.Float32frombits(binary.LittleEndian.Uint32(rest[4*i:])))
		labels = append(labels, table[binary.LittleEndian.Uint16(rest[4*n+2*i:])])
	}
	return labels, scores
}

func TestTextsGoInAndLabelsComeBack(t *testing.T) {
	onEachHost(t, func(t *testing.T, host string) {
		h := open(t, testOptions(host))
		if h.Name() != host {
			t.Fatalf("asked for %s, got %s", host, h.Name())
		}
		thread := attach(t, h)
		handle := loadFile(t, h, echo)
		prefix := []byte("kept")
		reply, err := thread.ProcessBatch(textsRecord(handle, "a", "", "a", "naïve \x00 🍷"), prefix)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.HasPrefix(reply, prefix) {
			t.Fatal("the reply was not appended")
		}
		labels, scores := labelled(t, reply[len(prefix):])
		if got := strings.Join(labels, "|"); got != "a||a|naïve \x00 🍷" {
			t.Errorf("labels %q", got)
		}
		if scores[0] != 0.001 || scores[1] != 0 || scores[3] != 0.009 {
			t.Errorf("scores %v", scores)
		}
		if reply, err = thread.ProcessBatch(textsRecord(handle), nil); err != nil || len(reply) != 8 {
			t.Errorf("an empty batch: %q, %v", reply, err)
		}
	})
}

func TestAReplyLongerThanItsBufferArrivesWhole(t *testing.T) {
	onEachHost(t, func(t *testing.T, host string) {
		h := open(t, testOptions(host))
		thread := attach(t, h)
		handle := loadFile(t, h, echo)
		var reply []byte
		for _, size := range []int{1, 600, 60_000, 3} {
			text := strings.Repeat("x", size)
			if size > 1000 {
				text = text[:1000]
			}
			texts := make([]string, 1+size/1000)
			for i := range texts {
				texts[i] = text
			}
			var err error
			if reply, err = thread.ProcessBatch(textsRecord(handle, texts...), reply[:0]); err != nil {
				t.Fatal(err)
			}
			labels, _ := labelled(t, reply)
			if len(labels) != len(texts) || labels[len(labels)-1] != text {
				t.Errorf("%d labels for %d texts of %d bytes", len(labels), len(texts), len(text))
			}
		}
	})
}

func TestACallAllocatesNothingInGo(t *testing.T) {
	onEachHost(t, func(t *testing.T, host string) {
		h := open(t, testOptions(host))
		thread := attach(t, h)
		record, reply := textsRecord(loadFile(t, h, echo), "one", "two"), make([]byte, 0, 4096)
		if allocations := testing.AllocsPerRun(1000, func() {
			if _, err := thread.ProcessBatch(record, reply); err != nil {
				t.Fatal(err)
			}
		}); allocations != 0 {
			t.Errorf("%v allocations a call", allocations)
		}
	})
}

func TestSeveralHandlersLiveSideBySide(t *testing.T) {
	onEachHost(t, func(t *testing.T, host string) {
		h := open(t, testOptions(host))
		thread := attach(t, h)
		first := loadFile(t, h, "def process_batch(texts): return [('first', 0.1)] * len(texts)")
		second := loadFile(t, h, "def process_batch(texts): return [('second', 0.2)] * len(texts)")
		for handle, want := range map[uint16]string{first: "first", second: "second"} {
			reply, err := thread.ProcessBatch(textsRecord(handle, "x"), nil)
			if err != nil {
				t.Fatal(err)
			}
			if labels, _ := labelled(t, reply); labels[0] != want {
				t.Errorf("handle %d answered %q, want %q", handle, labels[0], want)
			}
		}
		if err := h.Unload([]byte(`{"handle":1}`)); err != nil {
			t.Fatal(err)
		}
		_, err := thread.ProcessBatch(textsRecord(first, "x"), nil)
		if problem := new(Error); !errors.As(err, &problem) || !strings.Contains(problem.Message, "no handler has handle 1") {
			t.Errorf("an unloaded handle gave %v", err)
		}
		if _, err := thread.ProcessBatch(textsRecord(second, "x"), nil); err != nil {
			t.Errorf("the other handle: %v", err)
		}
	})
}

func TestAReloadDoesNotStopTheServingThread(t *testing.T) {
	onEachHost(t, func(t *testing.T, host string) {
		h := open(t, testOptions(host))
		thread := attach(t, h)
		handle := loadFile(t, h, echo)
		file := script(t, "import time\nfor _ in range(100): time.sleep(0.005)\n"+echo)
		loaded := make(chan error)
		go func() {
			_, err := tryLoad(h, file)
			loaded <- err
		}()
		for during := 0; ; during++ {
			if _, err := thread.ProcessBatch(textsRecord(handle, "x"), nil); err != nil {
				t.Fatal(err)
			}
			select {
			case err := <-loaded:
				if err != nil {
					t.Fatal(err)
				}
				if during < 100 {
					t.Errorf("only %d calls while the other handler loaded for half a second", during)
				}
				return
			default:
			}
		}
	})
}

func TestManyThreadsCallAtOnce(t *testing.T) {
	onEachHost(t, func(t *testing.T, host string) {
		h := open(t, testOptions(host))
		handle := loadFile(t, h, echo)
		var all sync.WaitGroup
		for worker := range 4 {
			all.Add(1)
			go func() {
				defer all.Done()
				thread, err := h.Attach()
				if err != nil {
					t.Error(err)
					return
				}
				text := strings.Repeat("w", worker+1)
				var reply []byte
				for range 500 {
					if reply, err = thread.ProcessBatch(textsRecord(handle, text), reply[:0]); err != nil {
						t.Error(err)
						break
					}
					if labels, _ := labelled(t, reply); labels[0] != text {
						t.Errorf("thread %d got %q", worker, labels[0])
					}
				}
				if err := thread.Detach(); err != nil {
					t.Error(err)
				}
				if _, err := thread.ProcessBatch(textsRecord(handle, text), nil); !errors.Is(err, ErrClosed) {
					t.Errorf("a call after Detach: %v", err)
				}
			}()
		}
		all.Wait()
	})
}

func TestAThreadBelongsToItsGoroutine(t *testing.T) {
	onEachHost(t, func(t *testing.T, host string) {
		h := open(t, testOptions(host))
		thread := attach(t, h)
		handle := loadFile(t, h, echo)
		wrong := make(chan error)
		go func() {
			_, err := thread.ProcessBatch(textsRecord(handle, "x"), nil)
			wrong <- err
		}()
		if err := <-wrong; !errors.Is(err, errWrongThread) {
			t.Errorf("from another thread: %v", err)
		}
		if _, err := thread.ProcessBatch(textsRecord(handle, "x"), nil); err != nil {
			t.Errorf("from its own: %v", err)
		}
	})
}

func TestPythonThreadsRunBetweenCalls(t *testing.T) {
	onEachHost(t, func(t *testing.T, host string) {
		h := open(t, testOptions(host))
		thread := attach(t, h)
		handle := loadFile(t, h, `
import threading
ticked = threading.Event()
threading.Timer(0.05, ticked.set).start()
waits = 0

def process_batch(texts):
    global waits
    waits += 1
    return [("ticked" if ticked.is_set() else "waiting", 1.0)]
`)
		// The interpreter lock is ours for only a moment at a time, so the timer's thread gets its turn.
		for range 1_000_000 {
			reply, err := thread.ProcessBatch(textsRecord(handle, "x"), nil)
			if err != nil {
				t.Fatal(err)
			}
			if labels, _ := labelled(t, reply); labels[0] == "ticked" {
				return
			}
		}
		t.Error("a Python thread never ran between the calls")
	})
}

func TestMemoryIsTheInterpretersOwnAccount(t *testing.T) {
	onEachHost(t, func(t *testing.T, host string) {
		h := open(t, testOptions(host))
		loadFile(t, h, echo) // the first handler wakes what waits until it may be needed
		before := memoryOf(t, h)
		loadFile(t, h, "kept = [bytes(100) for _ in range(100_000)]\n"+echo)
		after := memoryOf(t, h)
		// A bytes object of 100 takes 133 bytes, 144 in pymalloc's classes of 16; the list is no pymalloc's.
		if grown := after.Pymalloc.Blocks - before.Pymalloc.Blocks; grown < 14_000_000 || grown > 15_500_000 {
			t.Errorf("100,000 objects of 144 bytes took %d", grown)
		}
		if after.Pymalloc.Arenas < after.Pymalloc.Blocks || after.Modules < 20 || after.Blocks < 100_000 {
			t.Errorf("%+v", after)
		}
	})
}

type memoryReport struct {
	Pymalloc struct {
		Arenas int64 `json:"arenas_bytes"`
		Blocks int64 `json:"blocks_bytes"`
	} `json:"pymalloc"`
	Blocks  int64 `json:"allocated_blocks"`
	Modules int   `json:"modules"`
}

func memoryOf(t *testing.T, h *Host) (report memoryReport) {
	t.Helper()
	text, err := h.Memory()
	if err == nil {
		err = json.Unmarshal(text, &report)
	}
	if err != nil {
		t.Fatal(err)
	}
	return report
}

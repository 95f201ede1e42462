package python

import (
	"os"
	"sync"
	"testing"
)

var benchHost = sync.OnceValues(func() (*Host, error) {
	return Open(trapOptions(os.Getenv(hostVariable), "answers_1_kib"))
})

// BenchmarkCall is what crossing into Python and back costs: 4 KiB in, 1 KiB out, from an attached thread. The host is
// the one that EDGED_TEST_HOST names, "cpython" or "metacall".
func BenchmarkCall(b *testing.B) {
	if os.Getenv(hostVariable) == "" {
		b.Skip("SKIPPED: set ", hostVariable, " to cpython or metacall")
	}
	h, err := benchHost()
	if err != nil {
		b.Fatal(err)
	}
	thread, err := h.Attach()
	if err != nil {
		b.Fatal(err)
	}
	record, reply := make([]byte, 4<<10), make([]byte, 0, 1<<10)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := thread.ProcessBatch(record, reply); err != nil {
			b.Fatal(err)
		}
	}
	if err := thread.Detach(); err != nil {
		b.Error(err)
	}
}

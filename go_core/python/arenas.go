package python

// #include "shim.h"
import "C"

// Arenas calls add with the addresses of each of pymalloc's arenas, the end excluded. Safe from any goroutine.
func (h *Host) Arenas(add func(start, end uint64)) {
	var ranges [256]C.edged_range
	n := C.edged_arenas(&ranges[0], C.size_t(len(ranges)))
	for _, r := range ranges[:n] {
		add(uint64(r.start), uint64(r.end))
	}
}

// Trim gives unused memory of the C heap, which is Python's and ZeroMQ's, back to the kernel.
func Trim() { C.edged_trim() }

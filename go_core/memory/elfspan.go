package memory

import (
	"encoding/binary"
	"os"
)

// elfSpan returns how many bytes of addresses a program or library takes from its first mapping to the end of its zeroed
// data, in whole pages, given the first bytes of its file (the ELF header and program headers, elf(5)); 0 when it is no
// ELF file. The kernel shows zeroed data as anonymous memory, perhaps merged with a neighbour: its file tells where it ends.
func elfSpan(header []byte) uint64 {
	if len(header) < 64 || string(header[:4]) != "\x7fELF" || header[5] != 1 {
		return 0 // little-endian only: every supported processor is
	}
	le := binary.LittleEndian
	var offset, size, count uint64
	wide := header[4] == 2
	if wide {
		offset, size, count = le.Uint64(header[32:]), uint64(le.Uint16(header[54:])), uint64(le.Uint16(header[56:]))
	} else {
		offset, size, count = uint64(le.Uint32(header[28:])), uint64(le.Uint16(header[42:])), uint64(le.Uint16(header[44:]))
	}
	first, last := uint64(1<<64-1), uint64(0)
	for range count {
		if size < 32 || wide && size < 56 || offset > uint64(len(header)) || size > uint64(len(header))-offset {
			return 0
		}
		p := header[offset:]
		offset += size
		const load = 1 // PT_LOAD
		if le.Uint32(p) != load {
			continue
		}
		address, length := uint64(le.Uint32(p[8:])), uint64(le.Uint32(p[20:]))
		if wide {
			address, length = le.Uint64(p[16:]), le.Uint64(p[40:])
		}
		first, last = min(first, address&^(pageSize-1)), max(last, (address+length+pageSize-1)&^(pageSize-1))
	}
	if last <= first {
		return 0
	}
	return last - first
}

// readElfSpan reads a file's header; 0 when it can't be read.
func readElfSpan(path string) uint64 {
	file, err := os.Open(path)
	if err != nil {
		return 0
	}
	defer file.Close() //nolint:errcheck // only read from
	var header [2048]byte
	n, _ := file.Read(header[:]) // a short read fails in elfSpan
	return elfSpan(header[:n])
}

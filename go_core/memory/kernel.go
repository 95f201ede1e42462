package memory

import (
	"os"
	"path/filepath"
)

// kernel reads the kernel's small text files below root ("" for the running system, a folder of recordings in tests).
type kernel struct {
	root   string
	buffer []byte
}

// read returns the text of a file, nil when there is none or it may not be read: on a board any of them may be missing.
// The text is valid until the next read.
func (k *kernel) read(name string) []byte {
	file, err := os.Open(k.root + name)
	if err != nil {
		return nil
	}
	defer file.Close() //nolint:errcheck // only read from
	filled := 0
	for filled < len(k.buffer) {
		n, err := file.Read(k.buffer[filled:])
		filled += n
		if n == 0 || err != nil {
			break
		}
	}
	return k.buffer[:filled]
}

// glob lists the files that match, without the root.
func (k *kernel) glob(pattern string) []string {
	names, err := filepath.Glob(k.root + pattern)
	if err != nil {
		return nil
	}
	for i, name := range names {
		names[i] = name[len(k.root):]
	}
	return names
}

// OpenDescriptors counts this process's open files and sockets, 0 when that can't be known.
func OpenDescriptors() int {
	names, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(names)
}

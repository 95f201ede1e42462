package memory

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"unsafe"
)

// mapped maps a file of n bytes that starts with the given one, readable and, where asked, writable and private.
func mapped(t *testing.T, n int, first byte, protection int) []byte {
	t.Helper()
	content := make([]byte, n)
	for i := range content {
		content[i] = first + byte(i/4096)
	}
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close() //nolint:errcheck // only read from
	memory, err := syscall.Mmap(int(file.Fd()), 0, n, protection, syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Munmap(memory) })
	return memory
}

func TestReleasedFilesComeBackAndChangesStay(t *testing.T) {
	const n = 1 << 20
	clean := mapped(t, n, 'c', syscall.PROT_READ)
	sum := 0
	for i := 0; i < n; i += 4096 {
		sum += int(clean[i])
	}
	relocated := mapped(t, n, 'r', syscall.PROT_READ|syscall.PROT_WRITE)
	relocated[5000] = 'X'
	if err := syscall.Mprotect(relocated, syscall.PROT_READ); err != nil { // as the loader does with RELRO
		t.Fatal(err)
	}
	before := ParseStatus(testKernel("").read("/proc/self/status")).Rss
	released, err := ReleaseFiles()
	if err != nil {
		t.Fatal(err)
	}
	after := ParseStatus(testKernel("").read("/proc/self/status")).Rss
	if released < n || after+n/2 > before {
		t.Errorf("released %d bytes, RSS went from %d to %d", released, before, after)
	}
	again := 0
	for i := 0; i < n; i += 4096 {
		again += int(clean[i])
	}
	if again != sum || relocated[5000] != 'X' || relocated[0] != 'r' {
		t.Errorf("contents changed: %d, want %d; %c", again, sum, relocated[5000])
	}
}

func TestReleasedFilesComeBackWithFewerNeighbours(t *testing.T) {
	const n = 1 << 20
	file := mapped(t, n, 'c', syscall.PROT_READ)
	start := uint64(uintptr(unsafe.Pointer(unsafe.SliceData(file))))
	touch := func() uint64 {
		sum := 0
		for i := 0; i < n; i += faultAround {
			sum += int(file[i])
		}
		pagemap, err := os.Open("/proc/self/pagemap")
		if err != nil {
			t.Fatal(err)
		}
		defer pagemap.Close() //nolint:errcheck // only read from
		resident, err := residentBytes(pagemap, Range{start, start + n}, make([]byte, 4*kib))
		if err != nil || sum == 0 {
			t.Fatal(err)
		}
		return resident
	}
	before := touch()
	if _, err := ReleaseFiles(); err != nil {
		t.Fatal(err)
	}
	if after := touch(); after > n*narrowed/faultAround {
		t.Errorf("one page in %d KiB touched: %d bytes are resident, %d before", faultAround/kib, after, before)
	}
}

func TestOnlyCleanFilesAreReleased(t *testing.T) {
	file := Mapping{Path: []byte("/lib/x.so"), Inode: 7, Readable: true, Usage: Usage{Rss: 4096}}
	if !file.isCleanFile() {
		t.Error("a clean file is kept")
	}
	for name, change := range map[string]func(*Mapping){
		"writable": func(m *Mapping) { m.Writable = true }, "changed": func(m *Mapping) { m.Anonymous = 4096 },
		"swapped": func(m *Mapping) { m.Swap = 4096 }, "anonymous": func(m *Mapping) { m.Path, m.Inode = nil, 0 },
		"vdso": func(m *Mapping) { m.Path, m.Inode = []byte("[vdso]"), 0 }, "memfd": func(m *Mapping) { m.Path = []byte("memfd:x") },
	} {
		m := file
		if change(&m); m.isCleanFile() {
			t.Errorf("%s: released", name)
		}
	}
}

package memory

import (
	"bytes"
	"encoding/binary"
	"os"
	"strings"
	"testing"
)

// checkSum asserts that the parts add up to the total in every measure.
func checkSum(t *testing.T, c *classifier) {
	t.Helper()
	var sum Usage
	for _, u := range c.parts {
		sum.add(u)
	}
	if sum != c.total {
		t.Errorf("the parts add up to %+v\nthe process has %+v", sum, c.total)
	}
}

// pages is a pagemap in which the pages of given ranges are present.
type pages []Range

func (p pages) ReadAt(dst []byte, offset int64) (int, error) {
	for i := 0; i+8 <= len(dst); i += 8 {
		address := uint64(offset+int64(i)) / 8 * pageSize
		word := uint64(1) << 55 // soft-dirty: not the bit asked for
		for _, r := range p {
			if address >= r.Start && address < r.End {
				word |= 1 << 63
			}
		}
		binary.LittleEndian.PutUint64(dst[i:], word)
	}
	return len(dst), nil
}

func classifyRecording(t *testing.T, name string, c *classifier) {
	t.Helper()
	file, err := os.Open("testdata/" + name + "/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close() //nolint:errcheck // only read from
	if err := c.classify(file, make([]byte, minBuffer)); err != nil {
		t.Fatal(err)
	}
	c.settle(ParseRollup(testKernel("testdata/" + name).read("/proc/self/smaps_rollup")))
	checkSum(t, c)
}

// board is a classifier that knows the composed recordings.
func board(goRanges, arenas []Range) *classifier {
	c := newClassifier(Runtime{ranges: goRanges})
	c.arenas = arenas
	c.model = identity{1777, ".tflite"}
	c.binary = identity{1301, "edged"}
	c.stackSize = 8 * mib
	c.spanOf = func(path string) uint64 {
		switch {
		case strings.HasSuffix(path, "/bin/edged"):
			return 0x470000 - 0x10000
		case strings.Contains(path, "libpython3.7"):
			return 0xb20000
		}
		return 0
	}
	return c
}

func TestA32BitBoardByPart(t *testing.T) {
	// Go's heap lies in the reservation at 0x02000000; 0xb3000000 is an arena of pymalloc.
	c := board([]Range{{0x02000000, 0x22000000}}, []Range{{0xb3000000, 0xb3040000}, {0xb3040000, 0xb3100000}})
	c.pagemap = pages{{0xb3000000, 0xb30fa000}}
	classifyRecording(t, "armv7l-4.19", c)
	for part, want := range map[Part]uint64{
		PartGo:        1800,
		PartPython:    1000,
		PartCHeap:     2960 + 40,
		PartModel:     2900,
		PartLibraries: 1550 + 600 + 96 + 45,
		PartBinary:    1408 + 1020 + 64 + 100,
		PartStacks:    24 + 20,
		PartOther:     4, // LC_CTYPE
	} {
		if got := c.parts[part].Pss; got != want*kib {
			t.Errorf("%v: PSS %d kB, want %d kB", part, got/kib, want)
		}
	}
	if c.parts[PartCHeap].Swap != 128*kib {
		t.Errorf("swap of the C heap: %d", c.parts[PartCHeap].Swap)
	}
	for _, f := range c.files {
		if strings.Contains(f.Path, "libpython") && f.Pss != (1550+600+96)*kib {
			t.Errorf("libpython with its zeroed data: %d kB", f.Pss/kib)
		}
	}
}

func TestA64BitBoardByPart(t *testing.T) {
	for _, name := range []string{"aarch64-5.10", "aarch64-6.1", "aarch64-6.12"} {
		c := board([]Range{{0x4000000000, 0x4000000000 + goHeapSpan}}, []Range{{0x7f91000000, 0x7f91080000}})
		c.pagemap = pages{{0x7f91000000, 0x7f91080000}}
		classifyRecording(t, name, c)
		for part, want := range map[Part]uint64{
			PartGo: 2048, PartPython: 512, PartCHeap: 3000 + 60 + (800 - 512), PartModel: 1500, PartLibraries: 1133 + 512 + 61,
			PartBinary: 1500 + 96 + 120, PartStacks: 24,
		} {
			if got := c.parts[part].Pss; got != want*kib {
				t.Errorf("%s: %v: PSS %d kB, want %d kB", name, part, got/kib, want)
			}
		}
		rounding := uint64(0)
		if name == "aarch64-6.1" { // its smaps_rollup says 2 kB more
			rounding = 2 * kib
		}
		if got := c.parts[PartOther].Pss; got != rounding {
			t.Errorf("%s: other: %d bytes, want %d", name, got, rounding)
		}
	}
}

func TestNeighboursTheKernelMergedAreToldApartByTheirPages(t *testing.T) {
	const text = "7f0000000000-7f0000100000 r-xp 00000000 fe:00 9 /usr/lib/libx.so\nRss: 1024 kB\nPss: 1024 kB\n" +
		"7f0000100000-7f0000200000 rw-p 00000000 00:00 0 \nRss: 640 kB\nPss: 640 kB\nPrivate_Dirty: 640 kB\nAnonymous: 640 kB\n"
	c := newClassifier(Runtime{ranges: []Range{{0x7f0000180000, 0x7f00001c0000}}})
	c.spanOf = func(string) uint64 { return 0x110000 }
	c.arenas = []Range{{0x7f0000140000, 0x7f0000180000}}
	c.pagemap = pages{{0x7f0000100000, 0x7f0000110000}, {0x7f0000140000, 0x7f0000180000}, {0x7f0000180000, 0x7f00001a0000}}
	if err := c.classify(strings.NewReader(text), make([]byte, minBuffer)); err != nil {
		t.Fatal(err)
	}
	checkSum(t, c)
	for part, want := range map[Part]uint64{PartLibraries: 1024 + 64, PartPython: 256, PartGo: 128, PartCHeap: 640 - 64 - 256 - 128} {
		if got := c.parts[part].Pss; got != want*kib {
			t.Errorf("%v: PSS %d kB, want %d kB", part, got/kib, want)
		}
	}
	c.pagemap = nil
	if err := c.classify(strings.NewReader(text), make([]byte, minBuffer)); err != nil {
		t.Fatal(err)
	}
	checkSum(t, c)
	if got := c.parts[PartCHeap].Pss; got != 640*kib {
		t.Errorf("without a pagemap a mapping is not cut, but the C heap has %d", got)
	}
}

func TestGoRangesLeaveOutWhatCPutThere(t *testing.T) {
	text := []byte(strings.Join([]string{
		"00400000-00500000 r-xp 00000000 fe:00 7 /usr/bin/edged",
		"00500000-00510000 rw-p 00000000 00:00 0 ", // zeroed data
		"199a1000-199c2000 rw-p 00000000 00:00 0 [heap]",
		"8a394000000-8a395800000 ---p 00000000 00:00 0 ",
		"8a395800000-8a395c00000 rw-p 00000000 00:00 0 ",
		"7f726c000000-7f726c021000 rw-p 00000000 00:00 0 ", // malloc arena
		"7f726c021000-7f7270000000 ---p 00000000 00:00 0 ",
		"7f7281e5b000-7f7281e5c000 ---p 00000000 00:00 0 ", // guard page
		"7f7281e5c000-7f728265c000 rw-p 00000000 00:00 0 ", // stack
		"7f7284800000-7f7286800000 rw-p 00000000 00:00 0 ",
		"7ffd8fff0000-7ffd90011000 rw-p 00000000 00:00 0 [stack]", "",
	}, "\n"))
	if pageSize != 4096 || mallocArena != 64*mib {
		t.Skip("the text is of a 64-bit machine with pages of 4 KiB")
	}
	want := []Range{{0x8a394000000, 0x8a395c00000}, {0x7f7284800000, 0x7f7286800000}}
	got := goRanges(text)
	if len(got) != len(want) {
		t.Fatalf("got %x\nwant %x", got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("range %d is %x, want %x", i, got[i], want[i])
		}
	}
}

func TestElfSpan(t *testing.T) {
	program, err := os.Readlink("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	var first, last uint64 // of this program, with the zeroed data that follows it
	for line := range bytes.Lines(text) {
		var m Mapping
		if err := parseHeader(bytes.TrimSuffix(line, []byte{'\n'}), &m); err != nil {
			t.Fatal(err)
		}
		if string(m.Path) == program || first != 0 && len(m.Path) == 0 && m.Start == last {
			if first == 0 {
				first = m.Start
			}
			last = m.End
		}
	}
	if got := readElfSpan(program); got == 0 || got != last-first {
		t.Errorf("%s spans %d bytes, its mappings %d", program, got, last-first)
	}
	for name, header := range map[string][]byte{"empty": nil, "short": []byte("\x7fELF"), "text": bytes.Repeat([]byte("x"), 100)} {
		if got := elfSpan(header); got != 0 {
			t.Errorf("%s: %d", name, got)
		}
	}
	if readElfSpan("/does/not/exist") != 0 {
		t.Error("a missing file has a span")
	}
}

func FuzzElfSpan(f *testing.F) {
	header := make([]byte, 120)
	copy(header, "\x7fELF\x02\x01")
	header[32], header[54], header[56] = 64, 56, 1
	f.Add(header)
	f.Fuzz(func(_ *testing.T, header []byte) { elfSpan(header) })
}

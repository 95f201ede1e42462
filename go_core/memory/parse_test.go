package memory

import (
	"bytes"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
)

// recorded lists the folders of testdata, and fails when there are none.
func recorded(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/*/proc/self/smaps")
	if err != nil || len(files) < 5 {
		t.Fatalf("testdata holds %d recordings, want 5 or more (%v)", len(files), err)
	}
	for i := range files {
		files[i] = strings.TrimSuffix(files[i], "/proc/self/smaps")
	}
	return files
}

func testKernel(root string) *kernel { return &kernel{root: root, buffer: make([]byte, 8*kib)} }

func sumSmaps(t *testing.T, r io.Reader) (sum Usage, mappings int) {
	t.Helper()
	err := ParseSmaps(r, make([]byte, minBuffer), func(m *Mapping) {
		sum.add(m.Usage)
		mappings++
	})
	if err != nil {
		t.Fatal(err)
	}
	return sum, mappings
}

func TestSmapsAddsUpToTheKernelsOwnSum(t *testing.T) {
	for _, root := range recorded(t) {
		text, err := os.ReadFile(root + "/proc/self/smaps")
		if err != nil {
			t.Fatal(err)
		}
		sum, mappings := sumSmaps(t, bytes.NewReader(text))
		rollup := ParseRollup(testKernel(root).read("/proc/self/smaps_rollup"))
		if mappings != strings.Count(string(text), "VmFlags:") || mappings < 10 {
			t.Errorf("%s: %d mappings", root, mappings)
		}
		if rounding := int64(rollup.Pss) - int64(sum.Pss); rounding < 0 || rounding > int64(mappings)*kib {
			t.Errorf("%s: PSS %d, the kernel says %d", root, sum.Pss, rollup.Pss)
		}
		rollup.Pss = sum.Pss
		if sum != rollup || sum.Uss() == 0 {
			t.Errorf("%s: sum %+v\nrollup %+v", root, sum, rollup)
		}
		one, _ := sumSmaps(t, iotest.OneByteReader(bytes.NewReader(text)))
		if one != sum {
			t.Errorf("%s: read byte by byte, %+v", root, one)
		}
	}
}

func TestSmapsFieldsOfOneMapping(t *testing.T) {
	const text = "b3200000-b3500000 r--s 00001000 b3:02 1777       /var/lib/edged/model (2024).tflite\n" +
		"Rss:                2900 kB\nPss:                1450 kB\nPrivate_Clean:         8 kB\nPrivate_Dirty:         4 kB\nAnonymous:             4 kB\nSwap:                 12 kB\nTHPeligible:    0\nNew_Field: of 2040\n"
	var got Mapping
	var path string
	err := ParseSmaps(strings.NewReader(text), make([]byte, minBuffer), func(m *Mapping) { got, path = *m, string(m.Path) })
	if err != nil {
		t.Fatal(err)
	}
	want := Mapping{Start: 0xb3200000, End: 0xb3500000, Offset: 0x1000, Inode: 1777, Readable: true, Usage: Usage{2900 * kib, 1450 * kib, 8 * kib, 4 * kib, 4 * kib, 12 * kib}}
	got.Path = nil
	if got.Start != want.Start || got.End != want.End || got.Offset != want.Offset || got.Inode != want.Inode || got.Readable != want.Readable || got.Writable || got.Usage != want.Usage {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	if path != "/var/lib/edged/model (2024).tflite" {
		t.Errorf("path %q", path)
	}
}

func TestMalformedSmapsIsRefusedByItsLine(t *testing.T) {
	long := "00400000-00401000 r--p 00000000 fe:00 1 /" + strings.Repeat("x", 2*minBuffer)
	for name, text := range map[string]string{
		"field first":     "Rss:  4 kB\n",
		"no mapping":      "hello world\n",
		"backwards":       "2000-1000 r--p 0 fe:00 1 /x\n",
		"no inode":        "1000-2000 r--p 0 fe:00\n",
		"bad inode":       "1000-2000 r--p 0 fe:00 12a /x\n",
		"unit missing":    "1000-2000 r--p 0 fe:00 1 /x\nRss:  4\n",
		"negative":        "1000-2000 r--p 0 fe:00 1 /x\nPss:  -4 kB\n",
		"beyond 64 bits":  "1000-2000 r--p 0 fe:00 1 /x\nPss:  99999999999999999999 kB\n",
		"address too big": "11111111111111111-2000 r--p 0 fe:00 1 /x\n",
		"endless line":    long,
	} {
		err := ParseSmaps(strings.NewReader(text), make([]byte, minBuffer), func(*Mapping) {})
		if !errors.Is(err, errNotSmaps) {
			t.Errorf("%s: error %v", name, err)
		}
	}
	if err := ParseSmaps(strings.NewReader(""), make([]byte, minBuffer-1), nil); !errors.Is(err, errNotSmaps) {
		t.Errorf("small buffer: error %v", err)
	}
	failure := errors.New("input/output error")
	if err := ParseSmaps(iotest.ErrReader(failure), make([]byte, minBuffer), nil); !errors.Is(err, failure) {
		t.Errorf("failing reader: error %v", err)
	}
}

func TestParsingSmapsDoesNotAllocatePerLine(t *testing.T) {
	text, err := os.ReadFile("testdata/x86_64-6.18/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	buffer, reader, mappings := make([]byte, minBuffer), bytes.NewReader(nil), 0
	if n := testing.AllocsPerRun(20, func() {
		reader.Reset(text)
		if err := ParseSmaps(reader, buffer, func(*Mapping) { mappings++ }); err != nil {
			t.Fatal(err)
		}
	}); n > 4 {
		t.Errorf("%v allocations for a map of %d lines", n, bytes.Count(text, []byte{'\n'}))
	}
}

func TestStatus(t *testing.T) {
	for root, want := range map[string]Status{
		"x86_64-6.18": {Rss: 12020 * kib, PeakRss: 12020 * kib, Threads: 2},
		"armv7l-4.19": {Rss: 16044 * kib, PeakRss: 15104 * kib, Swap: 128 * kib, Threads: 9},
	} {
		if got := ParseStatus(testKernel("testdata/" + root).read("/proc/self/status")); got != want {
			t.Errorf("%s: %+v, want %+v", root, got, want)
		}
	}
	if got := ParseStatus([]byte("Name: x\nVmRSS: many kB\n:")); got != (Status{}) {
		t.Errorf("malformed: %+v", got)
	}
}

func TestCgroups(t *testing.T) {
	const group = "/system.slice/edged.service"
	version2 := Cgroup{
		Version: 2, Path: group, Current: 40 * mib, Peak: 48 * mib, High: 80 * mib, Max: 96 * mib, InactiveFile: 8 * mib,
		HighEvents: 12, MaxEvents: 3, OomEvents: 1, OomKillCount: 1,
	}
	old := version2
	old.Peak, old.OomEvents, old.OomKillCount = 0, 0, 0
	for root, want := range map[string]Cgroup{
		"aarch64-6.12": version2,
		"aarch64-6.1":  version2,
		"aarch64-5.10": old,
		"armv7l-4.19":  {Version: 0, Path: group, High: NoLimit, Max: NoLimit},
		"missing":      {High: NoLimit, Max: NoLimit},
	} {
		if got := readCgroup(testKernel("testdata/" + root)); got != want {
			t.Errorf("%s: %+v\nwant %+v", root, got, want)
		}
	}
	if limit := version2.Limit(); limit != 80*mib {
		t.Errorf("the parent's memory.high is not the limit: %d", limit)
	}
	version1 := readCgroup(testKernel("testdata/x86_64-6.18"))
	if version1.Version != 1 || version1.Path != group || version1.Max != NoLimit || version1.Current == 0 || version1.Peak < version1.Current {
		t.Errorf("version 1: %+v", version1)
	}
	if version1.WorkingSet() != version1.Current-version1.InactiveFile || version1.InactiveFile == 0 {
		t.Errorf("working set %d of %d, inactive %d", version1.WorkingSet(), version1.Current, version1.InactiveFile)
	}
}

func TestLimits(t *testing.T) {
	for text, want := range map[string]uint64{
		"max\n": NoLimit, "67108864\n": 64 * mib, "9223372036854771712\n": NoLimit, "": NoLimit, "x": NoLimit, "0\n": 0,
	} {
		if got := ParseLimit([]byte(text)); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
}

func TestSystem(t *testing.T) {
	got := ParseMeminfo(testKernel("testdata/armv7l-4.19").read("/proc/meminfo"))
	if want := (System{443080 * kib, 265112 * kib, 102396 * kib, 97020 * kib}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	pressure := ParsePressure(testKernel("testdata/aarch64-6.1").read("/proc/pressure/memory"))
	if want := (Pressure{true, 1.25, 0.4, 0.5, 0.2, 183742, 90121}); pressure != want {
		t.Errorf("%+v, want %+v", pressure, want)
	}
	if ParsePressure(nil).Known || ParsePressure([]byte("nothing\nof it")).Known {
		t.Error("pressure is known from nothing")
	}
}

func TestBoard(t *testing.T) {
	celsius, throttle := readBoard(testKernel("testdata/armv7l-4.19"))
	if celsius != 61.303 || !throttle.Known || throttle.Word != 0x50005 {
		t.Errorf("%v degrees, %+v", celsius, throttle)
	}
	now, boot := throttle.appendNames(nil, 0), throttle.appendNames(nil, 16)
	if want := `["under_voltage","throttled"]`; string(now) != want || string(boot) != want {
		t.Errorf("now %s, since boot %s, want %s", now, boot, want)
	}
	if celsius, throttle = readBoard(testKernel("testdata/aarch64-6.1")); celsius != 52.125 || throttle.Known {
		t.Errorf("hottest zone %v degrees, %+v", celsius, throttle)
	}
	if celsius, _ = readBoard(testKernel("testdata/x86_64-6.18")); !math.IsNaN(celsius) {
		t.Errorf("a machine without zones has %v degrees", celsius)
	}
	for _, text := range []string{"", "hot", "-274000", "999999999"} {
		if c := ParseTemperature([]byte(text)); !math.IsNaN(c) {
			t.Errorf("%q is %v degrees", text, c)
		}
	}
}

func FuzzSmaps(f *testing.F) {
	for _, root := range []string{"armv7l-4.19", "x86_64-6.18"} {
		text, err := os.ReadFile("testdata/" + root + "/proc/self/smaps")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text[:2000])
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		c := newClassifier(Runtime{ranges: []Range{{0x1000, 0x400000}}})
		c.spanOf = func(string) uint64 { return 1 << 20 }
		if c.classify(bytes.NewReader(text), make([]byte, minBuffer)) == nil {
			checkSum(t, c)
		}
	})
}

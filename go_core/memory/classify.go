package memory

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

// Part is a class of mapping. The parts of a process add up to its PSS.
type Part int

// The parts, in the order they are reported.
const (
	PartGo        Part = iota // Go's heap, stacks of goroutines and runtime structures
	PartPython                // pymalloc's arenas: small Python objects
	PartCHeap                 // malloc: larger Python objects, numpy arrays, tensors, ZeroMQ
	PartModel                 // the mapped model file
	PartLibraries             // shared libraries and the zeroed data behind them
	PartBinary                // the daemon's own program file and its zeroed data
	PartStacks                // of threads
	PartOther                 // everything else: other mapped files, shared memory, the kernel's pages
	numParts
)

var partNames = [numParts]string{"go", "python", "c_heap", "model", "libraries", "binary", "stacks", "other"}

func (p Part) String() string { return partNames[p] }

// File is one mapped file.
type File struct {
	Path string
	Usage
}

// classifier sorts the mappings of one reading of smaps into parts. It is used again for the next reading.
type classifier struct {
	goRanges      []Range
	arenas        []Range // pymalloc's
	model, binary identity
	stackSize     uint64
	pagemap       io.ReaderAt // nil: mappings shared by several parts are not cut
	scratch       []byte
	spanOf        func(path string) uint64
	known         map[string]mappedFile

	parts        [numParts]Usage
	total        Usage
	files        []File
	library      segment // addresses of the library mapped last, to the end of its zeroed data
	previous     Mapping // the mapping before, without its path
	previousName bool
	segments     []segment
}

type segment struct {
	Range
	part Part
	file int // index into files, -1 for none
}

// mappedFile keeps what is read once for each file ever mapped.
type mappedFile struct {
	path string
	span uint64 // see elfSpan
}

// identity finds a file among the mappings. Device numbers would be surer, but overlayfs and btrfs show other ones in maps
// than in stat; the name may have grown a " (deleted)".
type identity struct {
	inode uint64
	base  string
}

func identify(path string) identity {
	var stat syscall.Stat_t
	if syscall.Stat(path, &stat) != nil {
		return identity{}
	}
	return identity{stat.Ino, filepath.Base(path)}
}

func (i identity) matches(m *Mapping) bool {
	return i.inode != 0 && m.Inode == i.inode && bytes.Contains(m.Path, []byte(i.base))
}

func newClassifier(known Runtime) *classifier {
	program, err := os.Readlink("/proc/self/exe")
	c := &classifier{
		goRanges: known.ranges, stackSize: 8 * mib,
		scratch: make([]byte, 4096), spanOf: readElfSpan, known: map[string]mappedFile{},
	}
	if err == nil {
		c.binary = identify(program)
	}
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_STACK, &limit) == nil && limit.Cur > 0 && limit.Cur < 1<<30 {
		c.stackSize = uint64(limit.Cur) // what glibc gives threads, pthread_create(3)
	}
	return c
}

func (c *classifier) reset() {
	c.parts, c.total, c.files = [numParts]Usage{}, Usage{}, c.files[:0]
	c.library, c.previous, c.previousName = segment{}, Mapping{}, false
}

// add counts one mapping.
func (c *classifier) add(m *Mapping) {
	c.total.add(m.Usage)
	switch {
	case len(m.Path) == 0 || bytes.HasPrefix(m.Path, []byte("[anon:")):
		c.addAnonymous(m)
	case m.Path[0] == '[':
		c.parts[c.named(m)].add(m.Usage)
	default:
		c.addFile(m)
	}
	c.previous, c.previousName = *m, len(m.Path) != 0
	c.previous.Path = nil
}

// named classifies what the kernel itself names. Go names its mappings where the kernel was built for it and GODEBUG has
// decoratemappings=1.
func (c *classifier) named(m *Mapping) Part {
	switch {
	case bytes.Equal(m.Path, []byte("[heap]")):
		return PartCHeap
	case bytes.HasPrefix(m.Path, []byte("[stack")):
		return PartStacks
	default:
		return PartOther
	}
}

func (c *classifier) addFile(m *Mapping) {
	part := PartOther
	switch {
	case c.model.matches(m):
		part = PartModel
	case c.binary.matches(m):
		part = PartBinary
	case bytes.Contains(m.Path, []byte(".so")) && m.Path[0] == '/':
		part = PartLibraries
	}
	c.parts[part].add(m.Usage)
	index := slices.IndexFunc(c.files, func(f File) bool { return f.Path == string(m.Path) })
	if index < 0 {
		index = len(c.files)
		c.files = append(c.files, File{Path: c.remember(m.Path).path})
	}
	c.files[index].add(m.Usage)
	if m.Offset == 0 && (part == PartLibraries || part == PartBinary) {
		c.library = segment{Range{m.Start, m.Start + c.remember(m.Path).span}, part, index}
	}
}

func (c *classifier) remember(path []byte) mappedFile {
	file, ok := c.known[string(path)]
	if !ok {
		name := string(path)
		file = mappedFile{name, c.spanOf(name)}
		c.known[name] = file
	}
	return file
}

// addAnonymous cuts a mapping no file stands behind along what is known of it: Go's ranges, pymalloc's arenas, a library's
// zeroed data, a thread's stack. The remainder is the C heap. (glibc maps what is larger than 128 KiB, and the arenas of
// further threads, as anonymous memory; nothing else in this process maps any.)
func (c *classifier) addAnonymous(m *Mapping) {
	if bytes.HasPrefix(m.Path, []byte("[anon: Go:")) {
		c.parts[PartGo].add(m.Usage)
		return
	}
	c.segments = c.segments[:0]
	if m.Rss == 0 {
		c.share(m)
		return
	}
	whole := Range{m.Start, m.End}
	c.cut(whole, c.goRanges, PartGo)
	c.cut(whole, c.arenas, PartPython)
	if r := whole.intersect(c.library.Range); r.size() > 0 {
		c.segments = append(c.segments, segment{r, c.library.part, c.library.file})
	}
	if !c.previousName && c.previous.End == m.Start && isGuard(&c.previous) {
		stack := Range{m.Start, m.Start + c.stackSize - pageSize}
		c.segments = append(c.segments, segment{whole.intersect(stack), PartStacks, -1})
	}
	c.share(m)
}

func (c *classifier) cut(whole Range, known []Range, part Part) {
	for _, k := range known {
		if r := whole.intersect(k); r.size() > 0 {
			c.segments = append(c.segments, segment{r, part, -1})
		}
	}
}

// share divides a mapping's usage among its segments by the pages resident in each.
func (c *classifier) share(m *Mapping) {
	rest := m.Usage
	for _, s := range c.segments {
		share := rest
		if s.size() < m.size() {
			resident, err := c.resident(s.Range)
			if err != nil {
				continue
			}
			share = portion(resident, rest)
		}
		c.parts[s.part].add(share)
		if s.file >= 0 {
			c.files[s.file].add(share)
		}
		rest.subtract(share)
	}
	c.parts[PartCHeap].add(rest)
}

func (c *classifier) resident(r Range) (uint64, error) {
	if c.pagemap == nil {
		return 0, os.ErrNotExist
	}
	return residentBytes(c.pagemap, r, c.scratch)
}

// portion is the usage of resident bytes of an anonymous mapping. Its pages are alike: private and written to.
func portion(resident uint64, rest Usage) Usage {
	return Usage{
		Rss: min(resident, rest.Rss), Pss: min(resident, rest.Pss), PrivateDirty: min(resident, rest.PrivateDirty),
		Anonymous: min(resident, rest.Anonymous),
	}
}

func (u *Usage) subtract(v Usage) {
	u.Rss -= v.Rss
	u.Pss -= v.Pss
	u.PrivateClean -= v.PrivateClean
	u.PrivateDirty -= v.PrivateDirty
	u.Anonymous -= v.Anonymous
	u.Swap -= v.Swap
}

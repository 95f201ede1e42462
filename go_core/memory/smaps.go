// Package memory is the ledger: it says, in bytes, where the memory of this process is, what the control group and the
// board still have, and what may be spent on queues and messages. Readers of kernel files are pure functions over their
// bytes; Ledger puts them together; Derive turns a limit into budgets.
//
// Three measures, never mixed: RSS is what is resident, shared pages counted in full; PSS divides each shared page by the
// number of its users; USS (private clean + private dirty) is what would come back if this process ended.
package memory

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// Usage is what one mapping, or a sum of them, occupies, in bytes. Anonymous is the part of Rss no file stands behind.
type Usage struct {
	Rss, Pss, PrivateClean, PrivateDirty, Anonymous, Swap uint64
}

// Uss is the memory that belongs to this process alone.
func (u Usage) Uss() uint64 { return u.PrivateClean + u.PrivateDirty }

func (u *Usage) add(v Usage) {
	u.Rss += v.Rss
	u.Pss += v.Pss
	u.PrivateClean += v.PrivateClean
	u.PrivateDirty += v.PrivateDirty
	u.Anonymous += v.Anonymous
	u.Swap += v.Swap
}

// Mapping is one entry of /proc/PID/smaps. Path is the mapped file or the kernel's name in brackets, empty for anonymous
// memory; it is valid only until the visitor returns.
type Mapping struct {
	Start, End, Offset, Inode uint64
	Readable, Writable        bool
	Path                      []byte
	Usage
}

func (m *Mapping) size() uint64 { return m.End - m.Start }

// errNotSmaps wraps every complaint about the text of smaps or smaps_rollup.
var errNotSmaps = errors.New("not in the format of /proc/PID/smaps")

// ParseSmaps reads the text of /proc/PID/smaps (or smaps_rollup, which has the same form) and calls visit for each
// mapping in order of address. Nothing is allocated per line: buffer, of minBuffer bytes or more, holds the text piece by
// piece. The Mapping passed to visit is used again for the next.
func ParseSmaps(r io.Reader, buffer []byte, visit func(*Mapping)) error {
	if len(buffer) < minBuffer {
		return fmt.Errorf("%w: a buffer of %d bytes is too small, %d are needed", errNotSmaps, len(buffer), minBuffer)
	}
	p := smapsParser{path: buffer[:longestPath], visit: visit}
	if err := eachLine(r, buffer[longestPath:], p.line); err != nil {
		return err
	}
	p.flush()
	return nil
}

// ParseRollup reads the text of /proc/PID/smaps_rollup, the sum over all mappings, exact where smaps rounds. It returns the
// zero Usage for any other text.
func ParseRollup(text []byte) Usage {
	var sum Mapping
	for line := range bytes.Lines(text) {
		if len(line) > 0 && line[0] >= 'A' && line[0] <= 'Z' && sum.field(bytes.TrimSuffix(line, []byte{'\n'})) != nil {
			return Usage{}
		}
	}
	return sum.Usage
}

const (
	longestPath = 4096 + 64 // PATH_MAX, and " (deleted)" with escapes for newlines
	minBuffer   = 2*longestPath + 256
)

type smapsParser struct {
	current Mapping
	started bool
	path    []byte // of the current mapping: its line leaves the text buffer before its fields arrive
	visit   func(*Mapping)
}

func (p *smapsParser) flush() {
	if p.started {
		p.visit(&p.current)
	}
}

func (p *smapsParser) line(line []byte) error {
	if len(line) == 0 {
		return nil
	}
	if c := line[0]; c >= 'A' && c <= 'Z' {
		if !p.started {
			return fmt.Errorf("%w: field %q before the first mapping", errNotSmaps, line)
		}
		return p.current.field(line)
	}
	p.flush()
	p.started = true
	if err := parseHeader(line, &p.current); err != nil {
		return err
	}
	p.current.Path = p.path[:copy(p.path, p.current.Path)]
	return nil
}

// parseHeader reads "start-end perms offset dev inode   path", see proc_pid_maps(5).
func parseHeader(line []byte, m *Mapping) error {
	*m = Mapping{}
	rest := line
	var ok [4]bool
	m.Start, rest, ok[0] = cutHex(rest, '-')
	m.End, rest, ok[1] = cutHex(rest, ' ')
	perms, rest, found := bytes.Cut(rest, []byte{' '})
	m.Offset, rest, ok[2] = cutHex(rest, ' ')
	_, rest, _ = bytes.Cut(rest, []byte{' '}) // device
	inode, path, _ := bytes.Cut(rest, []byte{' '})
	m.Inode, ok[3] = decimal(inode)
	if ok != [4]bool{true, true, true, true} || !found || len(perms) != 4 || m.End < m.Start {
		return fmt.Errorf("%w: %q is no mapping", errNotSmaps, line)
	}
	m.Readable, m.Writable = perms[0] == 'r', perms[1] == 'w'
	m.Path = bytes.TrimLeft(path, " ")
	return nil
}

// field reads one "Name:   123 kB" line; names it does not know are left alone, as kernels add some in every release.
func (m *Mapping) field(line []byte) error {
	name, rest, found := bytes.Cut(line, []byte{':'})
	var target *uint64
	switch string(name) {
	case "Rss":
		target = &m.Rss
	case "Pss":
		target = &m.Pss
	case "Private_Clean":
		target = &m.PrivateClean
	case "Private_Dirty":
		target = &m.PrivateDirty
	case "Anonymous":
		target = &m.Anonymous
	case "Swap":
		target = &m.Swap
	default:
		return nil
	}
	value, ok := kilobytes(rest)
	if !found || !ok {
		return fmt.Errorf("%w: %q has no size in kB", errNotSmaps, line)
	}
	*target = value
	return nil
}

// eachLine calls visit for each line of r, without its newline, using no memory but buffer.
func eachLine(r io.Reader, buffer []byte, visit func([]byte) error) error {
	filled := 0
	for {
		n, err := r.Read(buffer[filled:])
		filled += n
		rest := buffer[:filled]
		for {
			line, after, found := bytes.Cut(rest, []byte{'\n'})
			if !found {
				break
			}
			if err := visit(line); err != nil {
				return err
			}
			rest = after
		}
		if err == io.EOF {
			if len(rest) > 0 {
				return visit(rest)
			}
			return nil
		}
		if err != nil {
			return err
		}
		filled = copy(buffer, rest)
		if filled == len(buffer) {
			return fmt.Errorf("%w: a line is longer than %d bytes", errNotSmaps, len(buffer))
		}
	}
}

package protocol

import "unicode/utf8"

// maxDepth bounds the nesting of ignored values, so that hostile input can't exhaust the stack.
const maxDepth = 64

// fault is a syntax error at a byte offset of the body.
type fault struct {
	at   int
	what string
}

// scanner walks one JSON text (RFC 8259) without allocating. Strings are unescaped in place,
// which is possible because no escape is shorter than what it stands for.
type scanner struct {
	b   []byte
	i   int
	err fault
}

func (s *scanner) fail(at int, what string) bool {
	if s.err.what == "" {
		s.err = fault{at, what}
	}
	return false
}

func (s *scanner) space() {
	for s.i < len(s.b) {
		switch s.b[s.i] {
		case ' ', '\t', '\n', '\r':
			s.i++
		default:
			return
		}
	}
}

// peek returns the next byte that is not white space, 0 at the end.
func (s *scanner) peek() byte {
	s.space()
	if s.i < len(s.b) {
		return s.b[s.i]
	}
	return 0
}

func (s *scanner) take(c byte, what string) bool {
	if s.peek() != c || s.i >= len(s.b) {
		return s.fail(s.i, what)
	}
	s.i++
	return true
}

// skipString passes over a string and says whether it holds escapes.
func (s *scanner) skipString() (escaped, ok bool) {
	if !s.take('"', "expected a string") {
		return false, false
	}
	for s.i < len(s.b) {
		switch c := s.b[s.i]; {
		case c == '"':
			s.i++
			return escaped, true
		case c == '\\':
			escaped = true
			if !s.skipEscape() {
				return escaped, false
			}
		case c < 0x20:
			return escaped, s.fail(s.i, "control character in a string; write it as \\u00XX")
		default:
			s.i++
		}
	}
	return escaped, s.fail(s.i, "string without its closing quote")
}

func (s *scanner) skipEscape() bool {
	if s.i+1 >= len(s.b) {
		return s.fail(s.i, "string without its closing quote")
	}
	switch s.b[s.i+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		s.i += 2
		return true
	case 'u':
		if _, ok := hex4(s.b[s.i+2:]); ok {
			s.i += 6
			return true
		}
	}
	return s.fail(s.i, "unknown escape in a string")
}

func hex4(b []byte) (rune, bool) {
	if len(b) < 4 {
		return 0, false
	}
	var r rune
	for _, c := range b[:4] {
		switch {
		case '0' <= c && c <= '9':
			r = r<<4 | rune(c-'0')
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			r = r<<4 | rune(c|0x20-'a'+10)
		default:
			return 0, false
		}
	}
	return r, true
}

// text reads a string and returns it unescaped, as a part of the body.
func (s *scanner) text() ([]byte, bool) {
	s.space()
	start := s.i + 1
	escaped, ok := s.skipString()
	if !ok {
		return nil, false
	}
	raw := s.b[start : s.i-1 : s.i-1]
	if escaped {
		raw = unescape(raw)
	}
	return raw, true
}

// unescape works in place. Lone surrogates become U+FFFD, as no UTF-8 can hold them.
func unescape(b []byte) []byte {
	out := b[:0]
	for i := 0; i < len(b); {
		if b[i] != '\\' {
			out = append(out, b[i])
			i++
			continue
		}
		if c := b[i+1]; c != 'u' {
			out = append(out, plainEscape(c))
			i += 2
			continue
		}
		r, _ := hex4(b[i+2:])
		i += 6
		if 0xD800 <= r && r < 0xE000 {
			low, ok := lowSurrogate(b[i:])
			if r < 0xDC00 && ok {
				r = 0x10000 + (r-0xD800)<<10 + low
				i += 6
			} else {
				r = utf8.RuneError
			}
		}
		out = utf8.AppendRune(out, r)
	}
	return out
}

func lowSurrogate(b []byte) (rune, bool) {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return 0, false
	}
	r, ok := hex4(b[2:])
	return r - 0xDC00, ok && 0xDC00 <= r && r < 0xE000
}

func plainEscape(c byte) byte {
	switch c {
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	}
	return c
}

// skip passes over any value, checking its syntax.
func (s *scanner) skip(depth int) bool {
	switch c := s.peek(); {
	case c == '"':
		_, ok := s.skipString()
		return ok
	case c == '{':
		return s.skipItems('}', depth, true)
	case c == '[':
		return s.skipItems(']', depth, false)
	case c == '-' || '0' <= c && c <= '9':
		return s.skipNumber()
	case c == 't':
		return s.word("true")
	case c == 'f':
		return s.word("false")
	case c == 'n':
		return s.word("null")
	}
	return s.fail(s.i, "expected a value")
}

func (s *scanner) skipItems(end byte, depth int, keyed bool) bool {
	if depth > maxDepth {
		return s.fail(s.i, "nested deeper than 64 levels")
	}
	s.i++
	if s.peek() == end {
		s.i++
		return true
	}
	for {
		if keyed {
			s.space()
			if _, ok := s.skipString(); !ok || !s.take(':', "expected ':' after a key") {
				return false
			}
		}
		if !s.skip(depth + 1) {
			return false
		}
		switch s.peek() {
		case ',':
			s.i++
		case end:
			s.i++
			return true
		default:
			return s.fail(s.i, "expected ',' or a closing bracket")
		}
	}
}

func (s *scanner) word(w string) bool {
	if len(s.b)-s.i < len(w) || string(s.b[s.i:s.i+len(w)]) != w {
		return s.fail(s.i, "expected a value")
	}
	s.i += len(w)
	return true
}

func (s *scanner) digits() bool {
	start := s.i
	for s.i < len(s.b) && '0' <= s.b[s.i] && s.b[s.i] <= '9' {
		s.i++
	}
	return s.i > start || s.fail(s.i, "expected a digit")
}

// skipInteger passes over -?(0|[1-9][0-9]*).
func (s *scanner) skipInteger() bool {
	if s.peek() == '-' {
		s.i++
	}
	if s.i < len(s.b) && s.b[s.i] == '0' {
		s.i++
		return true
	}
	return s.digits()
}

func (s *scanner) skipNumber() bool {
	if !s.skipInteger() {
		return false
	}
	if s.i < len(s.b) && s.b[s.i] == '.' {
		s.i++
		if !s.digits() {
			return false
		}
	}
	if s.i < len(s.b) && s.b[s.i]|0x20 == 'e' {
		s.i++
		if s.i < len(s.b) && (s.b[s.i] == '+' || s.b[s.i] == '-') {
			s.i++
		}
		return s.digits()
	}
	return true
}

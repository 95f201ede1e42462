package features

import "bytes"

// What n-grams need to know about a token besides its hash.
const (
	isBreak    = 1 // n-grams stop here
	isNegation = 2 // the next words are negated
)

const (
	longestNumber   = 3 // digits; longer ones (years, prices) become one token
	longestFraction = 5 // bytes of "10/10"
	longestTag      = 200
)

// Classes of bytes in folded text.
const (
	other       = 0 // separates words, leaves no trace
	letter      = 1 // a-z and everything from 0x80 on, emoji apart
	digit       = 2
	punctuation = 4 // a run is one token
	special     = 8 // starts something that needs a look at what follows
)

var class = func() (table [256]byte) {
	for c := range table {
		switch {
		case 'a' <= c && c <= 'z', c >= 0x80:
			table[c] = letter
		case '0' <= c && c <= '9':
			table[c] = digit
		}
	}
	for _, c := range []byte(`!?.,()[]"`) {
		table[c] = punctuation
	}
	for _, c := range []byte(":;='`-<@") {
		table[c] = special
	}
	return table
}()

// scan finds the tokens of folded text and gives them to the extractor, until the text or its budget ends.
func (e *Extractor) scan(text []byte) {
	for i := 0; i < len(text) && !e.full; {
		switch class[text[i]] {
		case other:
			i++
		case letter:
			if text[i] >= firstEmoji && emoji(text[i:]) > 0 {
				i += e.scanEmoji(text[i:])
			} else {
				i += e.scanWord(text[i:])
			}
		case digit:
			if size := fraction(text[i:]); size > 0 {
				e.number(text[i:i+size], longestFraction)
				i += size
			} else {
				i += e.scanWord(text[i:])
			}
		case punctuation:
			i += e.scanRun(text[i:])
		default:
			i += e.scanSpecial(text[i:])
		}
	}
}

const firstEmoji = 0xe2 // no emoji's first byte is below

func (e *Extractor) scanEmoji(text []byte) int {
	size := emoji(text)
	e.token(hashOf(text[:size]), isBreak)
	return size
}

// emoji returns the size of the emoji that text starts with, 0 where there is none.
func emoji(text []byte) int {
	switch {
	case text[0] == 0xf0 && len(text) >= 4 && text[1] == 0x9f && text[2]&0xc0 == 0x80 && text[3]&0xc0 == 0x80:
		return 4
	case text[0] == 0xe2 && len(text) >= 3 && 0x98 <= text[1] && text[1] <= 0x9e && text[2]&0xc0 == 0x80:
		return 3
	}
	return 0
}

func startsWord(text []byte) bool {
	return len(text) > 0 && wordSize(text[:min(len(text), 4)]) > 0
}

// fraction returns the size of a number with inner points, commas or slashes, 0 where there is none.
func fraction(text []byte) int {
	size := digits(text)
	whole := size
	for size+1 < len(text) && (text[size] == '.' || text[size] == ',' || text[size] == '/') {
		more := digits(text[size+1:])
		if more == 0 {
			break
		}
		size += 1 + more
	}
	if size == whole {
		return 0
	}
	return size
}

func digits(text []byte) int {
	for i, c := range text {
		if class[c] != digit {
			return i
		}
	}
	return len(text)
}

func (e *Extractor) number(text []byte, longest int) {
	if len(text) > longest {
		e.token(hashZero, 0)
		return
	}
	e.token(hashOf(text), 0)
}

// scanRun reads a run of one punctuation mark; two or more are one doubled token.
func (e *Extractor) scanRun(text []byte) int {
	size := runSize(text)
	e.token(hashOf(text[:min(size, 2)]), isBreak)
	return size
}

func runSize(text []byte) int {
	size := 1
	for size < len(text) && text[size] == text[0] {
		size++
	}
	return size
}

func (e *Extractor) scanSpecial(text []byte) int {
	switch text[0] {
	case '\'', '`':
		return e.scanQuote(text)
	case '@':
		return e.scanUser(text)
	case '<':
		return e.scanTag(text)
	case '-':
		if runSize(text) > 1 {
			return e.scanRun(text)
		}
		return 1
	}
	if size := e.scanEmoticon(text); size > 0 {
		return size
	}
	if text[0] == '=' {
		return 1
	}
	return e.scanRun(text)
}

// scanQuote reads a clitic ('s, 're, ...) or a doubled quote; a single quote leaves no trace.
func (e *Extractor) scanQuote(text []byte) int {
	if text[0] == '\'' {
		if size := 1 + wordSize(text[1:]); isClitic(text[1:size]) {
			e.token(hashOf(text[:size]), 0)
			return size
		}
	}
	size := runSize(text)
	if size > 1 {
		e.token(hashQuote, isBreak)
	}
	return size
}

func isClitic(text []byte) bool {
	switch string(text) {
	case "s", "re", "ve", "ll", "d", "m":
		return true
	}
	return false
}

func (e *Extractor) scanUser(text []byte) int {
	size := 1
	for size < len(text) && (text[size] == '_' || text[size] < 0x80 && (class[text[size]] == letter || class[text[size]] == digit)) {
		size++
	}
	if size > 1 {
		e.token(hashOf(text[:1]), 0)
	}
	return size
}

// scanTag reads a heart or an HTML tag, which counts as a full stop.
func (e *Extractor) scanTag(text []byte) int {
	if len(text) < 2 {
		return 1
	}
	if text[1] == '3' {
		e.token(hashOf(text[:2]), isBreak)
		return 2
	}
	if text[1] != '/' && text[1] != '!' && (text[1] < 'a' || text[1] > 'z') {
		return 1
	}
	inner := text[2:min(len(text), 2+longestTag+1)]
	if end := bytes.IndexAny(inner, "<>"); end >= 0 && inner[end] == '>' {
		e.token(hashStop, isBreak)
		return 2 + end + 1
	}
	return 1
}

// scanEmoticon reads eyes, a nose or none, and a mouth; 0 where that is not what follows.
func (e *Extractor) scanEmoticon(text []byte) int {
	mouth := 1
	if mouth < len(text) && (text[mouth] == '-' || text[mouth] == '\'') {
		mouth++
	}
	if mouth >= len(text) {
		return 0
	}
	switch text[mouth] {
	case '(', ')', '[', ']', '/', '\\', '|', '*':
	case 'd', 'p':
		if startsWord(text[mouth+1:]) {
			return 0
		}
	default:
		return 0
	}
	e.token(extend(hashColon, text[mouth:mouth+1]), isBreak)
	return mouth + 1
}

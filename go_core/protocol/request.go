// Package protocol is the codec of wire format version 1: one JSON object in, one out.
// It is pure: no sockets, no clock. edged/protocol.py is its twin, held to it by
// tests/vectors/protocol.json.
package protocol

import (
	"fmt"
	"strconv"
	"unicode/utf8"
)

// Op is what a request asks for.
type Op uint8

// The operations of wire format version 1.
const (
	OpClassify Op = iota
	OpStats
	OpHealth
	OpInfo
)

var opNames = [...]string{"classify", "stats", "health", "info"}

// String returns the name on the wire.
func (op Op) String() string { return opNames[op] }

// Limits of the wire format itself, not of the configuration.
const (
	maxID         = 128              // bytes of an id token, quotes included
	maxDeadlineMS = 24 * 3600 * 1000 // a day
)

// Request is one parsed request. ID and Texts are parts of the body it was parsed from.
type Request struct {
	Op         Op
	ID         []byte // the token as written, nil where absent
	Single     bool   // "text" rather than "texts"
	Texts      [][]byte
	DeadlineMS int64 // 0: none
}

// Parse reads a request from body, which it rewrites in place (escapes); r is reused.
// The error, if any, is of code bad_request, and r.ID holds the id where it could be read.
func (r *Request) Parse(body []byte) *Error {
	*r = Request{Texts: r.Texts[:0]}
	if len(body) == 0 {
		return badRequest("the body is empty", `send one JSON object in the last frame, such as {"text":"..."}`)
	}
	if at := invalidUTF8(body); at >= 0 {
		return badRequest(fmt.Sprintf("byte %d is not valid UTF-8", at), "encode the request as UTF-8")
	}
	p := parser{scanner: scanner{b: body}, r: r}
	var refusal *Error
	if p.object() {
		refusal = p.judge()
	} else {
		r.ID = nil
		refusal = badRequest(fmt.Sprintf("not one JSON object: %s at byte %d", p.err.what, p.err.at), `send one JSON object, such as {"text":"..."}`)
	}
	if refusal != nil {
		r.Texts = r.Texts[:0]
	}
	return refusal
}

// invalidUTF8 returns the offset of the first byte that is not UTF-8, -1 where all are.
func invalidUTF8(b []byte) int {
	if utf8.Valid(b) {
		return -1
	}
	for i := 0; ; {
		c, size := utf8.DecodeRune(b[i:])
		if c == utf8.RuneError && size <= 1 {
			return i
		}
		i += size
	}
}

// Fields whose values can be wrong, in the order in which their faults are reported.
const (
	fieldID = iota
	fieldV
	fieldOp
	fieldDeadline
	fieldText
	fieldTexts
	fieldCount
)

// parser reads the fields of a request object. The last of several equal keys counts, so
// values are judged when the object has ended.
type parser struct {
	scanner
	r        *Request
	text1    []byte // value of "text"
	hasText  bool
	hasTexts bool
	faults   [fieldCount]*Error
}

// object returns false for a syntax error.
func (p *parser) object() bool {
	if p.peek() != '{' {
		return p.fail(p.i, "expected '{'")
	}
	p.i++
	if p.peek() == '}' {
		p.i++
	} else {
		for more := true; more; {
			if !p.field() {
				return false
			}
			switch p.peek() {
			case ',':
				p.i++
			case '}':
				p.i++
				more = false
			default:
				return p.fail(p.i, "expected ',' or '}'")
			}
		}
	}
	if p.space(); p.i != len(p.b) {
		return p.fail(p.i, "more after the object")
	}
	return true
}

func (p *parser) field() bool {
	key, ok := p.text()
	if !ok || !p.take(':', "expected ':' after a key") {
		return false
	}
	p.space()
	switch string(key) {
	case "text":
		return p.one()
	case "texts":
		return p.many()
	case "id":
		return p.id()
	case "op":
		return p.op()
	case "v":
		return p.version()
	case "deadline_ms":
		return p.deadline()
	}
	return p.skip(1)
}

// wrong notes a value of the wrong type or range and passes over it.
func (p *parser) wrong(field int, what, hint string) bool {
	p.faults[field] = badRequest(what+" (byte "+strconv.Itoa(p.i)+")", hint)
	return p.skip(1)
}

func (p *parser) one() (ok bool) {
	p.hasText, p.text1, p.faults[fieldText] = false, nil, nil
	if p.peek() != '"' {
		return p.wrong(fieldText, `"text" is not a string`, `send "text" as one JSON string`)
	}
	p.hasText = true
	p.text1, ok = p.text()
	return ok
}

func (p *parser) many() bool {
	p.hasTexts, p.r.Texts, p.faults[fieldTexts] = false, p.r.Texts[:0], nil
	if p.peek() != '[' {
		return p.wrong(fieldTexts, `"texts" is not a list`, `send "texts" as a list of JSON strings`)
	}
	p.hasTexts = true
	p.i++
	if p.peek() == ']' {
		p.i++
		return true
	}
	for {
		if !p.item() {
			return false
		}
		switch p.peek() {
		case ',':
			p.i++
		case ']':
			p.i++
			return true
		default:
			return p.fail(p.i, "expected ',' or ']'")
		}
	}
}

func (p *parser) item() bool {
	if p.peek() != '"' {
		if p.faults[fieldTexts] != nil {
			return p.skip(2)
		}
		p.faults[fieldTexts] = badRequest(fmt.Sprintf(`"texts"[%d] is not a string (byte %d)`, len(p.r.Texts), p.i), "every item must be a JSON string")
		return p.skip(2)
	}
	text, ok := p.text()
	p.r.Texts = append(p.r.Texts, text)
	return ok
}

func (p *parser) id() bool {
	p.r.ID, p.faults[fieldID] = nil, nil
	c, start := p.peek(), p.i
	switch {
	case c == '"':
		if _, ok := p.skipString(); !ok {
			return false
		}
	case c == '-' || '0' <= c && c <= '9':
		whole, ok := p.number()
		if !ok {
			return false
		}
		if !whole {
			p.faults[fieldID] = badRequest(fmt.Sprintf(`"id" is not an integer (byte %d)`, start), "use a JSON string or an integer")
			return true
		}
	default:
		return p.wrong(fieldID, `"id" is neither a string nor an integer`, "use a JSON string or an integer")
	}
	if p.i-start > maxID {
		p.faults[fieldID] = badRequest(fmt.Sprintf(`"id" is %d bytes long (byte %d)`, p.i-start, start), fmt.Sprintf("at most %d bytes, quotes included", maxID))
		return true
	}
	p.r.ID = p.b[start:p.i:p.i]
	return true
}

// number passes over a number and says whether it is written as an integer.
func (p *parser) number() (whole, ok bool) {
	integer := p.scanner
	ok = p.skipNumber()
	return ok && integer.skipInteger() && integer.i == p.i, ok
}

func (p *parser) op() bool {
	p.r.Op, p.faults[fieldOp] = OpClassify, nil
	if p.peek() != '"' {
		return p.wrong(fieldOp, `"op" is not a string`, "one of classify, stats, health, info")
	}
	start := p.i
	name, ok := p.text()
	for op, known := range opNames {
		if string(name) == known {
			p.r.Op = Op(op)
			return ok
		}
	}
	p.faults[fieldOp] = badRequest(fmt.Sprintf(`unknown "op" %q (byte %d)`, clip(name), start), "one of classify, stats, health, info")
	return ok
}

func (p *parser) version() bool {
	p.faults[fieldV] = nil
	start := p.i
	if !p.skip(1) {
		return false
	}
	if string(p.b[start:p.i]) != "1" {
		p.faults[fieldV] = badRequest(fmt.Sprintf(`"v" is %s (byte %d)`, clip(p.b[start:p.i]), start), "this daemon speaks version 1 of the wire format")
	}
	return true
}

func (p *parser) deadline() bool {
	p.r.DeadlineMS, p.faults[fieldDeadline] = 0, nil
	start := p.i
	if !p.skip(1) {
		return false
	}
	ms, err := strconv.ParseInt(string(p.b[start:p.i]), 10, 64)
	if err != nil || ms < 1 || ms > maxDeadlineMS {
		p.faults[fieldDeadline] = badRequest(fmt.Sprintf(`"deadline_ms" is %s (byte %d)`, clip(p.b[start:p.i]), start), fmt.Sprintf("an integer from 1 to %d", maxDeadlineMS))
		return true
	}
	p.r.DeadlineMS = ms
	return true
}

// clip keeps quoted input short and valid.
func clip(b []byte) string {
	const most = 40
	if len(b) <= most {
		return string(b)
	}
	for b = b[:most]; len(b) > 0 && !utf8.Valid(b); b = b[:len(b)-1] {
	}
	return string(b) + "..."
}

// judge returns the first fault of a well-formed object.
func (p *parser) judge() *Error {
	for _, fault := range p.faults {
		if fault != nil {
			return fault
		}
	}
	r := p.r
	switch {
	case r.Op != OpClassify:
		r.Texts = r.Texts[:0]
	case p.hasText && p.hasTexts:
		return badRequest(`"text" and "texts" together`, "send one of them")
	case p.hasText:
		r.Single = true
		r.Texts = append(r.Texts[:0], p.text1)
	case !p.hasTexts:
		return badRequest(`neither "text" nor "texts"`, `send {"text":"..."} or {"texts":["...","..."]}`)
	}
	return nil
}

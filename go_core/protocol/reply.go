package protocol

import (
	"strconv"
	"unicode/utf8"
)

// Code is an error's code on the wire.
type Code string

// The error codes of wire format version 1.
const (
	BadRequest  Code = "bad_request"
	TooLarge    Code = "too_large"
	Busy        Code = "busy"
	Deadline    Code = "deadline"
	Draining    Code = "draining"
	Denied      Code = "denied"
	Unavailable Code = "unavailable"
	Model       Code = "model"
	Internal    Code = "internal"
)

// Codes lists every code, in the order of the wire format's specification.
var Codes = [...]Code{BadRequest, TooLarge, Busy, Deadline, Draining, Denied, Unavailable, Model, Internal}

func (c Code) retryable() bool { return c == Busy || c == Draining || c == Unavailable }

// Error is an error reply: what happened and what to do about it.
type Error struct {
	Code         Code
	Message      string
	Hint         string
	RetryAfterMS int64 // sent with the codes after which a retry may succeed: busy, draining, unavailable
}

// Error makes it a Go error.
func (e *Error) Error() string { return string(e.Code) + ": " + e.Message }

func badRequest(message, hint string) *Error {
	return &Error{Code: BadRequest, Message: message, Hint: hint}
}

// Result is the answer for one review. Score is the probability of Label, 0 to 1.
type Result struct {
	Label     string
	Score     float64
	Uncertain bool
	Truncated bool
}

// AppendResults appends the reply to a classify request: one object where the request had
// "text", a list where it had "texts".
func AppendResults(dst, id []byte, single bool, results []Result) []byte {
	dst = appendHead(dst, id)
	if single && len(results) == 1 {
		dst = appendResult(dst, &results[0])
		return append(dst, '}')
	}
	dst = append(dst, `"results":[`...)
	for i := range results {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, '{')
		dst = appendResult(dst, &results[i])
		dst = append(dst, '}')
	}
	return append(dst, "]}"...)
}

// AppendError appends an error reply.
func AppendError(dst, id []byte, e *Error) []byte {
	dst = appendHead(dst, id)
	dst = append(dst, `"error":{"code":`...)
	dst = AppendString(dst, string(e.Code))
	dst = append(dst, `,"message":`...)
	dst = AppendString(dst, e.Message)
	dst = append(dst, `,"hint":`...)
	dst = AppendString(dst, e.Hint)
	if e.Code.retryable() {
		dst = append(dst, `,"retry_after_ms":`...)
		dst = strconv.AppendInt(dst, e.RetryAfterMS, 10)
	}
	return append(dst, "}}"...)
}

// AppendObject appends the reply to stats, health and info: {"id":...,"<op>":object}.
func AppendObject(dst, id []byte, op Op, object []byte) []byte {
	dst = appendHead(dst, id)
	dst = AppendString(dst, op.String())
	dst = append(dst, ':')
	dst = append(dst, object...)
	return append(dst, '}')
}

func appendHead(dst, id []byte) []byte {
	dst = append(dst, '{')
	if len(id) == 0 {
		return dst
	}
	dst = append(dst, `"id":`...)
	dst = append(dst, id...)
	return append(dst, ',')
}

func appendResult(dst []byte, r *Result) []byte {
	dst = append(dst, `"label":`...)
	dst = AppendString(dst, r.Label)
	dst = append(dst, `,"score":`...)
	dst = strconv.AppendFloat(dst, r.Score, 'f', 4, 64)
	if r.Uncertain {
		dst = append(dst, `,"uncertain":true`...)
	}
	if r.Truncated {
		dst = append(dst, `,"truncated":true`...)
	}
	return dst
}

// AppendString appends s as a JSON string, escaped as Python's json.dumps(ensure_ascii=False)
// does; bytes that are not UTF-8 become U+FFFD.
func AppendString(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c >= utf8.RuneSelf:
			r, size := utf8.DecodeRuneInString(s[i:])
			dst = utf8.AppendRune(dst, r)
			i += size - 1
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c >= 0x20:
			dst = append(dst, c)
		case c == '\n':
			dst = append(dst, '\\', 'n')
		case c == '\r':
			dst = append(dst, '\\', 'r')
		case c == '\t':
			dst = append(dst, '\\', 't')
		case c == '\b':
			dst = append(dst, '\\', 'b')
		case c == '\f':
			dst = append(dst, '\\', 'f')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
	}
	return append(dst, '"')
}

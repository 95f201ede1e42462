package python

import (
	"encoding/json"
	"errors"
	"fmt"
)

// ErrClosed is returned for every call after Close has begun.
var ErrClosed = errors.New("the Python interpreter is closed")

// ErrBusy is returned by Memory when the interpreter does not answer in time, because a handler holds it.
var ErrBusy = errors.New("the Python interpreter is busy")

// ErrHung is returned by Close when a call still runs, or finalisation has not ended, after Options.CloseTimeout.
// The interpreter is then neither usable nor gone: exit the process without touching it again.
var ErrHung = errors.New("the Python interpreter did not stop in time")

// Error is an exception that edged.embedded.entry caught and reported.
type Error struct {
	Type      string `json:"type"`      // class name, for instance "ValueError"
	Message   string `json:"message"`   // str(exception)
	Traceback string `json:"traceback"` // as Python prints it; may be empty
}

func (e *Error) Error() string { return e.Type + ": " + e.Message }

// BoundaryError says that a call came back without a reply: an exception, a NULL or a value other than bytes
// crossed from Python to Go. entry lets none through, so it is always a bug or an interpreter in ruins.
type BoundaryError struct {
	Call   string // "load", "process_batch", "unload" or "memory"
	Detail string
}

func (e *BoundaryError) Error() string {
	return fmt.Sprintf("Python's %s broke the call boundary: %s", e.Call, e.Detail)
}

// UnavailableError says why no interpreter could be had, and what to do.
type UnavailableError struct {
	Problem string // what happened
	Looked  string // where, or what was found; may be empty
	Remedy  string // what to do
	Err     error  // may be nil
}

func (e *UnavailableError) Error() string {
	text := e.Problem
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	if e.Looked != "" {
		text += " (" + e.Looked + ")"
	}
	return text + ". " + e.Remedy
}

func (e *UnavailableError) Unwrap() error { return e.Err }

// reported turns a reply with status 1 into an *Error.
func reported(reply []byte) error {
	problem := new(Error)
	if err := json.Unmarshal(reply[1:], problem); err != nil {
		return &Error{Type: "InternalError", Message: "unreadable error report: " + err.Error()}
	}
	return problem
}

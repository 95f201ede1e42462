package python

/*
#include <stdlib.h>
#include "shim.h"
*/
import "C"

import (
	"errors"
	"runtime"
	"slices"
	"unsafe"
)

// smallestReply is what a reply buffer can hold at least, so that the first replies need no second step.
const smallestReply = 512

var functionNames = [...]string{"load", "process_batch", "unload", "memory"}

var errWrongThread = errors.New("a Thread was used from another operating system thread than the one that attached it")

// Thread is an operating system thread attached to the interpreter for good, at the price of one attachment.
// It belongs to the goroutine that called Attach, which stays locked to its thread until Detach.
type Thread struct {
	host   *Host
	thread *C.edged_thread
}

// newThread is in C's memory: the shim keeps pointers of Python's in it, and it outlives a hung call.
func newThread() *C.edged_thread {
	return (*C.edged_thread)(C.calloc(1, C.sizeof_edged_thread))
}

func problem(thread *C.edged_thread) string { return C.GoString(&thread.error[0]) }

// Attach locks the calling goroutine to its thread and attaches that to the interpreter.
//
// Errors: ErrClosed.
func (h *Host) Attach() (*Thread, error) {
	h.calls.RLock()
	defer h.calls.RUnlock()
	if h.closed.Load() {
		return nil, ErrClosed
	}
	runtime.LockOSThread()
	t := &Thread{host: h, thread: newThread()}
	C.edged_python_attach(t.thread)
	return t, nil
}

// Detach undoes Attach. After the Host was closed there is nothing left to detach from: it then only unlocks.
func (t *Thread) Detach() error {
	t.host.calls.RLock()
	defer t.host.calls.RUnlock()
	if t.thread == nil {
		return ErrClosed
	}
	if !t.host.closed.Load() {
		if C.edged_python_detach(t.thread) != 0 {
			return errWrongThread
		}
	}
	C.free(unsafe.Pointer(t.thread))
	t.thread = nil
	runtime.UnlockOSThread()
	return nil
}

// ProcessBatch hands one packed record to Python and appends the reply (status byte 0 first) to reply, which grows
// when it must. It allocates nothing else.
//
// Errors: *Error that Python reported, *BoundaryError, ErrClosed. reply is then returned as it came.
func (t *Thread) ProcessBatch(record, reply []byte) ([]byte, error) {
	h := t.host
	h.calls.RLock()
	defer h.calls.RUnlock()
	if h.closed.Load() || t.thread == nil {
		return reply, ErrClosed
	}
	return h.call(t.thread, C.EDGED_PROCESS_BATCH, record, reply)
}

// call is the path of every call on an attached thread; the reply keeps its status byte.
func (h *Host) call(thread *C.edged_thread, function int, record, reply []byte) ([]byte, error) {
	start := len(reply)
	reply = slices.Grow(reply, smallestReply)
	room := reply[start:cap(reply)]
	length := h.host.call(thread, function, unsafe.Pointer(unsafe.SliceData(record)), len(record),
		unsafe.Pointer(unsafe.SliceData(room)), len(room))
	if length <= 0 {
		return reply[:start], h.broken(thread, function, length)
	}
	if length > len(room) {
		reply = slices.Grow(reply, length)
		C.edged_take(thread, unsafe.Pointer(unsafe.SliceData(reply[start:cap(reply)])))
	}
	reply = reply[:start+length]
	if reply[start] != 0 {
		return reply[:start], reported(reply[start:])
	}
	return reply, nil
}

func (h *Host) broken(thread *C.edged_thread, function, length int) error {
	if length == C.EDGED_WRONG_THREAD {
		return errWrongThread
	}
	h.failures.Add(1)
	detail := problem(thread)
	if length == 0 {
		detail = "an empty reply"
	}
	err := &BoundaryError{Call: functionNames[function], Detail: detail}
	h.log.Error("Python broke the call boundary", "event", "python_boundary", "call", err.Call, "detail", err.Detail, "host", h.Name())
	return err
}

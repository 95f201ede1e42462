package python

/*
#include <stdlib.h>
#include "shim.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"runtime"
	"time"
	"unsafe"
)

const (
	defaultCloseTimeout = 5 * time.Second
	memoryTimeout       = time.Second
	tracebackTimeout    = 2 * time.Second
)

// own is the life of the owner's thread.
func (h *Host) own(start func() error, started chan<- error) {
	runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
	err := start()
	started <- err
	if err != nil {
		return
	}
	for do := range h.work {
		do()
	}
}

// Load asks Python for a handler: options and description are JSON objects. The handlers loaded before stay.
//
// Errors: *Error from Python, *BoundaryError, ErrClosed.
func (h *Host) Load(options []byte) ([]byte, error) {
	return h.dispatch(C.EDGED_LOAD, options)
}

// Unload drops the handler that the JSON object {"handle": N} names.
//
// Errors: as Load.
func (h *Host) Unload(options []byte) error {
	_, err := h.dispatch(C.EDGED_UNLOAD, options)
	return err
}

// Memory gives the interpreter's own account of its memory as a JSON object, in bytes and counts.
//
// Errors: as Load, and ErrBusy after one second.
func (h *Host) Memory() ([]byte, error) {
	h.calls.RLock()
	defer h.calls.RUnlock()
	if h.closed.Load() {
		return nil, ErrClosed
	}
	type result struct {
		reply []byte
		err   error
	}
	done := make(chan result, 1)
	timer := time.NewTimer(memoryTimeout)
	defer timer.Stop()
	ask := func() {
		reply, err := h.onOwner(C.EDGED_MEMORY, mallocStats())
		done <- result{reply, err}
	}
	select {
	case h.work <- ask:
	case <-timer.C:
		return nil, ErrBusy
	}
	select {
	case answer := <-done:
		return answer.reply, answer.err
	case <-timer.C:
		return nil, ErrBusy
	}
}

// mallocStats runs on the owner's thread.
func mallocStats() []byte {
	text := C.edged_python_malloc_stats()
	if text == nil {
		return nil
	}
	defer C.free(unsafe.Pointer(text))
	return []byte(C.GoString(text))
}

// dispatch runs one of the rare calls on the owner's thread and waits for it.
func (h *Host) dispatch(function int, input []byte) (reply []byte, err error) {
	done := make(chan struct{})
	do := func() {
		defer close(done)
		saved := C.edged_signals_save() // a handler's imports may take SIGSEGV from Go
		reply, err = h.onOwner(function, input)
		C.edged_signals_restore(saved)
		C.edged_trim()
	}
	h.calls.RLock() // Close waits for us, and nobody sends on a closed channel
	defer h.calls.RUnlock()
	if h.closed.Load() {
		return nil, ErrClosed
	}
	h.work <- do
	<-done
	return reply, err
}

// onOwner calls and strips the status byte.
func (h *Host) onOwner(function int, input []byte) ([]byte, error) {
	reply, err := h.call(h.owner, function, input, nil)
	if err != nil {
		return nil, err
	}
	return reply[1:], nil
}

// DumpTraceback writes the Python stack of every thread to the file descriptor. It is for handlers that hang, so it
// waits for no lock where the interpreter allows (CPython up to 3.12); else for at most two seconds.
//
// Errors: ErrClosed once finalisation has begun.
func (h *Host) DumpTraceback(fd uintptr) error {
	if h.finalizing.Load() {
		return ErrClosed
	}
	done := make(chan C.int, 1)
	go func() { done <- C.edged_python_traceback(C.int(fd)) }()
	select {
	case status := <-done:
		if status != 0 {
			return errors.New("the interpreter could not write its stacks")
		}
		return nil
	case <-time.After(tracebackTimeout):
		return errors.New("the interpreter lock is held: its stacks cannot be had")
	}
}

// Close refuses new calls, waits for running ones, and finalises the interpreter on its own thread, all within
// Options.CloseTimeout. It never finalises with a call in flight. A second Close returns ErrClosed.
//
// Errors: ErrHung; the process must then exit without another word to Python.
func (h *Host) Close() error {
	if !h.closed.CompareAndSwap(false, true) {
		return ErrClosed
	}
	deadline := time.Now().Add(h.timeout)
	for !h.calls.TryLock() {
		if time.Now().After(deadline) {
			return fmt.Errorf("%w: a call is still running after %v", ErrHung, h.timeout)
		}
		time.Sleep(time.Millisecond)
	}
	defer h.calls.Unlock()
	done := make(chan error, 1)
	h.finalizing.Store(true)
	finalize := func() { done <- h.host.finalize(h.owner) }
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	select {
	case h.work <- finalize:
		close(h.work)
	case <-timer.C:
		return fmt.Errorf("%w: its thread is busy", ErrHung)
	}
	select {
	case err := <-done:
		return err
	case <-timer.C:
		return fmt.Errorf("%w: finalisation runs longer than %v", ErrHung, h.timeout)
	}
}

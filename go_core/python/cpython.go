package python

/*
#cgo noescape edged_python_call
#cgo nocallback edged_python_call
#include <stdlib.h>
#include "shim.h"
*/
import "C"

import "unsafe"

// cpython calls the interpreter through libpython.
type cpython struct{ module string }

func (cpython) name() string { return "cpython" }

func (c cpython) initialize(owner *C.edged_thread) error {
	module := C.CString(c.module)
	defer C.free(unsafe.Pointer(module))
	if C.edged_python_functions(module, owner) != 0 {
		return &UnavailableError{Problem: c.module + " lacks a function", Looked: problem(owner),
			Remedy: "Reinstall the Python package edged: it and this program must be of one version"}
	}
	C.edged_python_release(owner)
	return nil
}

func (cpython) call(thread *C.edged_thread, function int, record unsafe.Pointer, n int, out unsafe.Pointer, room int) int {
	return int(C.edged_python_call(thread, C.int(function), record, C.size_t(n), out, C.size_t(room)))
}

func (cpython) finalize(owner *C.edged_thread) error {
	if C.edged_python_finalize(owner) != 0 {
		return &BoundaryError{Call: "finalize", Detail: problem(owner)}
	}
	return nil
}

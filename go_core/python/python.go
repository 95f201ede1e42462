// Package python owns the Python interpreter inside the process.
//
// Two hosts embed it behind one type: CPython, called through libpython, and MetaCall, called through libmetacall.
// Both are loaded with dlopen; the binary needs neither to build, and no headers. A Host runs its interpreter on an
// operating system thread of its own: it is initialised, told to load and unload handlers, and finalised there, so
// that a reload never stops the threads that serve. Those attach once (Host.Attach) and then call at full speed.
//
// The interpreter lock is free between calls: threads that Python code starts keep running.
package python

/*
#cgo LDFLAGS: -ldl
#include <stdlib.h>
#include "shim.h"
*/
import "C"

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	_ "embed"
)

// Options says which interpreter to open. The zero value finds one.
type Options struct {
	Embed        string        // "auto" (also ""), "metacall" or "cpython"; auto takes MetaCall where it is installed
	Executable   string        // interpreter, for instance a virtual environment's bin/python3; "" = find
	LibPython    string        // shared library of that interpreter; "" = find
	LibMetaCall  string        // libmetacall.so; "" = find
	Path         []string      // put in front of sys.path
	Log          *slog.Logger  // nil discards
	CloseTimeout time.Duration // how long Close may take; 0 = 5 s

	module string // what is called in place of edged.embedded.entry; for tests
}

const defaultModule = "edged.embedded.entry"

//go:embed prepare.py
var prepareSource string

// A host is one way to call the interpreter. All methods but call run on the owner's thread.
type host interface {
	name() string
	initialize(owner *C.edged_thread) error
	call(thread *C.edged_thread, function int, record unsafe.Pointer, n int, out unsafe.Pointer, room int) int
	finalize(owner *C.edged_thread) error
}

// Host is the interpreter. Its methods may be called from any goroutine.
type Host struct {
	host        host
	log         *slog.Logger
	version     string
	interpreter Interpreter
	timeout     time.Duration
	owner       *C.edged_thread
	work        chan func() // to the owner's thread; closed when it ends
	calls       sync.RWMutex
	closed      atomic.Bool // no new calls
	finalizing  atomic.Bool // no more of anything
	failures    atomic.Int64
}

// opened: CPython and its extension modules do not survive a second life in one process.
var opened atomic.Bool

// Open finds an interpreter, starts it on a thread of its own, and imports edged.embedded.entry there.
// A process can open one Host in its life.
//
// Errors: *UnavailableError says what is missing or does not fit, and the remedy.
func Open(options Options) (*Host, error) {
	if options.Log == nil {
		options.Log = slog.New(slog.DiscardHandler)
	}
	if options.module == "" {
		options.module = defaultModule
	}
	interpreter, library, chosen, err := find(options)
	if err != nil {
		return nil, err
	}
	if !opened.CompareAndSwap(false, true) {
		return nil, errors.New("a Python interpreter was already opened in this process")
	}
	h := &Host{host: chosen, log: options.Log, interpreter: interpreter, timeout: options.CloseTimeout,
		owner: newThread(), work: make(chan func())}
	if h.timeout == 0 {
		h.timeout = defaultCloseTimeout
	}
	started := make(chan error)
	go h.own(func() error { return h.start(options, library) }, started)
	if err := <-started; err != nil {
		return nil, err
	}
	h.log.Info("Python is ready", "event", "python_ready", "host", h.Name(), "version", h.version, "interpreter", interpreter.Executable, "library", library)
	return h, nil
}

// find decides what to load, without loading anything.
func find(options Options) (interpreter Interpreter, library string, chosen host, err error) {
	if interpreter, err = NewSearch(options.Executable, options.LibPython).Locate(); err != nil {
		return interpreter, "", nil, err
	}
	if library, err = interpreter.Library(); err != nil {
		return interpreter, "", nil, err
	}
	if err = checkHome(interpreter); err != nil {
		return interpreter, "", nil, err
	}
	chosen, err = choose(options, library)
	return interpreter, library, chosen, err
}

// choose decides between the hosts.
func choose(options Options, libPython string) (host, error) {
	switch options.Embed {
	case "cpython":
		return cpython{module: options.module}, nil
	case "metacall", "auto", "":
	default:
		return nil, &UnavailableError{Problem: fmt.Sprintf("embed = %q is unknown", options.Embed), Remedy: "Use auto, metacall or cpython"}
	}
	library, err := LocateMetaCall(options.LibMetaCall, os.Getenv)
	if err == nil {
		err = matches(library, libPython)
	}
	if err == nil {
		return metacall{library: library, module: options.module}, nil
	}
	if options.Embed == "metacall" || options.LibMetaCall != "" {
		return nil, err
	}
	options.Log.Debug("MetaCall is not used", "event", "metacall_unused", "reason", err)
	return cpython{module: options.module}, nil
}

// checkHome refuses a PYTHONHOME that does not hold the interpreter's library: CPython would end the process.
func checkHome(interpreter Interpreter) error {
	home := os.Getenv("PYTHONHOME")
	if home == "" {
		return nil
	}
	prefix, _, _ := strings.Cut(home, ":")
	if isFile(prefix + "/lib/python" + interpreter.Version + "/os.py") {
		return nil
	}
	return &UnavailableError{Problem: "PYTHONHOME is " + home + ", which holds no Python " + interpreter.Version + " library",
		Remedy: "Unset it: edged finds a virtual environment from its interpreter (`python`)"}
}

func (h *Host) start(options Options, library string) error {
	saved := C.edged_signals_save()
	defer func() {
		if changed := C.edged_signals_restore(saved); changed > 0 {
			h.log.Debug("signal handlers given back to Go", "changed", int(changed))
		}
	}()
	if err := openLibrary(library, h.interpreter, h.owner); err != nil {
		return err
	}
	program := C.CString(h.interpreter.Executable)
	defer C.free(unsafe.Pointer(program))
	if C.edged_python_initialize(program, h.owner) != 0 {
		return &UnavailableError{Problem: "Python did not start", Looked: problem(h.owner), Remedy: "Check the interpreter " + h.interpreter.Executable}
	}
	h.version, _, _ = strings.Cut(C.GoString(C.edged_python_version()), " ")
	if err := h.prepare(options); err != nil {
		return err
	}
	return h.host.initialize(h.owner)
}

func openLibrary(library string, interpreter Interpreter, owner *C.edged_thread) error {
	name := C.CString(library)
	defer C.free(unsafe.Pointer(name))
	if C.edged_python_open(name, owner) != 0 {
		return &UnavailableError{Problem: "libpython cannot be loaded", Looked: problem(owner),
			Remedy: fmt.Sprintf("Install it (Debian: apt install libpython%s) or set `libpython`", interpreter.Version)}
	}
	return nil
}

// prepare runs prepare.py, which sets sys.path and imports the entry module.
func (h *Host) prepare(options Options) error {
	wanted, err := json.Marshal(map[string]any{
		"path":   append(append([]string{}, options.Path...), h.interpreter.Path...),
		"module": options.module,
		"host":   h.Name(),
	})
	if err != nil {
		return err
	}
	source, name := C.CString(prepareSource), C.CString("<edged prepare>")
	defer C.free(unsafe.Pointer(source))
	defer C.free(unsafe.Pointer(name))
	if C.edged_python_run(source, name, unsafe.Pointer(unsafe.SliceData(wanted)), C.size_t(len(wanted)), h.owner) != 0 {
		return &BoundaryError{Call: "prepare", Detail: problem(h.owner)}
	}
	reply := make([]byte, h.owner.held_length)
	C.edged_take(h.owner, unsafe.Pointer(unsafe.SliceData(reply)))
	if reply[0] == 0 {
		return nil
	}
	return explainImport(reply[1:], h.interpreter)
}

// explainImport turns a failed import of the package into words.
func explainImport(report []byte, interpreter Interpreter) error {
	var failed struct {
		Error
		Name       string   `json:"name"`
		Executable string   `json:"executable"`
		Path       []string `json:"path"`
	}
	if err := json.Unmarshal(report, &failed); err != nil {
		return &BoundaryError{Call: "prepare", Detail: err.Error()}
	}
	if failed.Type == "ModuleNotFoundError" && (failed.Name == "edged" || strings.HasPrefix(failed.Name, "edged.")) {
		return &UnavailableError{Problem: "the Python package edged is not installed for " + interpreter.Executable,
			Looked: "looked in " + strings.Join(failed.Path, ", "),
			Remedy: "Install it there (" + interpreter.Executable + " -m pip install .) or add its folder to `python_path`"}
	}
	return &UnavailableError{Problem: "the Python package edged cannot be imported by " + interpreter.Executable, Err: &failed.Error,
		Remedy: "Reinstall it; the traceback: " + failed.Traceback}
}

// Name is "cpython" or "metacall".
func (h *Host) Name() string { return h.host.name() }

// Version is the interpreter's, for instance "3.11.2".
func (h *Host) Version() string { return h.version }

// Interpreter is what was found on disk.
func (h *Host) Interpreter() Interpreter { return h.interpreter }

// Failures counts calls that broke the boundary (BoundaryError).
func (h *Host) Failures() int64 { return h.failures.Load() }

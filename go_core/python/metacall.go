package python

/*
#cgo noescape edged_metacall_call
#cgo nocallback edged_metacall_call
#include <stdlib.h>
#include "shim.h"
*/
import "C"

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"unsafe"
)

//go:embed bridge.py
var bridgeSource string

const getMetaCall = "Install MetaCall (https://github.com/metacall/install), set `metacall_lib` to its libmetacall.so, or set embed = \"cpython\""

// metacallFolders are where MetaCall's own installers put libmetacall.so.
var metacallFolders = []string{"/usr/local/lib", "/gnu/lib"}

// metacall calls the interpreter through libmetacall.
type metacall struct{ library, module string }

func (metacall) name() string { return "metacall" }

func (m metacall) initialize(owner *C.edged_thread) error {
	library := C.CString(m.library)
	defer C.free(unsafe.Pointer(library))
	if C.edged_metacall_open(library, owner) != 0 {
		return &UnavailableError{Problem: "libmetacall cannot be used", Looked: problem(owner), Remedy: getMetaCall}
	}
	bridge := C.CString(strings.ReplaceAll(bridgeSource, defaultModule, m.module))
	defer C.free(unsafe.Pointer(bridge))
	if C.edged_metacall_initialize(bridge, owner) != 0 {
		return &UnavailableError{Problem: "MetaCall does not start", Looked: m.library + ": " + problem(owner),
			Remedy: "Check that its Python loader is installed and that LOADER_LIBRARY_PATH and CONFIGURATION_PATH, where set, lead to it"}
	}
	return nil
}

func (metacall) call(thread *C.edged_thread, function int, record unsafe.Pointer, n int, out unsafe.Pointer, room int) int {
	return int(C.edged_metacall_call(thread, C.int(function), record, C.size_t(n), out, C.size_t(room)))
}

func (metacall) finalize(owner *C.edged_thread) error {
	C.edged_metacall_finalize(owner)
	return nil
}

// MetaCallVersion is MetaCall's own, for instance "0.9.22"; "" for the CPython host and where MetaCall does not say.
func (h *Host) MetaCallVersion() string {
	if h.Name() != "metacall" {
		return ""
	}
	return C.GoString(C.edged_metacall_version())
}

// LocateMetaCall finds libmetacall.so: the one configured, else in LOADER_LIBRARY_PATH (MetaCall's own variable),
// LD_LIBRARY_PATH, and where MetaCall's installers put it.
//
// Errors: *UnavailableError.
func LocateMetaCall(configured string, getenv func(string) string) (string, error) {
	if configured != "" {
		if !isFile(configured) {
			return "", &UnavailableError{Problem: "`metacall_lib` names " + configured + ", which is no file", Remedy: getMetaCall}
		}
		return configured, fits(configured)
	}
	var folders []string
	for _, variable := range []string{"LOADER_LIBRARY_PATH", "LD_LIBRARY_PATH"} {
		folders = append(folders, filepath.SplitList(getenv(variable))...)
	}
	folders = append(folders, metacallFolders...)
	for _, folder := range folders {
		library := filepath.Join(folder, "libmetacall.so")
		if isFile(library) {
			return library, fits(library)
		}
	}
	return "", &UnavailableError{Problem: "MetaCall is not installed", Looked: "looked for libmetacall.so in " + strings.Join(folders, ", "), Remedy: getMetaCall}
}

// matches refuses a MetaCall whose Python loader was built for another libpython than the interpreter's: two Pythons
// in one process end in a crash. It reads MetaCall's own configuration; one it cannot read proves nothing.
func matches(library, libPython string) error {
	var loader struct {
		Dependencies map[string][]string `json:"dependencies"`
	}
	name := filepath.Join(filepath.Dir(filepath.Dir(library)), "share", "metacall", "configurations", "py_loader.json")
	if global := os.Getenv("CONFIGURATION_PATH"); global != "" {
		name = filepath.Join(filepath.Dir(global), "py_loader.json")
	}
	text, err := os.ReadFile(name)
	if err != nil || json.Unmarshal(text, &loader) != nil {
		return nil
	}
	wanted := loader.Dependencies["python"]
	if len(wanted) == 0 || filepath.Base(wanted[0]) == filepath.Base(libPython) {
		return nil
	}
	return &UnavailableError{Problem: fmt.Sprintf("MetaCall's Python loader wants %s, the interpreter has %s", wanted[0], libPython),
		Looked: "as " + name + " says", Remedy: "Set `python` to an interpreter of MetaCall's version, or embed = \"cpython\""}
}

package python

import (
	"os"
	"path/filepath"
	"testing"
)

// Each case is a world of its own, in a process of its own.

func TestAMissingPackageIsExplained(t *testing.T) {
	onEachHost(t, func(t *testing.T, host string) {
		options := testOptions(host)
		options.Executable, options.Path = "/usr/bin/python3", nil // Debian's has no edged
		_, err := Open(options)
		unavailable(t, err, "the Python package edged is not installed for /usr/bin/python3", "/usr/lib/python3", "pip install", "`python_path`")
	})
}

func TestADamagedPackageIsExplained(t *testing.T) {
	onEachHost(t, func(t *testing.T, host string) {
		options := testOptions(host)
		folder := tree(t, "edged/__init__.py = ", "edged/embedded/__init__.py = ", "edged/embedded/imports.py = import no_such_module")
		options.Path = []string{folder}
		_, err := Open(options)
		unavailable(t, err, "cannot be imported", "No module named 'no_such_module'", "imports.py", "Reinstall")
	})
}

func TestAPythonHomeThatHoldsNoLibraryIsRefused(t *testing.T) {
	onEachHost(t, func(t *testing.T, host string) {
		t.Setenv("PYTHONHOME", t.TempDir())
		_, err := Open(testOptions(host))
		unavailable(t, err, "PYTHONHOME is ", "Unset it")
	})
}

func TestALibraryThatIsNotPythonIsRefused(t *testing.T) {
	onEachHost(t, func(t *testing.T, host string) {
		options := testOptions(host)
		options.LibPython = stranger(t)
		_, err := Open(options)
		if host == "metacall" {
			unavailable(t, err, "MetaCall's Python loader wants", "libpython")
			return
		}
		unavailable(t, err, "libpython cannot be loaded", "lacks the function Py_DecodeLocale")
	})
}

func TestALibraryThatIsNotMetaCallIsRefused(t *testing.T) {
	onEachHost(t, func(t *testing.T, host string) {
		options := testOptions("metacall")
		options.LibMetaCall = stranger(t)
		_, err := Open(options)
		unavailable(t, err, "libmetacall cannot be used", "lacks the function metacall_log_null", "MetaCall")
	})
}

// stranger is some shared library of this machine.
func stranger(t *testing.T) string {
	t.Helper()
	found, err := filepath.Glob("/lib*/*/libz.so.1")
	if err != nil || len(found) == 0 {
		t.Skip("SKIPPED: no libz here to stand for a strange library")
	}
	return found[0]
}

func TestWithoutMetaCallAutoTakesCPython(t *testing.T) {
	onEachHost(t, func(t *testing.T, _ string) {
		metacallFolders = nil
		t.Setenv("LOADER_LIBRARY_PATH", "")
		options := testOptions("auto")
		options.LibMetaCall = ""
		if h := open(t, options); h.Name() != "cpython" {
			t.Errorf("auto took %s", h.Name())
		}
	})
}

func TestWithMetaCallAutoTakesIt(t *testing.T) {
	onEachHost(t, func(t *testing.T, host string) {
		if host != "metacall" {
			t.Setenv("LOADER_LIBRARY_PATH", "")
			metacallFolders = nil
			options := testOptions("metacall")
			options.LibMetaCall = ""
			_, err := Open(options)
			unavailable(t, err, "MetaCall is not installed")
			return
		}
		h := open(t, testOptions("auto"))
		if h.Name() != "metacall" || h.MetaCallVersion() == "" {
			t.Errorf("auto took %s %s", h.Name(), h.MetaCallVersion())
		}
	})
}

func TestAnUnknownHostIsRefused(t *testing.T) {
	_, err := Open(Options{Embed: "pypy", Executable: testInterpreter()})
	unavailable(t, err, `embed = "pypy"`, "auto, metacall or cpython")
}

// MetaCall finds its loaders by these; a wrong one must be told.
func TestMetaCallsOwnVariablesAreHonoured(t *testing.T) {
	onEachHost(t, func(t *testing.T, host string) {
		if host != "metacall" {
			t.Setenv("LOADER_LIBRARY_PATH", "/nowhere")
			open(t, testOptions(host)) // not CPython's business
			return
		}
		t.Setenv("LOADER_LIBRARY_PATH", t.TempDir())
		options := testOptions(host)
		if library, err := LocateMetaCall(options.LibMetaCall, os.Getenv); err != nil {
			t.Fatal(library, err)
		}
		_, err := Open(options)
		unavailable(t, err, "MetaCall does not start", "LOADER_LIBRARY_PATH")
	})
}

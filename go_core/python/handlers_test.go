package python

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAHandlerFileThatCannotBeUsedIsExplained(t *testing.T) {
	onEachHost(t, func(t *testing.T, host string) {
		h := open(t, testOptions(host))
		for name, trap := range map[string]struct {
			file func(t *testing.T) string
			says string
		}{
			"missing":           {func(t *testing.T) string { return filepath.Join(t.TempDir(), "gone.py") }, "No such file"},
			"a folder":          {func(t *testing.T) string { return t.TempDir() }, "not a regular file"},
			"syntax error":      {func(t *testing.T) string { return script(t, "def process_batch(texts:\n") }, "line 1"},
			"import error":      {func(t *testing.T) string { return script(t, "import no_such_module") }, "No module named 'no_such_module'"},
			"raises at import":  {func(t *testing.T) string { return script(t, "1 / 0") }, "division by zero"},
			"exits at import":   {func(t *testing.T) string { return script(t, "raise SystemExit(7)") }, "7"},
			"no process_batch":  {func(t *testing.T) string { return script(t, "def process(texts): pass") }, "defines no process_batch"},
			"not a function":    {func(t *testing.T) string { return script(t, "process_batch = 3") }, "type int, not a function"},
			"load returns junk": {func(t *testing.T) string { return script(t, "def load(options): return 3\n"+echo) }, "return a dict or None"},
			"name is no str":    {func(t *testing.T) string { return script(t, "def load(options): return {'name': 3}\n"+echo) }, "name = 3; it must be a str"},
			"labels no list":    {func(t *testing.T) string { return script(t, "def load(options): return {'labels': 'ab'}\n"+echo) }, "a list of str"},
			"load raises":       {func(t *testing.T) string { return script(t, "def load(options): return options['model']\n"+echo) }, "'model'"},
			"writable":          {writableByAll, "chmod go-w"},
			"writable folder":   {inFolderWritableByAll, "chmod go-w"},
		} {
			_, err := tryLoad(h, trap.file(t))
			if problem := new(Error); !errors.As(err, &problem) || !strings.Contains(err.Error(), trap.says) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, err := tryLoad(h, script(t, echo)); err != nil {
			t.Errorf("a good handler after all that: %v", err)
		}
	})
}

func writableByAll(t *testing.T) string {
	name := script(t, echo)
	if err := os.Chmod(name, 0o666); err != nil { //nolint:gosec // the mode is what is tested
		t.Fatal(err)
	}
	return name
}

func inFolderWritableByAll(t *testing.T) string {
	name := script(t, echo)
	if err := os.Chmod(filepath.Dir(name), 0o777); err != nil { //nolint:gosec // the mode is what is tested
		t.Fatal(err)
	}
	return name
}

func TestWhatAHandlerReturnsIsChecked(t *testing.T) {
	onEachHost(t, func(t *testing.T, host string) {
		h := open(t, testOptions(host))
		thread := attach(t, h)
		for expression, says := range map[string]string{
			"None":                      "type NoneType",
			"'positive'":                "type str",
			"[('a', 0.5)]":              "1 results for 2 texts",
			"[('a', 0.5)] * 3":          "3 results for 2 texts",
			"[1, 2]":                    "result 0 of process_batch is 1",
			"[('a', 0.5), 'b']":         "result 1 of process_batch is 'b'",
			"[('a', 'high')] * 2":       "must be (label, score)",
			"[('a', float('nan'))] * 2": "must be a probability",
			"[('a', 1.5)] * 2":          "must be a probability",
			"[(0, 0.5)] * 2":            "not a str",
			"[{'label': 'a'}] * 2":      "must be (label, score)",
			"[('a' * 70000, 0.5)] * 2":  "65535",
			"(_ for _ in ()).throw(OSError(5, 'disk'))": "disk",
		} {
			handle := loadFile(t, h, "def process_batch(texts): return "+expression)
			_, err := thread.ProcessBatch(textsRecord(handle, "x", "y"), nil)
			if problem := new(Error); !errors.As(err, &problem) || !strings.Contains(err.Error(), says) {
				t.Errorf("%s: %v", expression, err)
			}
		}
		for _, expression := range []string{"[{'label': 'a', 'score': 1}] * 2", "(('a', 0.0), ['a', True])"} {
			handle := loadFile(t, h, "def process_batch(texts): return "+expression)
			if _, err := thread.ProcessBatch(textsRecord(handle, "x", "y"), nil); err != nil {
				t.Errorf("%s: %v", expression, err)
			}
		}
	})
}

func TestDamagedRecordsAreRefused(t *testing.T) {
	onEachHost(t, func(t *testing.T, host string) {
		h := open(t, testOptions(host))
		thread := attach(t, h)
		good := textsRecord(loadFile(t, h, echo), "abc", "def")
		for length := range good {
			if _, err := thread.ProcessBatch(good[:length], nil); !errors.As(err, new(*Error)) {
				t.Errorf("cut to %d bytes: %v", length, err)
			}
		}
		for at, value := range map[int]byte{0: 9, 1: 7, 2: 99, 4: 200, 8: 1, 12: 250} {
			damaged := append([]byte(nil), good...)
			damaged[at] = value
			if _, err := thread.ProcessBatch(damaged, nil); !errors.As(err, new(*Error)) {
				t.Errorf("byte %d = %d: %v", at, value, err)
			}
		}
		if _, err := thread.ProcessBatch(good, nil); err != nil {
			t.Error(err)
		}
	})
}

// What the interpreter loads lazily must work for handlers as if it did not.
func TestHandlersMayUseWhatIsLoadedLazily(t *testing.T) {
	onEachHost(t, func(t *testing.T, host string) {
		h := open(t, testOptions(host))
		thread := attach(t, h)
		handle := loadFile(t, h, `
import asyncio, ctypes, ssl, subprocess, sys, threading
import numpy as np
import numpy.ma
from numpy.polynomial import Polynomial
from numpy.random import default_rng

def process_batch(texts):
    checks = [
        default_rng(1).integers(0, 10, 5).shape == (5,),
        np.random.RandomState(0).rand(2).shape == (2,),
        np.ma.masked_array([1, 2], [True, False]).sum() == 2,
        abs(np.fft.fft([1.0, 0.0])[1] - 1) < 1e-9,
        Polynomial([1, 2])(3) == 7,
        np.polynomial.chebyshev.chebval(1, [1, 1]) == 2,
        np.ctypeslib.as_array((ctypes.c_int * 2)(4, 5)).tolist() == [4, 5],
        np.linalg.det(np.eye(2)) == 1,
        ssl.create_default_context().verify_mode == ssl.CERT_REQUIRED,
        ssl.OPENSSL_VERSION.startswith("OpenSSL"),
        asyncio.new_event_loop().run_until_complete(asyncio.sleep(0, "slept")) == "slept",
        asyncio.sslproto.SSLProtocol.__name__ == "SSLProtocol",
        len(threading.enumerate()) >= 1,
        subprocess.run([sys.executable, "-c", "import numpy"]).returncode == 0,
    ]
    assert all(checks), checks
    return [("all work", 1.0)] * len(texts)
`)
		reply, err := thread.ProcessBatch(textsRecord(handle, "x"), nil)
		if err != nil {
			problem := new(Error)
			errors.As(err, &problem)
			t.Fatal(err, problem.Traceback)
		}
		if labels, _ := labelled(t, reply); labels[0] != "all work" {
			t.Error(labels)
		}
	})
}

func TestAHandlersOptionsAndNeighboursReachIt(t *testing.T) {
	onEachHost(t, func(t *testing.T, host string) {
		h := open(t, testOptions(host))
		thread := attach(t, h)
		file := script(t, `
import neighbour

def load(options):
    global label
    label = options["label"] + neighbour.suffix
    return {"name": "mine", "labels": [label]}

def process_batch(texts):
    return [(label, 1.0)] * len(texts)
`)
		neighbour := filepath.Join(filepath.Dir(file), "neighbour.py")
		if err := os.WriteFile(neighbour, []byte("suffix = '!'"), 0o600); err != nil {
			t.Fatal(err)
		}
		description, err := h.Load([]byte(`{"handler":"` + file + `","options":{"label":"grand"}}`))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(description), `"labels": ["grand!"]`) || !strings.Contains(string(description), `"name": "mine"`) {
			t.Errorf("description %s", description)
		}
		reply, err := thread.ProcessBatch(textsRecord(1, "x"), nil)
		if err != nil {
			t.Fatal(err)
		}
		if labels, _ := labelled(t, reply); labels[0] != "grand!" {
			t.Error(labels)
		}
	})
}

// LOADER_SCRIPT_PATH is MetaCall's own list of folders for scripts.
func TestARelativeHandlerIsSoughtInLoaderScriptPath(t *testing.T) {
	onEachHost(t, func(t *testing.T, host string) {
		file := script(t, echo)
		t.Setenv("LOADER_SCRIPT_PATH", "/nowhere:"+filepath.Dir(file))
		h := open(t, testOptions(host))
		if _, err := tryLoad(h, "handler.py"); err != nil {
			t.Error(err)
		}
		if _, err := tryLoad(h, "other.py"); err == nil {
			t.Error("a file that is nowhere was loaded")
		}
	})
}

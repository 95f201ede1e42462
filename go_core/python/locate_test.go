package python

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// tree makes files in a folder: "path" an executable, "path -> target" a link, "path = text" a file.
func tree(t *testing.T, entries ...string) string {
	t.Helper()
	folder, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		entry = strings.ReplaceAll(entry, "$", folder)
		name, target, link := strings.Cut(entry, " -> ")
		name, text, file := strings.Cut(name, " = ")
		path := filepath.Join(folder, name)
		err := os.MkdirAll(filepath.Dir(path), 0o755)
		switch {
		case err != nil:
		case link:
			err = os.Symlink(target, path)
		case file:
			err = os.WriteFile(path, []byte(text), 0o600)
		default:
			err = os.WriteFile(path, []byte("#!"), 0o700) //nolint:gosec // an executable is what is wanted
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

func TestTheInterpreterIsFound(t *testing.T) {
	venv := []string{"usr/bin/python3.11", "usr/bin/python3 -> python3.11", "project/.venv/bin/python3 -> $/usr/bin/python3",
		"project/.venv/pyvenv.cfg = home = $/usr/bin\nversion = 3.11.2\n"}
	for name, search := range map[string]struct {
		files                       []string
		asked, binary, virtual, sys string
		executable, version, prefix string
	}{
		"the one asked for": {
			append(venv, "opt/bin/python3.12"), "opt/bin/python3.12", "project/build/edged", "", "usr/bin/python3",
			"opt/bin/python3.12", "3.12", "opt"},
		"the project's environment": {
			venv, "", "project/build/edged", "other", "usr/bin/python3",
			"project/.venv/bin/python3", "3.11", "usr"},
		"VIRTUAL_ENV's, written by virtualenv": {
			append(venv, "env/bin/python3 -> $/usr/bin/python3", "env/pyvenv.cfg = home=$/usr/bin\nversion_info = 3.11.2.final.0\n"),
			"", "elsewhere/bin/edged", "env", "usr/bin/python3", "env/bin/python3", "3.11", "usr"},
		"a package ignores VIRTUAL_ENV": {
			append(venv, "usr/lib/edged/edged/embedded/entry.py = ", "env/bin/python3 -> $/usr/bin/python3", "usr/bin/edged"),
			"", "usr/bin/edged", "env", "usr/bin/python3", "usr/bin/python3", "3.11", "usr"},
		"the system's": {
			venv, "", "", "", "usr/bin/python3", "usr/bin/python3", "3.11", "usr"},
		"one whose name has no version": {
			[]string{"opt/bin/python3", "opt/lib/python3.9/os.py = "}, "opt/bin/python3", "", "", "",
			"opt/bin/python3", "3.9", "opt"},
		"pyvenv.cfg beside the executable": {
			append(venv, "flat/python3 -> $/usr/bin/python3", "flat/pyvenv.cfg = home = $/usr/bin\nversion = 3.13.0\n"),
			"flat/python3", "", "", "", "flat/python3", "3.13", "usr"},
	} {
		t.Run(name, func(t *testing.T) {
			folder := tree(t, search.files...)
			at := func(path string) string {
				if path == "" {
					return ""
				}
				return filepath.Join(folder, path)
			}
			found, err := Search{Executable: at(search.asked), Binary: at(search.binary), VirtualEnv: at(search.virtual),
				System: []string{at(search.sys)}}.Locate()
			if err != nil {
				t.Fatal(err)
			}
			if found.Executable != at(search.executable) || found.Version != search.version || found.Prefix != at(search.prefix) {
				t.Errorf("found %+v", found)
			}
		})
	}
}

func TestAMissingInterpreterIsExplained(t *testing.T) {
	for name, search := range map[string]struct {
		files  []string
		asked  string
		binary string
		says   []string
	}{
		"nowhere":         {nil, "", "project/build/edged", []string{"no Python interpreter was found", ".venv/bin/python3: absent", "apt install"}},
		"not there":       {nil, "opt/python3", "", []string{"opt/python3 cannot be used", "`python`"}},
		"not executable":  {[]string{"opt/python3 = "}, "opt/python3", "", []string{"not executable"}},
		"a folder":        {[]string{"opt/python3/x = "}, "opt/python3", "", []string{"a folder"}},
		"a dead link":     {[]string{"env/bin/python3 -> /gone/python3"}, "env/bin/python3", "", []string{"/gone/python3, which is gone", "recreate"}},
		"unknown version": {[]string{"opt/bin/python3"}, "opt/bin/python3", "", []string{"version", "python3.11"}},
		"damaged environment": {[]string{"env/bin/python3", "env/pyvenv.cfg = version = 3.11\n"}, "env/bin/python3", "",
			[]string{"damaged", "names no home", "python3 -m venv"}},
	} {
		t.Run(name, func(t *testing.T) {
			folder := tree(t, search.files...)
			s := Search{System: []string{filepath.Join(folder, "usr/bin/python3")}}
			if search.asked != "" {
				s.Executable = filepath.Join(folder, search.asked)
			}
			if search.binary != "" {
				s.Binary = filepath.Join(folder, search.binary)
			}
			_, err := s.Locate()
			unavailable(t, err, search.says...)
		})
	}
}

func unavailable(t *testing.T, err error, says ...string) {
	t.Helper()
	problem := new(UnavailableError)
	if !errors.As(err, &problem) || problem.Remedy == "" {
		t.Fatalf("not an UnavailableError with a remedy: %v", err)
	}
	for _, part := range says {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q is not in: %v", part, err)
		}
	}
}

// elfFor is the start of a shared library for the given machine.
func elfFor(machine elfMachine) string {
	header := make([]byte, 64)
	copy(header, "\x7fELF\x02\x01\x01")
	header[18], header[19] = byte(machine), byte(machine>>8)
	return string(header)
}

func TestTheLibraryIsThatOfTheInterpreter(t *testing.T) {
	own := machines[runtime.GOARCH]
	other := elfMachine(183)
	if own.machine == other {
		other = 62
	}
	folder := tree(t, "opt/bin/python3.11", "opt/lib/"+own.triplet+"/libpython3.11.so.1.0 = "+elfFor(own.machine),
		"foreign/bin/python3.11", "foreign/lib/libpython3.11.so.1.0 = "+elfFor(other),
		"junk/bin/python3.11", "junk/lib/libpython3.11.so.1.0 = text", "bare/bin/python3.11")
	library := func(interpreter, asked string) (string, error) {
		found, err := Search{Executable: filepath.Join(folder, interpreter, "bin/python3.11"), LibPython: asked}.Locate()
		if err != nil {
			t.Fatal(err)
		}
		return found.Library()
	}
	if name, err := library("opt", ""); err != nil || name != filepath.Join(folder, "opt/lib", own.triplet, "libpython3.11.so.1.0") {
		t.Errorf("%s, %v", name, err)
	}
	asked := filepath.Join(folder, "opt/lib", own.triplet, "libpython3.11.so.1.0")
	if name, err := library("bare", asked); err != nil || name != asked {
		t.Errorf("the one asked for: %s, %v", name, err)
	}
	_, err := library("foreign", "")
	unavailable(t, err, "is built for", other.String(), own.machine.String())
	_, err = library("junk", "")
	unavailable(t, err, "not a shared library")
	_, err = library("bare", "")
	unavailable(t, err, "has no shared library", "--enable-shared", "`libpython`", "bare/lib/libpython3.11.so.1.0")
	_, err = library("bare", filepath.Join(folder, "gone.so"))
	unavailable(t, err, "gone.so")
}

// Only the system's own interpreter may take whatever libpython the dynamic loader knows.
func TestOnlyTheSystemsInterpreterAsksTheDynamicLoader(t *testing.T) {
	if last := libraries("/usr", "3.11"); !slices.Contains(last, "libpython3.11.so.1.0") {
		t.Errorf("%v", last)
	}
	if other := libraries("/opt/python", "3.11"); slices.Contains(other, "libpython3.11.so.1.0") {
		t.Errorf("%v", other)
	}
}

func TestThePackageBesideTheBinaryIsFound(t *testing.T) {
	folder := tree(t, "project/edged/embedded/entry.py = ", "usr/lib/edged/edged/embedded/entry.py = ",
		"usr/lib/edged/vendor/tflite_runtime/interpreter.py = ", "usr/bin/edged", "link/edged -> $/usr/bin/edged")
	at := func(path string) string { return filepath.Join(folder, path) }
	for binary, want := range map[string][]string{
		"project/build/edged": {at("project")},
		"usr/bin/edged":       {at("usr/lib/edged"), at("usr/lib/edged/vendor")},
		"link/edged":          {at("usr/lib/edged"), at("usr/lib/edged/vendor")},
		"elsewhere/bin/edged": nil,
	} {
		if path := (Search{Binary: at(binary)}).packagePath(); !slices.Equal(path, want) {
			t.Errorf("%s: %v", binary, path)
		}
	}
}

func TestMetaCallIsFound(t *testing.T) {
	own := machines[runtime.GOARCH].machine
	folder := tree(t, "metacall/lib/libmetacall.so = "+elfFor(own), "broken/libmetacall.so = text",
		"metacall/share/metacall/configurations/py_loader.json = {\"dependencies\":{\"python\":[\"/usr/lib/libpython3.12.so.1.0\"]}}",
		"conf/global.json = {}", "conf/py_loader.json = {\"dependencies\":{\"python\":[\"/usr/lib/libpython3.11.so.1.0\"]}}")
	library := filepath.Join(folder, "metacall/lib/libmetacall.so")
	none := func(string) string { return "" }
	installed := metacallFolders
	t.Cleanup(func() { metacallFolders = installed }) // the tests that follow want the real one
	metacallFolders = nil
	if found, err := LocateMetaCall(library, none); err != nil || found != library {
		t.Errorf("configured: %s, %v", found, err)
	}
	for _, variable := range []string{"LOADER_LIBRARY_PATH", "LD_LIBRARY_PATH"} {
		found, err := LocateMetaCall("", func(name string) string {
			if name == variable {
				return "/nowhere:" + filepath.Dir(library)
			}
			return ""
		})
		if err != nil || found != library {
			t.Errorf("%s: %s, %v", variable, found, err)
		}
	}
	_, err := LocateMetaCall("", none)
	unavailable(t, err, "MetaCall is not installed", "github.com/metacall/install", "embed = \"cpython\"")
	_, err = LocateMetaCall(filepath.Join(folder, "gone.so"), none)
	unavailable(t, err, "`metacall_lib` names", "gone.so")
	_, err = LocateMetaCall(filepath.Join(folder, "broken/libmetacall.so"), none)
	unavailable(t, err, "not a shared library")

	unavailable(t, matches(library, "/usr/lib/libpython3.11.so.1.0"), "libpython3.12.so.1.0", "libpython3.11.so.1.0", "py_loader.json")
	t.Setenv("CONFIGURATION_PATH", filepath.Join(folder, "conf/global.json"))
	if err := matches(library, "/usr/lib/libpython3.11.so.1.0"); err != nil {
		t.Errorf("by CONFIGURATION_PATH: %v", err)
	}
}

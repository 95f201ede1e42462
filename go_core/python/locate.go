package python

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// Search says where to look for an interpreter. The zero value looks nowhere.
type Search struct {
	Executable string   // the interpreter to use; "" = first of the candidates
	LibPython  string   // its shared library; "" = found from the executable
	Binary     string   // path of the running daemon
	VirtualEnv string   // the value of VIRTUAL_ENV
	System     []string // interpreters to try last
}

// Interpreter is a Python as found on disk. Nothing has been run or loaded.
type Interpreter struct {
	Executable string   // unresolved, so that a virtual environment is recognised
	Version    string   // "3.11"
	Prefix     string   // of the base installation, for instance "/usr"
	Libraries  []string // candidates for libpython, best first; the last may be a bare soname
	Path       []string // folders that hold the edged package beside the binary, for sys.path
}

// machines maps GOARCH to Debian's multiarch triplet and to the machine that ELF files name.
var machines = map[string]struct {
	triplet string
	machine elfMachine
}{
	"amd64":   {"x86_64-linux-gnu", 62},
	"arm64":   {"aarch64-linux-gnu", 183},
	"arm":     {"arm-linux-gnueabihf", 40},
	"386":     {"i386-linux-gnu", 3},
	"riscv64": {"riscv64-linux-gnu", 243},
}

// elfMachine is e_machine of an ELF file's header, see elf(5). (debug/elf would bring decompressors and DWARF along: half
// a megabyte of binary.)
type elfMachine uint16

func (m elfMachine) String() string {
	for _, known := range machines {
		if known.machine == m {
			return known.triplet
		}
	}
	return fmt.Sprintf("ELF machine %d", uint16(m))
}

// readMachine reads it from a little-endian ELF file.
func readMachine(path string) (elfMachine, error) {
	file, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer file.Close() //nolint:errcheck // only read from
	var header [20]byte
	if _, err := io.ReadFull(file, header[:]); err != nil || string(header[:4]) != "\x7fELF" {
		return 0, errors.New("it has no ELF header")
	}
	return elfMachine(binary.LittleEndian.Uint16(header[18:])), nil
}

// Locate finds the interpreter: the one asked for, else `.venv` of the project the binary was built in, the packaged
// installation's, VIRTUAL_ENV's, the system's. It reads names and small files only.
//
// Errors are *UnavailableError.
func (s Search) Locate() (Interpreter, error) {
	executable, err := s.executable()
	if err != nil {
		return Interpreter{}, err
	}
	found := Interpreter{Executable: executable, Path: s.packagePath()}
	if found.Version, found.Prefix, err = describe(executable); err != nil {
		return Interpreter{}, err
	}
	if s.LibPython != "" {
		found.Libraries = []string{s.LibPython}
		return found, nil
	}
	found.Libraries = libraries(found.Prefix, found.Version)
	return found, nil
}

func (s Search) executable() (string, error) {
	if s.Executable != "" {
		if err := usable(s.Executable); err != nil {
			return "", &UnavailableError{Problem: "the configured interpreter " + s.Executable + " cannot be used",
				Err: err, Remedy: "Point `python` at the python3 of a virtual environment or of the system"}
		}
		return s.Executable, nil
	}
	candidates := s.candidates()
	var looked []string
	for _, candidate := range candidates {
		err := usable(candidate)
		if err == nil {
			return candidate, nil
		}
		if !errors.Is(err, os.ErrNotExist) || isLink(candidate) {
			looked = append(looked, fmt.Sprintf("%s: %v", candidate, err))
			continue
		}
		looked = append(looked, candidate+": absent")
	}
	return "", &UnavailableError{Problem: "no Python interpreter was found", Looked: strings.Join(looked, "; "),
		Remedy: "Install one (Debian: apt install python3 libpython3-stdlib) or set `python`"}
}

func (s Search) candidates() []string {
	var candidates []string
	beside := s.beside()
	if beside != "" {
		candidates = append(candidates, filepath.Join(beside, ".venv", "bin", "python3"))
	}
	packaged := beside != "" && isFile(filepath.Join(beside, "lib", "edged", "edged", "embedded", "entry.py"))
	// A wheel puts the daemon beside its environment's interpreter.
	if neighbour := filepath.Join(filepath.Dir(s.Binary), "python3"); s.Binary != "" && usable(neighbour) == nil {
		candidates = append(candidates, neighbour)
	}
	if s.VirtualEnv != "" && !packaged {
		candidates = append(candidates, filepath.Join(s.VirtualEnv, "bin", "python3"))
	}
	return append(candidates, s.System...)
}

// beside is the folder above the binary's: a project for build/edged, /usr for /usr/bin/edged.
func (s Search) beside() string {
	if s.Binary == "" {
		return ""
	}
	binary := s.Binary
	if resolved, err := filepath.EvalSymlinks(binary); err == nil {
		binary = resolved
	}
	return filepath.Dir(filepath.Dir(binary))
}

func (s Search) packagePath() []string {
	var path []string
	beside := s.beside()
	if beside == "" {
		return nil
	}
	for _, folder := range []string{filepath.Join(beside, "lib", "edged"), beside} {
		if isFile(filepath.Join(folder, "edged", "embedded", "entry.py")) {
			path = append(path, folder)
			// Packages bring tflite_runtime, which distributions lack, in a folder of their own.
			if vendor := filepath.Join(folder, "vendor"); isFile(filepath.Join(vendor, "tflite_runtime", "interpreter.py")) {
				path = append(path, vendor)
			}
		}
	}
	return path
}

// usable tells whether path leads to an executable file.
func usable(path string) error {
	info, err := os.Stat(path)
	switch {
	case err != nil && isLink(path):
		target, _ := os.Readlink(path)
		return fmt.Errorf("a link to %s, which is gone (recreate the virtual environment): %w", target, os.ErrNotExist)
	case err != nil:
		return err
	case info.IsDir():
		return errors.New("a folder, not an executable")
	case info.Mode()&0o111 == 0:
		return errors.New("not executable")
	}
	return nil
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

func isLink(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.Mode()&os.ModeSymlink != 0
}

// versionInName gives "3.11" for "python3.11".
func versionInName(name string) (version string, ok bool) {
	version, ok = strings.CutPrefix(name, "python")
	minor, three := strings.CutPrefix(version, "3.")
	_, err := strconv.ParseUint(minor, 10, 8)
	return version, ok && three && err == nil
}

// describe gives the version and the base installation of an interpreter: from pyvenv.cfg where it belongs to a
// virtual environment (PEP 405: in the executable's folder or the one above), else from its own name and place.
func describe(executable string) (version, prefix string, err error) {
	folder := filepath.Dir(executable)
	for _, name := range []string{filepath.Join(folder, "pyvenv.cfg"), filepath.Join(filepath.Dir(folder), "pyvenv.cfg")} {
		home, written, err := readVenv(name)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return "", "", &UnavailableError{Problem: "the virtual environment of " + executable + " is damaged", Err: err,
				Remedy: "Recreate it with python3 -m venv"}
		}
		if written != "" {
			return written, filepath.Dir(resolve(home)), nil
		}
		break
	}
	real := resolve(executable)
	prefix = filepath.Dir(filepath.Dir(real))
	if version, ok := versionInName(filepath.Base(real)); ok {
		return version, prefix, nil
	}
	libraries, _ := filepath.Glob(filepath.Join(prefix, "lib", "python3.*", "os.py"))
	if len(libraries) == 1 {
		return strings.TrimPrefix(filepath.Base(filepath.Dir(libraries[0])), "python"), prefix, nil
	}
	return "", "", &UnavailableError{Problem: "the version of " + executable + " cannot be told from its files",
		Looked: "it leads to " + real, Remedy: "Set `python` to an executable named like python3.11, or to one in a virtual environment"}
}

func resolve(path string) string {
	if resolved, err := filepath.EvalSymlinks(path); err == nil {
		return resolved
	}
	return path
}

// readVenv gives `home` and the version ("3.11") of a pyvenv.cfg; venv writes `version`, virtualenv `version_info`.
func readVenv(name string) (home, version string, err error) {
	file, err := os.Open(name)
	if err != nil {
		return "", "", err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		key, value, found := strings.Cut(lines.Text(), "=")
		if !found {
			continue
		}
		value = strings.TrimSpace(value)
		switch strings.ToLower(strings.TrimSpace(key)) {
		case "home":
			home = value
		case "version", "version_info":
			if parts := strings.SplitN(value, ".", 3); len(parts) >= 2 {
				version = parts[0] + "." + parts[1]
			}
		}
	}
	if err := lines.Err(); err != nil {
		return "", "", err
	}
	if home == "" {
		return "", "", fmt.Errorf("%s names no home", name)
	}
	return home, version, nil
}

// libraries lists where the libpython of an installation can be. Only an installation in /usr may take the dynamic
// loader's own choice: any other would be mixed with a stranger's library.
func libraries(prefix, version string) []string {
	soname := "libpython" + version + ".so.1.0"
	candidates := []string{filepath.Join(prefix, "lib", soname)}
	if machine, known := machines[runtime.GOARCH]; known {
		candidates = append(candidates, filepath.Join(prefix, "lib", machine.triplet, soname))
	}
	candidates = append(candidates, filepath.Join(prefix, "lib64", soname))
	if prefix == "/usr" {
		candidates = append(candidates, soname)
	}
	return candidates
}

// Library picks the first candidate that exists and fits this machine.
//
// Errors are *UnavailableError: the library is missing, or built for another machine.
func (i Interpreter) Library() (string, error) {
	for _, candidate := range i.Libraries {
		if !filepath.IsAbs(candidate) {
			return candidate, nil
		}
		if !isFile(candidate) {
			continue
		}
		if err := fits(candidate); err != nil {
			return "", err
		}
		return candidate, nil
	}
	remedy := fmt.Sprintf("Install it (Debian: apt install libpython%s) or set `libpython`", i.Version)
	if i.Prefix != "/usr" {
		remedy = fmt.Sprintf("Use a Python built with --enable-shared (Debian's: set `python` to /usr/bin/python3 "+
			"or to a virtual environment made with it), or set `libpython` to the library of %s", i.Executable)
	}
	return "", &UnavailableError{Problem: fmt.Sprintf("Python %s at %s has no shared library", i.Version, i.Executable),
		Looked: "looked for " + strings.Join(i.Libraries, ", "), Remedy: remedy}
}

// fits tells whether a shared library can be loaded into this process, as far as its ELF header says.
func fits(library string) error {
	found, err := readMachine(library)
	if err != nil {
		return &UnavailableError{Problem: library + " is not a shared library", Err: err, Remedy: "Reinstall Python or set `libpython`"}
	}
	machine, known := machines[runtime.GOARCH]
	if known && found != machine.machine {
		return &UnavailableError{Problem: fmt.Sprintf("%s is built for %v, this program for %v", library, found, machine.machine),
			Remedy: "Install Python for " + runtime.GOARCH + ", or edged for the machine's own architecture"}
	}
	return nil
}

// systemInterpreters are tried last.
var systemInterpreters = []string{"/usr/bin/python3"}

// NewSearch fills a Search from the process: its binary, its environment, the system's interpreter.
func NewSearch(executable, libPython string) Search {
	binary, err := os.Executable()
	if err != nil {
		binary = ""
	}
	return Search{Executable: executable, LibPython: libPython, Binary: binary,
		VirtualEnv: os.Getenv("VIRTUAL_ENV"), System: slices.Clone(systemInterpreters)}
}

package python

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// hostVariable names the host in a process that a test made for itself.
const hostVariable = "EDGED_TEST_HOST"

const howToGetMetaCall = "SKIPPED: MetaCall is not installed, its half of this test did not run; " +
	"README, \"MetaCall\", says how to get it"

var hosts = []string{"cpython", "metacall"}

// onEachHost runs body once per host, each time in a process of its own: an interpreter lives once per process.
// Where a host is absent it skips with one line that says what to do.
func onEachHost(t *testing.T, body func(t *testing.T, host string)) {
	t.Helper()
	if host := os.Getenv(hostVariable); host != "" {
		body(t, host)
		return
	}
	for _, host := range hosts {
		t.Run(host, func(t *testing.T) {
			t.Parallel()
			requireHost(t, host)
			rerun(t, host)
		})
	}
}

func requireHost(t *testing.T, host string) {
	t.Helper()
	found, err := NewSearch(testInterpreter(), "").Locate()
	if err == nil {
		_, err = found.Library()
	}
	if err != nil {
		t.Skip("SKIPPED: no Python to embed: ", err)
	}
	if host == "metacall" {
		if _, err := LocateMetaCall(os.Getenv("EDGED_METACALL_LIB"), os.Getenv); err != nil {
			t.Skip(howToGetMetaCall)
		}
	}
}

// rerun starts this test alone, in a process for one host.
func rerun(t *testing.T, host string) {
	t.Helper()
	name, _, _ := strings.Cut(t.Name(), "/")
	child := exec.Command(os.Args[0], "-test.run=^"+regexp.QuoteMeta(name)+"$", "-test.v", "-test.count=1")
	child.Env = append(os.Environ(), hostVariable+"="+host)
	output, err := child.CombinedOutput()
	if err != nil || !bytes.Contains(output, []byte("--- PASS: "+name)) {
		t.Fatalf("on the %s host: %v\n%s", host, err, output)
	}
}

func testInterpreter() string {
	if chosen := os.Getenv("EDGED_PYTHON"); chosen != "" {
		return chosen
	}
	if venv := filepath.Join(root(), ".venv", "bin", "python3"); isFile(venv) {
		return venv
	}
	return "/usr/bin/python3"
}

// root is the project's folder: tests run in their package's.
func root() string {
	folder, err := filepath.Abs("../..")
	if err != nil {
		panic(err)
	}
	return folder
}

func testOptions(host string) Options {
	return Options{Embed: host, Executable: testInterpreter(), LibMetaCall: os.Getenv("EDGED_METACALL_LIB"), Path: []string{root()}}
}

// open gives the host for the rest of the test, closed at its end unless the test did.
func open(t *testing.T, options Options) *Host {
	t.Helper()
	h, err := Open(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil && !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
	})
	return h
}

func attach(t *testing.T, h *Host) *Thread {
	t.Helper()
	thread, err := h.Attach()
	if err != nil {
		t.Fatal(err)
	}
	return thread
}

// script writes a handler file only its owner can change.
func script(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "handler.py")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// loadFile loads a handler file and gives its handle.
func loadFile(t *testing.T, h *Host, text string) uint16 {
	t.Helper()
	handle, err := tryLoad(h, script(t, text))
	if err != nil {
		t.Fatal(err)
	}
	return handle
}

func tryLoad(h *Host, file string) (uint16, error) {
	options, err := json.Marshal(map[string]any{"handler": file})
	if err != nil {
		return 0, err
	}
	reply, err := h.Load(options)
	if err != nil {
		return 0, err
	}
	var description struct {
		Handle uint16 `json:"handle"`
		Kind   string `json:"kind"`
	}
	if err := json.Unmarshal(reply, &description); err != nil {
		return 0, err
	}
	if description.Kind != "texts" {
		return 0, fmt.Errorf("kind %q of a handler file", description.Kind)
	}
	return description.Handle, nil
}

// textsRecord packs a record of kind 2.
func textsRecord(handle uint16, texts ...string) []byte {
	record := binary.LittleEndian.AppendUint16([]byte{1, 2}, handle)
	record = binary.LittleEndian.AppendUint32(record, uint32(len(texts)))
	end := uint32(0)
	record = binary.LittleEndian.AppendUint32(record, end)
	for _, text := range texts {
		end += uint32(len(text))
		record = binary.LittleEndian.AppendUint32(record, end)
	}
	return append(record, strings.Join(texts, "")...)
}

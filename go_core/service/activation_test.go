package service

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestParsePassed(t *testing.T) {
	got, err := parsePassed("2", "edged:metrics")
	want := []PassedSocket{{3, "edged"}, {4, "metrics"}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := parsePassed("1", ""); err != nil || got[0].Name != "unknown" {
		t.Errorf("%v, %v", got, err)
	}
	for fds, names := range map[string]string{"-1": "", "x": "", "99999": "", "2": "one"} {
		if _, err := parsePassed(fds, names); err == nil || !strings.Contains(err.Error(), fds) {
			t.Errorf("LISTEN_FDS=%s LISTEN_FDNAMES=%s: error %v", fds, names, err)
		}
	}
}

// The parent opens sockets and starts this test again with them at 3 and up, as systemd does.
func TestPassedSockets(t *testing.T) {
	if os.Getenv("EDGED_TEST_ACTIVATED") != "" {
		reportPassed(t)
		return
	}
	path := filepath.Join(t.TempDir(), "s")
	var files []*os.File
	for _, l := range [][2]string{{"unix", path}, {"tcp", "127.0.0.1:0"}, {"tcp", "[::1]:0"}} {
		listener, err := net.Listen(l[0], l[1])
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close() //nolint:errcheck // a test's
		file, err := listener.(interface{ File() (*os.File, error) }).File()
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	// exec through a shell keeps the pid, which LISTEN_PID must name
	child := exec.Command("sh", "-c", `LISTEN_PID=$$ exec "$0" -test.run '^TestPassedSockets$' -test.v`, os.Args[0])
	child.Env = append(os.Environ(), "EDGED_TEST_ACTIVATED=1", "LISTEN_FDS=3", "LISTEN_FDNAMES=ipc:tcp4:tcp6")
	child.ExtraFiles = files
	output, err := child.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	for _, want := range []string{"ipc ipc://" + path, "tcp4 tcp://127.0.0.1:", "tcp6 tcp://[::1]:", "cloexec 3", "variables left 0"} {
		if !strings.Contains(string(output), want) {
			t.Errorf("no %q in\n%s", want, output)
		}
	}
}

func reportPassed(t *testing.T) {
	sockets, err := PassedSockets()
	if err != nil {
		t.Fatal(err)
	}
	closed := 0
	for _, s := range sockets {
		endpoint, err := s.Endpoint()
		if err != nil {
			t.Fatal(err)
		}
		t.Log(s.Name, endpoint)
		if flags, err := unix.FcntlInt(uintptr(s.FD), unix.F_GETFD, 0); err == nil && flags&unix.FD_CLOEXEC != 0 {
			closed++
		}
	}
	left := 0
	for _, variable := range os.Environ() {
		if strings.HasPrefix(variable, "LISTEN_") {
			left++
		}
	}
	t.Log("cloexec", closed)
	t.Log("variables left", left)
}

func TestPassedSocketsAreForTheirProcessAlone(t *testing.T) {
	t.Setenv("LISTEN_PID", "1")
	t.Setenv("LISTEN_FDS", "1")
	if sockets, err := PassedSockets(); err != nil || sockets != nil {
		t.Errorf("%v, %v", sockets, err)
	}
}

func TestEndpointRefusesWhatIsNoStreamSocket(t *testing.T) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fds[0]) //nolint:errcheck // a test's
	defer unix.Close(fds[1]) //nolint:errcheck // a test's
	if _, err := (PassedSocket{FD: fds[0], Name: "edged"}).Endpoint(); err == nil || !strings.Contains(err.Error(), "ListenStream=") {
		t.Errorf("error %v", err)
	}
	file, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close() //nolint:errcheck // a test's
	if _, err := (PassedSocket{FD: int(file.Fd()), Name: "edged"}).Endpoint(); err == nil || !strings.Contains(err.Error(), "no socket") {
		t.Errorf("error %v", err)
	}
}

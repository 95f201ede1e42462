package config

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"edged/memory"

	"github.com/BurntSushi/toml"
)

func write(t *testing.T, text string) File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "edged.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := Read(path, true)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func TestPrecedenceRisesFromFileToVariableToFlag(t *testing.T) {
	file := write(t, "max_batch_size = 8\nmax_reviews = 9\nlog_level = \"warn\"\n[memory]\nlimit = \"96MiB\"\n")
	c, err := Load(file, []string{"EDGED_MAX_BATCH_SIZE=16", "EDGED_MAX_REVIEWS=10"}, map[string]string{"max_batch_size": "32"})
	if err != nil {
		t.Fatal(err)
	}
	if c.MaxBatchSize != 32 || c.MaxReviews != 10 || c.LogLevel != "warn" || c.MemoryLimit != 96<<20 {
		t.Fatalf("got %+v", c)
	}
}

func TestVariablesOfTheClientsAreNoTypos(t *testing.T) {
	for name := range clientVariables {
		if _, err := Load(write(t, ""), []string{name + "=ipc:///tmp/s"}, nil); err != nil {
			t.Error(err)
		}
	}
}

func TestFaultsNameKeyValueRangeAndRemedy(t *testing.T) {
	for _, tc := range []struct {
		name, file string
		environ    []string
		want       []string
	}{
		{"typo", "max_batch_sise = 8", nil, []string{`unknown key "max_batch_sise"`, `did you mean "max_batch_size"?`}},
		{"table left out", "limit = \"1GiB\"", nil, []string{`did you mean "memory.limit"?`}},
		{"stranger", "colour = \"blue\"", nil, []string{`unknown key "colour"`, "--print-default-config"}},
		{"range", "max_batch_size = 0", nil, []string{`"max_batch_size" = 0`, "from 1 to 4096", "remedy"}},
		{"type", "max_batch_size = [1]", nil, []string{`"max_batch_size"`, "a whole number"}},
		{"duration", "drain_timeout = \"fast\"", nil, []string{"drain_timeout", "fast", "such as 500ms"}},
		{"bytes", "queue_bytes = \"8 parsecs\"", nil, []string{"queue_bytes", "KiB"}},
		{"enum", "embed = \"ruby\"", nil, []string{"embed", "auto, metacall, cpython"}},
		{"text", "model = 3", nil, []string{"model", "allowed: text"}},
		{"table", "handler_options = 3", nil, []string{"handler_options", "a table"}},
		{"list", "endpoints = [3]", nil, []string{"endpoints", "a list of texts"}},
		{"variable", "", []string{"EDGED_MAX_REVIEWS=many"}, []string{`variable EDGED_MAX_REVIEWS="many"`}},
		{"variable typo", "", []string{"EDGED_MAX_REVIEW=3"}, []string{"EDGED_MAX_REVIEWS?"}},
		{"contradiction", "client_reviews = 9\nqueue_reviews = 8\nmax_reviews = 8", nil, []string{"client_reviews = 9", "queue_reviews = 8"}},
		{"unreachable request", "max_reviews = 5000", nil, []string{"never be admitted"}},
		{"inline", "inline = true\ninterpreters = 2", nil, []string{"interpreters = 2"}},
		{"endpoint", "endpoints = [\"udp://1.2.3.4:5\"]", nil, []string{"udp", "remedy"}},
		{"no port", "endpoints = [\"tcp://1.2.3.4\"]", nil, []string{"missing port"}},
		{"long path", "endpoints = [\"ipc:///" + strings.Repeat("x", 120) + "\"]", nil, []string{"at most 107"}},
		{"no scheme", "endpoints = [\"/run/x\"]", nil, []string{"is not an endpoint"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := Load(write(t, tc.file), tc.environ, nil)
			if err == nil {
				t.Fatal("accepted")
			}
			for _, want := range tc.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q lacks %q", err, want)
				}
			}
		})
	}
}

func TestFlagsReachEveryKey(t *testing.T) {
	set := flag.NewFlagSet("edged", flag.ContinueOnError)
	given := Flags(set)
	if err := set.Parse([]string{"--memory-limit", "64MiB", "--insecure", "--handler-options", "{n = 3}"}); err != nil {
		t.Fatal(err)
	}
	c, err := Load(File{}, nil, given)
	if err != nil {
		t.Fatal(err)
	}
	if c.MemoryLimit != 64<<20 || !c.Insecure || c.HandlerOptions["n"] != int64(3) {
		t.Fatalf("got %+v", c)
	}
}

func TestSyntaxErrorNamesTheLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bad.toml")
	if err := os.WriteFile(path, []byte("a = 1\nb = = 2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(path, true); err == nil || !strings.Contains(err.Error(), "line 2") {
		t.Fatalf("got %v", err)
	}
	if _, err := Read(path+".none", true); err == nil || !strings.Contains(err.Error(), "--config") {
		t.Fatalf("got %v", err)
	}
	if _, err := Read(path+".none", false); err != nil {
		t.Fatal(err)
	}
}

// The written files must themselves be read without a fault and change nothing.
func TestWrittenFilesAreValid(t *testing.T) {
	defaults, err := Load(File{}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	var def, eff bytes.Buffer
	if err := WriteDefault(&def); err != nil {
		t.Fatal(err)
	}
	uncommented := strings.NewReplacer("\n#", "\n").Replace(def.String())
	var lines []string
	for line := range strings.SplitSeq(uncommented, "\n") {
		if name, _, ok := strings.Cut(line, " = "); ok && !strings.Contains(name, " ") || strings.HasPrefix(line, "[") {
			lines = append(lines, line)
		}
	}
	if err := defaults.WriteEffective(&eff); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{strings.Join(lines, "\n"), eff.String()} {
		c, err := Load(write(t, text), nil, nil)
		if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		var again bytes.Buffer
		if err := c.WriteEffective(&again); err != nil || again.String() != eff.String() {
			t.Fatalf("%v\n%s\n---\n%s", err, again.String(), eff.String())
		}
	}
	var parsed map[string]any
	if err := toml.Unmarshal(def.Bytes(), &parsed); err != nil {
		t.Fatal(err)
	}
}

func TestExposedEndpoints(t *testing.T) {
	for endpoint, want := range map[string]bool{
		"ipc:///run/x": false, "tcp://127.0.0.1:1": false, "tcp://[::1]:1": false, "tcp://localhost:1": false, "tcp://127.9.9.9:1": false,
		"tcp://0.0.0.0:1": true, "tcp://*:1": true, "tcp://192.0.2.1:1": true, "tcp://eth0:1": true, "tcp://[::]:1": true,
	} {
		if IsExposed(endpoint) != want {
			t.Errorf("%s: %v", endpoint, !want)
		}
	}
}

func TestInlineFollowsTheHandler(t *testing.T) {
	for text, want := range map[string]bool{
		"": true, "handler = \"/x.py\"": false, "interpreters = 2": false, "inline = false": false, "inline = true\nhandler = \"/x.py\"": true,
	} {
		c, err := Load(write(t, text), nil, nil)
		if err != nil || c.RunsInline() != want {
			t.Errorf("%q: %v, %v", text, c.RunsInline(), err)
		}
	}
}

func TestAHelperIsForTheBuiltInModelAlone(t *testing.T) {
	for text, want := range map[string]bool{
		"": true, "interpreters = 1": false, "interpreters = 2": false, "handler = \"/x.py\"": false, "inline = false": false,
		"inline = true": true, "inline = true\nhandler = \"/x.py\"": false,
	} {
		c, err := Load(write(t, text), nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		c.Budget.Limit = 96 << 20
		if want = want && runtime.NumCPU() > 1; c.HasHelper() != want {
			t.Errorf("%q: %v", text, c.HasHelper())
		}
		if c.Budget.Limit--; c.HasHelper() {
			t.Errorf("%q: a helper in less memory than there is room for", text)
		}
	}
}

func TestTheMemoryLimitIsLaidOut(t *testing.T) {
	c, err := Load(write(t, "queue_bytes = \"5MiB\"\n[memory]\nlimit = \"64MiB\"\n"), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Derive(memory.Cgroup{}, memory.System{}); err != nil {
		t.Fatal(err)
	}
	if c.QueueBytes != 5<<20 || c.ClientBytes == 0 || c.RecvHWM == 0 || c.SendHWM == 0 || c.MaxMessageBytes() != c.Budget.MaxMessageBytes || c.MaxReviews >= 1024 {
		t.Errorf("queue %d, client %d, marks %d and %d, reviews %d", c.QueueBytes, c.ClientBytes, c.RecvHWM, c.SendHWM, c.MaxReviews)
	}
	var out bytes.Buffer
	if err := c.WriteCheck(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"# max_message_bytes ", "# go_memory_limit ", "limit = \"64MiB\"", "from the configuration"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	for _, tc := range []struct{ file, want string }{
		{"queue_bytes = \"1MiB\"\nclient_bytes = \"9MiB\"", "client_bytes = 9437184 is above queue_bytes = 1048576"},
		{"memory.limit = \"48MiB\"", "memory.limit = 48 MiB (from the configuration) is too little"},
	} {
		c, err := Load(write(t, tc.file), nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Derive(memory.Cgroup{}, memory.System{}); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v", tc.file, err)
		}
	}
}

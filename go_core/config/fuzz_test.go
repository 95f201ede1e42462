package config

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// Whatever a file holds, it is read or refused with words; what is accepted survives being
// written and read again.
func FuzzLoad(f *testing.F) {
	var defaults bytes.Buffer
	if err := WriteDefault(&defaults); err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{defaults.String(), "max_batch_size = 8", "memory.limit = \"96MiB\"", "[memory]\nlimit = \"auto\"",
		"endpoints = [\"tcp://127.0.0.1:*\"]", "handler_options = {a = [1, 2.5], b = {c = \"\\u0000\"}}", "max_batch_sise = 1",
		"queue_bytes = \"1e3KiB\"", "drain_timeout = \"-1s\"", "a.b.c = 1979-05-27", "\"\" = 1", "[[model]]"} {
		f.Add(seed)
	}
	path := filepath.Join(f.TempDir(), "edged.toml")
	load := func(t *testing.T, text []byte) (*Config, error) {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		file, err := Read(path, true)
		if err != nil {
			return nil, err
		}
		return Load(file, nil, nil)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := load(t, []byte(text))
		if err != nil {
			if err.Error() == "" {
				t.Error("refused without a word")
			}
			return
		}
		var written, again bytes.Buffer
		if err := c.WriteEffective(&written); err != nil {
			t.Fatal(err)
		}
		c, err = load(t, written.Bytes())
		if err != nil {
			t.Fatalf("%v in what was written:\n%s", err, written.String())
		}
		if err := c.WriteEffective(&again); err != nil || again.String() != written.String() {
			t.Fatalf("written %q, then %q, %v", written.String(), again.String(), err)
		}
	})
}

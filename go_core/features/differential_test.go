package features

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"testing"
)

// TestDifferential is the Go half of tests/test_differential.py, which names
// the files. In: tables as JSON (u32 size, then bytes), then texts likewise.
// Out, for each text: what appendRow writes.
func TestDifferential(t *testing.T) {
	in, out := os.Getenv("EDGED_TEXTS"), os.Getenv("EDGED_IDS")
	if in == "" {
		t.Skip("run by tests/test_differential.py")
	}
	source, err := os.Open(in)
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	r := bufio.NewReaderSize(source, 1<<20)
	var v vectors
	if err := json.Unmarshal(block(t, r), &v); err != nil {
		t.Fatal(err)
	}
	table, err := NewTable(v.Rules, v.Ngrams, v.Words)
	if err != nil {
		t.Fatal(err)
	}
	e := table.NewExtractor()
	var rows Rows
	var reply []byte
	for text := block(t, r); text != nil; text = block(t, r) {
		rows.Reset()
		e.Append(&rows, text)
		reply = appendRow(reply, &rows, 0)
	}
	if err := os.WriteFile(out, reply, 0o600); err != nil {
		t.Fatal(err)
	}
}

// FuzzAgainstPython compares with tests/features_reference.py, in tables that keep every n-gram: no difference in what
// is a token, or in its key, goes unseen. To ask takes longer than to answer, so each text goes there with its cuts.
func FuzzAgainstPython(f *testing.F) {
	v, _ := load(f)
	var every []byte // one bit of bucket, and in both buckets all 65,536 beginnings of a key
	for _, head := range []uint32{1 << 17, 1, 0, 1 << 16, 1 << 17} {
		every = binary.LittleEndian.AppendUint32(every, head)
	}
	for rest := range 1 << 17 {
		every = binary.LittleEndian.AppendUint16(every, uint16(rest))
	}
	table, err := NewTable(v.Rules, every, every)
	if err != nil {
		f.Fatal(err)
	}
	python := startReference(f, map[string]any{"rules": v.Rules, "ngrams": every, "words": every})
	for _, c := range v.Cases {
		f.Add(c.Text)
	}
	e := table.NewExtractor()
	f.Fuzz(func(t *testing.T, text []byte) {
		var rows Rows
		var asked []byte
		texts := cuts(text)
		for _, text := range texts {
			e.Append(&rows, text)
			asked = appendBlock(asked, text)
		}
		answers := bytes.NewReader(python(t, asked))
		for i, text := range texts {
			got, want := appendRow(nil, &rows, i), block(t, answers)
			if !bytes.Equal(got, want) {
				t.Fatalf("%q\n   Go %v\nPython %v", text, got, want)
			}
		}
	})
}

// cuts returns a text, and its beginnings and ends in steps of an eighth, which split characters too.
func cuts(text []byte) [][]byte {
	all := [][]byte{text}
	for i := 1; i < 8; i++ {
		at := len(text) * i / 8
		all = append(all, text[:at], text[at:])
	}
	return all
}

// startReference starts the reference and returns a function that asks it.
func startReference(f *testing.F, tables map[string]any) func(*testing.T, []byte) []byte {
	python := exec.Command("python", "-m", "tests.features_reference")
	python.Dir = "../.."
	in, inErr := python.StdinPipe()
	out, outErr := python.StdoutPipe()
	encoded, err := json.Marshal(tables)
	if err := errors.Join(err, inErr, outErr, python.Start()); err != nil {
		f.Skipf("SKIPPED: %v: make puts a Python with edged's packages on the PATH", err)
	}
	f.Cleanup(func() { _ = in.Close(); _ = python.Wait() })
	send := func(data []byte) error {
		_, err := in.Write(appendBlock(nil, data))
		return err
	}
	if send(encoded) != nil || block(f, out) == nil {
		f.Skip("SKIPPED: the Python on the PATH lacks edged's packages; make puts one there that has them")
	}
	return func(t *testing.T, texts []byte) []byte {
		if err := send(texts); err != nil {
			t.Fatal(err)
		}
		return block(t, out)
	}
}

// appendRow writes row i: u8 flags, then ids and words, each as u32 count and u32s.
func appendRow(to []byte, rows *Rows, i int) []byte {
	wide, words, flag := row(rows, i)
	to = append(to, byte(flag))
	for _, ids := range [][]int32{wide, words} {
		to = binary.LittleEndian.AppendUint32(to, uint32(len(ids)))
		for _, id := range ids {
			to = binary.LittleEndian.AppendUint32(to, uint32(id))
		}
	}
	return to
}

func appendBlock(to, data []byte) []byte {
	return append(binary.LittleEndian.AppendUint32(to, uint32(len(data))), data...)
}

func block(t testing.TB, r io.Reader) []byte {
	var size [4]byte
	if _, err := io.ReadFull(r, size[:]); err == io.EOF {
		return nil
	} else if err != nil {
		t.Fatal(err)
	}
	data := make([]byte, binary.LittleEndian.Uint32(size[:]))
	if _, err := io.ReadFull(r, data); err != nil {
		t.Fatal(err)
	}
	return data
}

package features

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"io"
	"os"
	"testing"
)

// TestDifferential is the Go half of tests/test_differential.py, which names
// the files. In: tables as JSON (u32 size, then bytes), then texts likewise.
// Out, for each text: u8 flags, then ids and words, each as u32 count and u32s.
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
		wide, words, flag := row(&rows, 0)
		reply = append(reply, byte(flag))
		for _, ids := range [][]int32{wide, words} {
			reply = binary.LittleEndian.AppendUint32(reply, uint32(len(ids)))
			for _, id := range ids {
				reply = binary.LittleEndian.AppendUint32(reply, uint32(id))
			}
		}
	}
	if err := os.WriteFile(out, reply, 0o600); err != nil {
		t.Fatal(err)
	}
}

func block(t *testing.T, r io.Reader) []byte {
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

package model

import (
	"bytes"
	"encoding/binary"
	"os"
	"strings"
	"testing"
)

// small is a model file with the metadata blocks a and b, written by hand.
func small() []byte {
	u16 := func(values ...uint16) (out []byte) {
		for _, v := range values {
			out = binary.LittleEndian.AppendUint16(out, v)
		}
		return out
	}
	u32 := func(values ...uint32) (out []byte) {
		for _, v := range values {
			out = binary.LittleEndian.AppendUint32(out, v)
		}
		return out
	}
	return bytes.Join([][]byte{
		u32(44), []byte("TFL3"),
		u16(18, 12, 0, 0, 0, 0, 4, 0, 8, 0), // 8: vtable of the model: buffers at +4, metadata at +8
		u16(8, 12, 4, 8),                    // 28: vtable of an entry: name at +4, buffer at +8
		u16(6, 8, 4, 0),                     // 36: vtable of a buffer: data at +4
		u32(36, 8, 16),                      // 44: the model
		u32(2, 60, 64),                      // 56: its buffers
		u32(2, 8, 16),                       // 68: its metadata
		u32(52, 20, 0),                      // 80: an entry: its name, buffer 0
		u32(64, 16, 1),                      // 92: an entry: its name, buffer 1
		u32(1), []byte("a\x00\x00\x00"),     // 104
		u32(1), []byte("b\x00\x00\x00"), // 112
		u32(84, 12, 92, 12),          // 120: two buffers
		u32(2), []byte("xy\x00\x00"), // 136
		u32(3), []byte("123\x00"), // 144
	}, nil)
}

// behind is small, with what block b holds moved behind the flatbuffer.
func behind() []byte {
	file := small()
	data := len(file)
	vtable := []byte{10, 0, 24, 0, 0, 0, 8, 0, 16, 0, 0, 0} // no vector, offset at +8, size at +16
	file = append(file, vtable...)
	binary.LittleEndian.PutUint32(file[68-4:], uint32(len(file)-64)) // where buffer 1 is
	file = binary.LittleEndian.AppendUint32(file, uint32(len(file)-data))
	file = append(file, 0, 0, 0, 0)
	file = binary.LittleEndian.AppendUint64(file, uint64(len(file)+16))
	file = binary.LittleEndian.AppendUint64(file, 4)
	return append(file, "1234"...)
}

func TestReadMetadataBehindTheFlatbuffer(t *testing.T) {
	blocks, err := ReadMetadata(behind())
	if err != nil {
		t.Fatal(err)
	}
	if string(blocks["a"]) != "xy" || string(blocks["b"]) != "1234" {
		t.Errorf("got %q", blocks)
	}
	for back := range 20 {
		for _, value := range []byte{0xff, 0x7f} {
			file := behind()
			file[len(file)-1-back] = value
			if blocks, err := ReadMetadata(file); err == nil && len(blocks["b"]) > len(file) {
				t.Errorf("byte %d from the end as %d: %q", back, value, blocks)
			}
		}
	}
	for _, cut := range []int{1, 4, 5, 12, 13, 20} {
		file := behind()
		if _, err := ReadMetadata(file[:len(file)-cut]); err == nil || !strings.Contains(err.Error(), "outside the file") {
			t.Errorf("cut by %d: %v", cut, err)
		}
	}
}

func TestReadMetadata(t *testing.T) {
	blocks, err := ReadMetadata(small())
	if err != nil {
		t.Fatal(err)
	}
	if len(blocks) != 2 || string(blocks["a"]) != "xy" || string(blocks["b"]) != "123" {
		t.Errorf("got %q", blocks)
	}
}

const shipped = "../../edged/models/edged.tflite"

func TestReadMetadataNamesWhatIsWrong(t *testing.T) {
	for _, c := range []struct {
		name  string
		at    int
		value byte
		want  string
	}{
		{"same name twice", 116, 'a', `metadata "a" is in it twice`},
		{"no such buffer", 100, 9, `metadata "b" names buffer 9 of 2`},
		{"block too long", 144, 99, "an offset points outside the file"},
		{"vtable before the file", 47, 0x7f, "an offset points outside the file"},
		{"vtable after the file", 47, 0x80, "an offset points outside the file"},
	} {
		file := small()
		file[c.at] = c.value
		if _, err := ReadMetadata(file); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
}

func TestReadMetadataOfHostileFiles(t *testing.T) {
	for _, c := range []struct{ name, file, want string }{
		{"empty", "", "not a TensorFlow Lite model"},
		{"text", "this is no model at all", "not a TensorFlow Lite model"},
		{"cut", "\x10\x00\x00\x00TFL3", "an offset points outside the file"},
		{"root beyond", "\xff\xff\xff\xffTFL3........", "an offset points outside the file"},
		{"table before the file", "\x08\x00\x00\x00TFL3\xff\xff\xff\x7f", "an offset points outside the file"},
	} {
		if _, err := ReadMetadata([]byte(c.file)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
}

func TestReadMetadataOfTheShippedModel(t *testing.T) {
	file, err := os.ReadFile(shipped)
	if err != nil {
		t.Fatal(err)
	}
	blocks, err := ReadMetadata(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"edged.json", "edged.ngrams", "edged.words"} {
		if len(blocks[name]) == 0 {
			t.Errorf("%s is missing or empty", name)
		}
	}
	for size := 0; size < len(file); size += len(file)/997 + 1 {
		if blocks, err := ReadMetadata(file[:size]); err == nil && len(blocks["edged.ngrams"]) > size {
			t.Errorf("cut at %d: a block is longer than the file", size)
		}
	}
}

func FuzzReadMetadata(f *testing.F) {
	f.Add(small())
	f.Add(behind())
	f.Add([]byte("\x10\x00\x00\x00TFL3"))
	f.Fuzz(func(t *testing.T, file []byte) {
		blocks, err := ReadMetadata(file)
		if (blocks == nil) == (err == nil) {
			t.Fatalf("blocks %v and error %v", blocks, err)
		}
		for _, block := range blocks {
			if len(block) > len(file) {
				t.Fatal("a block is longer than its file")
			}
		}
	})
}

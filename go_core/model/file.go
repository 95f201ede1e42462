package model

import (
	"encoding/json"
	"fmt"
	"os"
	"syscall"

	"edged/features"
)

// MaxSize is the largest model file that is opened, in bytes: a model that needs more does
// not fit the boards that edged is for.
const MaxSize = 64 << 20

// Description is what edged.json inside the model says about it.
type Description struct {
	Format    int             `json:"format"`
	Name      string          `json:"name"`
	Version   string          `json:"version"`
	Labels    [2]string       `json:"labels"`    // the probability is that of the second
	Threshold float64         `json:"threshold"` // from this probability on it is the second label
	Features  json.RawMessage `json:"features"`
	Uncertain struct {
		Low  float64 `json:"low"`
		High float64 `json:"high"`
	} `json:"uncertain"`
}

// File is an opened model: mapped, described, its tables checked. Its methods are safe for
// many goroutines; Close only when nothing made from it is in use.
type File struct {
	Path        string
	Description Description
	SHA256      string // of the file, hexadecimal
	data        []byte
	table       *features.Table
}

// Open maps a .tflite file and reads its metadata. It checks everything that Go will read;
// the graph itself is checked by TFLite.
func Open(path string) (*File, error) {
	sum, _, err := Check(path)
	if err != nil {
		return nil, err
	}
	data, err := mapFile(path)
	if err != nil {
		return nil, fmt.Errorf("model %s: %w", path, err)
	}
	f := &File{Path: path, SHA256: sum, data: data}
	if err := f.read(); err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w\n  remedy: use a model made by edged's training (make train), or the one that ships with it", path, err)
	}
	return f, nil
}

func mapFile(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if err := checkInfo(info); err != nil {
		return nil, err
	}
	return syscall.Mmap(int(file.Fd()), 0, int(info.Size()), syscall.PROT_READ, syscall.MAP_SHARED)
}

func (f *File) read() error {
	blocks, err := ReadMetadata(f.data)
	if err != nil {
		return err
	}
	text, ok := blocks["edged.json"]
	if !ok {
		return fmt.Errorf("model file: no metadata block edged.json: it was not made for edged")
	}
	d := &f.Description
	if err := json.Unmarshal(text, d); err != nil {
		return fmt.Errorf("model file: edged.json: %w", err)
	}
	switch {
	case d.Format != 1:
		return fmt.Errorf("model file: edged.json has format %d; this daemon reads 1", d.Format)
	case d.Labels[0] == "" || d.Labels[1] == "" || d.Labels[0] == d.Labels[1]:
		return fmt.Errorf("model file: edged.json needs two different labels, has %q", d.Labels)
	case !(d.Threshold > 0 && d.Threshold < 1):
		return fmt.Errorf("model file: edged.json has threshold %v, not between 0 and 1", d.Threshold)
	}
	f.table, err = features.NewTable(d.Features, blocks["edged.ngrams"], blocks["edged.words"])
	return err
}

// Size is the file's size in bytes.
func (f *File) Size() int { return len(f.data) }

// Close unmaps the file.
func (f *File) Close() {
	if f.data != nil {
		_ = syscall.Munmap(f.data)
		f.data = nil
	}
}

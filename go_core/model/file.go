package model

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
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
	Vouched     bool   // a model card beside it names its SHA-256
	info        fs.FileInfo
	data        []byte
	table       *features.Table
}

// Open maps a .tflite file and reads its metadata. It checks everything that Go will read;
// the graph itself is checked by TFLite.
func Open(path string) (*File, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("model: %w\n  remedy: name a readable .tflite file in the key model, or leave it out for the shipped one", err)
	}
	defer func() { _ = file.Close() }()
	f := &File{Path: path}
	if f.SHA256, f.Vouched, err = check(path, file); err != nil {
		return nil, err
	}
	if err := f.mapFile(file); err != nil {
		return nil, fmt.Errorf("model %s: %w", path, err)
	}
	if err := f.read(); err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w\n  remedy: use a model made by edged's training (make train), or the one that ships with it", path, err)
	}
	return f, nil
}

func (f *File) mapFile(file *os.File) (err error) {
	if f.info, err = file.Stat(); err != nil {
		return err
	}
	f.data, err = syscall.Mmap(int(file.Fd()), 0, int(f.info.Size()), syscall.PROT_READ, syscall.MAP_SHARED)
	return err
}

// InPlace is an error unless the file's path still leads to it. Whoever opened the path since then, as TFLite does,
// has read the same file.
func (f *File) InPlace() error {
	info, err := os.Stat(f.Path)
	if err == nil && !os.SameFile(info, f.info) {
		err = errors.New("the file was replaced while it was loaded\n  remedy: load it again")
	}
	if err != nil {
		return fmt.Errorf("model %s: %w", f.Path, err)
	}
	return nil
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

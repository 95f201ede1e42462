// Package model reads the model file: its description and the tables that turn text into ids.
package model

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Field numbers of the tables in TensorFlow Lite's schema (schema.fbs, version 3).
const (
	modelBuffers   = 4
	modelMetadata  = 6
	metadataName   = 0
	metadataBuffer = 1
	bufferData     = 0
	bufferOffset   = 1
	bufferSize     = 2
)

var errCut = errors.New("model file: an offset points outside the file: it is cut or damaged")

// ReadMetadata returns the metadata blocks of a .tflite file by name. The
// blocks are slices of file, not copies. Any bytes are safe to pass: what is no
// sound flatbuffer is an error.
func ReadMetadata(file []byte) (map[string][]byte, error) {
	if len(file) < 8 || string(file[4:8]) != "TFL3" {
		return nil, errors.New("model file: not a TensorFlow Lite model (bytes 4 to 8 are not TFL3)")
	}
	f := flatbuffer(file)
	root, err := f.follow(0)
	if err != nil {
		return nil, err
	}
	buffers, err := f.tables(root, modelBuffers)
	if err != nil {
		return nil, err
	}
	entries, err := f.tables(root, modelMetadata)
	if err != nil {
		return nil, err
	}
	blocks := make(map[string][]byte, entries.count)
	for i := range entries.count {
		name, block, err := f.metadata(entries, buffers, i)
		if err != nil {
			return nil, err
		}
		if _, twice := blocks[name]; twice {
			return nil, fmt.Errorf("model file: metadata %q is in it twice", name)
		}
		blocks[name] = block
	}
	return blocks, nil
}

func (f flatbuffer) metadata(entries, buffers vector, i uint32) (string, []byte, error) {
	entry, err := f.element(entries, i)
	if err != nil {
		return "", nil, err
	}
	name, err := f.bytes(entry, metadataName)
	if err != nil {
		return "", nil, err
	}
	number, err := f.number(entry, metadataBuffer)
	if err != nil {
		return "", nil, err
	}
	if number >= buffers.count {
		return "", nil, fmt.Errorf("model file: metadata %q names buffer %d of %d", name, number, buffers.count)
	}
	buffer, err := f.element(buffers, number)
	if err != nil {
		return "", nil, err
	}
	block, err := f.buffer(buffer)
	return string(name), block, err
}

// buffer returns what a buffer holds: in its vector, or behind the flatbuffer, where its offset and size point to.
func (f flatbuffer) buffer(table uint64) ([]byte, error) {
	at, err := f.field(table, bufferOffset)
	if err != nil {
		return nil, err
	}
	size, err := f.field(table, bufferSize)
	if err != nil {
		return nil, err
	}
	if at == 0 || size == 0 {
		return f.bytes(table, bufferData)
	}
	first, err := f.u64(at)
	if err != nil {
		return nil, err
	}
	length, err := f.u64(size)
	if err != nil {
		return nil, err
	}
	if all := uint64(len(f)); first > all || length > all-first {
		return nil, errCut
	}
	return f[first : first+length : first+length], nil
}

// flatbuffer is a file of https://flatbuffers.dev/internals, read with every
// offset checked. Positions are 64 bits wide, so that no sum of them overflows.
type flatbuffer []byte

type vector struct {
	at    uint64 // of the first element
	count uint32
}

func (f flatbuffer) u32(at uint64) (uint32, error) {
	if at+4 > uint64(len(f)) {
		return 0, errCut
	}
	return binary.LittleEndian.Uint32(f[at:]), nil
}

func (f flatbuffer) u64(at uint64) (uint64, error) {
	if at+8 > uint64(len(f)) {
		return 0, errCut
	}
	return binary.LittleEndian.Uint64(f[at:]), nil
}

func (f flatbuffer) u16(at uint64) (uint16, error) {
	if at+2 > uint64(len(f)) {
		return 0, errCut
	}
	return binary.LittleEndian.Uint16(f[at:]), nil
}

// follow returns the position that the offset at a position points to.
func (f flatbuffer) follow(at uint64) (uint64, error) {
	offset, err := f.u32(at)
	return at + uint64(offset), err
}

// field returns the position of a table's field, 0 where the table leaves it out.
func (f flatbuffer) field(table uint64, number uint16) (uint64, error) {
	back, err := f.u32(table)
	if err != nil {
		return 0, err
	}
	vtable := int64(table) - int64(int32(back))
	if vtable < 0 {
		return 0, errCut
	}
	size, err := f.u16(uint64(vtable))
	if err != nil {
		return 0, err
	}
	slot := 4 + 2*number
	if slot+2 > size {
		return 0, nil
	}
	offset, err := f.u16(uint64(vtable) + uint64(slot))
	if err != nil || offset == 0 {
		return 0, err
	}
	return table + uint64(offset), nil
}

func (f flatbuffer) number(table uint64, number uint16) (uint32, error) {
	at, err := f.field(table, number)
	if err != nil || at == 0 {
		return 0, err
	}
	return f.u32(at)
}

// vector returns a field that is a vector of elements of size bytes; a missing one is empty.
func (f flatbuffer) vector(table uint64, number uint16, size uint64) (vector, error) {
	at, err := f.field(table, number)
	if err != nil || at == 0 {
		return vector{}, err
	}
	if at, err = f.follow(at); err != nil {
		return vector{}, err
	}
	count, err := f.u32(at)
	if err != nil {
		return vector{}, err
	}
	if at+4+uint64(count)*size > uint64(len(f)) {
		return vector{}, errCut
	}
	return vector{at + 4, count}, nil
}

func (f flatbuffer) tables(table uint64, number uint16) (vector, error) {
	return f.vector(table, number, 4)
}

// element returns the position of one table of a vector of tables.
func (f flatbuffer) element(v vector, i uint32) (uint64, error) {
	return f.follow(v.at + 4*uint64(i))
}

func (f flatbuffer) bytes(table uint64, number uint16) ([]byte, error) {
	v, err := f.vector(table, number, 1)
	if err != nil {
		return nil, err
	}
	return f[v.at : v.at+uint64(v.count) : v.at+uint64(v.count)], nil
}

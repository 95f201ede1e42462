package model

import (
	"encoding/binary"
	"fmt"
	"math"
	"unsafe"

	"edged/features"
	"edged/protocol"
)

// The packed record that crosses to Python and the reply that comes back, both little-endian.
//
//	record: u8 version, u8 kind, u16 handle, u32 n; then
//	  ids:   u32 wide offsets[n+1], u32 word offsets[n+1], i32 wide ids, i32 word ids
//	  texts: u32 offsets[n+1], UTF-8
//	reply: u8 status, u8 form, u16 labels, u32 n; then
//	  probabilities: f32[n], of the second label
//	  labelled:      labels as u16 length and UTF-8, f32 scores[n], u16 label[n]
//
// edged/embedded/record.py is its twin.
const (
	recordVersion = 1
	kindIDs       = 1
	kindTexts     = 2

	formProbabilities = 1
	formLabelled      = 2

	headSize = 8
)

func appendHead(dst []byte, kind byte, handle uint16, n int) []byte {
	dst = append(dst, recordVersion, kind)
	dst = binary.LittleEndian.AppendUint16(dst, handle)
	return binary.LittleEndian.AppendUint32(dst, uint32(n))
}

// appendOffsets appends the offsets of several Rows as those of one.
func appendOffsets(dst []byte, parts []*features.Rows, offsets func(*features.Rows) []uint32) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, 0)
	base := uint32(0)
	for _, rows := range parts {
		own := offsets(rows)
		for _, offset := range own[1:] {
			dst = binary.LittleEndian.AppendUint32(dst, base+offset)
		}
		base += own[len(own)-1]
	}
	return dst
}

// appendIDs copies ids as they lie in memory: every target of edged is little-endian.
func appendIDs(dst []byte, ids []int32) []byte {
	return append(dst, unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(ids))), 4*len(ids))...)
}

func appendTexts(dst []byte, handle uint16, texts [][]byte) []byte {
	dst = appendHead(dst, kindTexts, handle, len(texts))
	offset := uint32(0)
	dst = binary.LittleEndian.AppendUint32(dst, offset)
	for _, text := range texts {
		offset += uint32(len(text))
		dst = binary.LittleEndian.AppendUint32(dst, offset)
	}
	for _, text := range texts {
		dst = append(dst, text...)
	}
	return dst
}

// body checks the head of a reply of this form to n reviews, and returns its number of labels and what follows.
func body(reply []byte, form byte, n int) (labels int, rest []byte, err error) {
	if len(reply) < headSize {
		return 0, nil, fmt.Errorf("Python's reply is %d bytes long, shorter than its head", len(reply))
	}
	if reply[1] != form {
		return 0, nil, fmt.Errorf("Python's reply has form %d, not %d", reply[1], form)
	}
	if got := binary.LittleEndian.Uint32(reply[4:]); int64(got) != int64(n) {
		return 0, nil, fmt.Errorf("Python answered %d reviews of %d", got, n)
	}
	return int(binary.LittleEndian.Uint16(reply[2:])), reply[headSize:], nil
}

func float(b []byte, i int) float64 {
	return float64(math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:])))
}

// probabilities reads form 1 into results.
func probabilities(rest []byte, labels [2]string, threshold float64, results []protocol.Result) error {
	if len(rest) != 4*len(results) {
		return fmt.Errorf("Python's reply holds %d bytes of probabilities, not %d", len(rest), 4*len(results))
	}
	for i := range results {
		p := float(rest, i)
		if !(p >= 0 && p <= 1) {
			return fmt.Errorf("the model gave %v as a probability", p)
		}
		if p >= threshold {
			results[i] = protocol.Result{Label: labels[1], Score: p}
		} else {
			results[i] = protocol.Result{Label: labels[0], Score: 1 - p}
		}
	}
	return nil
}

// labelled reads form 2 into results. known holds the label strings seen before.
func labelled(rest []byte, labels int, known map[string]string, results []protocol.Result) error {
	names := make([]string, labels)
	for i := range names {
		if len(rest) < 2 || len(rest)-2 < int(binary.LittleEndian.Uint16(rest)) {
			return fmt.Errorf("Python's reply ends within label %d", i)
		}
		end := 2 + int(binary.LittleEndian.Uint16(rest))
		names[i] = intern(known, rest[2:end])
		rest = rest[end:]
	}
	n := len(results)
	if len(rest) != 6*n {
		return fmt.Errorf("Python's reply holds %d bytes of scores and labels, not %d", len(rest), 6*n)
	}
	for i := range results {
		label := int(binary.LittleEndian.Uint16(rest[4*n+2*i:]))
		if label >= labels {
			return fmt.Errorf("Python's reply names label %d of %d", label, labels)
		}
		results[i] = protocol.Result{Label: names[label], Score: float(rest, i)}
	}
	return nil
}

func intern(known map[string]string, name []byte) string {
	if s, ok := known[string(name)]; ok {
		return s
	}
	if len(known) > 4096 { // a handler that invents labels must not grow the daemon
		clear(known)
	}
	s := string(name)
	known[s] = s
	return s
}

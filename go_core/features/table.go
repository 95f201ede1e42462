package features

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/bits"
)

const (
	version    = 1
	headerSize = 8  // bytes of an index before its directory
	restBits   = 16 // bits of a key that an index holds beyond the bucket's number
)

// index is a sorted table of keys, read in place: u32 count, u32 bits, u32
// first[1<<bits+1], u16 rest[count], little-endian. The top bits of a key name
// a bucket, first its slice of rest, and rest the next 16 bits of the keys kept.
type index struct {
	first []byte
	rest  []byte
	count int
	shift uint // what of a key remains is its bucket
}

func newIndex(name string, data []byte) (index, error) {
	if len(data) < headerSize {
		return index{}, fmt.Errorf("%s: %d bytes, too short for a table's header of %d", name, len(data), headerSize)
	}
	count, bits := int64(binary.LittleEndian.Uint32(data)), binary.LittleEndian.Uint32(data[4:])
	if bits < 1 || bits > 24 {
		return index{}, fmt.Errorf("%s: %d bucket bits, expected 1 to 24", name, bits)
	}
	buckets := int64(1) << bits
	size := headerSize + 4*(buckets+1) + 2*count
	if int64(len(data)) != size {
		return index{}, fmt.Errorf("%s: %d bytes, but %d keys in 2**%d buckets take %d", name, len(data), count, bits, size)
	}
	directory := headerSize + 4*(buckets+1)
	x := index{first: data[headerSize:directory], rest: data[directory:], count: int(count), shift: uint(64 - bits)}
	return x, x.check(name, int(buckets))
}

// check makes sure that every later read stays inside the table and finds what was stored.
func (x *index) check(name string, buckets int) error {
	from := binary.LittleEndian.Uint32(x.first)
	if last := binary.LittleEndian.Uint32(x.first[4*buckets:]); from != 0 || int64(last) != int64(x.count) {
		return fmt.Errorf("%s: the bucket directory does not run from 0 to %d", name, x.count)
	}
	for bucket := range buckets {
		to := binary.LittleEndian.Uint32(x.first[4*bucket+4:])
		if to < from || int64(to) > int64(x.count) {
			return fmt.Errorf("%s: the bucket directory does not run from 0 to %d", name, x.count)
		}
		for i := from; i+1 < to; i++ {
			if binary.LittleEndian.Uint16(x.rest[2*i:]) >= binary.LittleEndian.Uint16(x.rest[2*i+2:]) {
				return fmt.Errorf("%s: keys are not in ascending order", name)
			}
		}
		from = to
	}
	return nil
}

// Four 16-bit lanes of a word: their lowest bits and their tops.
const ones, tops = 0x0001000100010001, 0x8000800080008000

// ranks puts the position in the table of each key, mixed already, into found, -1 where
// it is not in it. ends is scratch space; all three are of one length.
//
// Three passes, and eight kept keys, more than most buckets have, compared without a branch that
// could be predicted wrongly: the processor has many keys' cache misses under way at once. A
// wine review's features take two thirds of what they took with a search that stops where it finds.
func (x *index) ranks(keys, ends []uint64, found []int32) {
	first, kept, shift := x.first, x.rest, x.shift
	for n, key := range keys {
		ends[n] = binary.LittleEndian.Uint64(first[4*(key>>(shift&63)):])
	}
	// Only to have all of rest's cache misses under way at once: 3 % more messages a second from a busy daemon.
	for n, bucket := range ends {
		if at := 2 * int(uint32(bucket)); at < len(kept) {
			found[n] = int32(kept[at])
		}
	}
	for n, key := range keys {
		from, to := int(uint32(ends[n])), int(ends[n]>>32)
		rest := uint16(key >> ((shift - restBits) & 63)) // & 63 spares what Go does for longer shifts
		if to-from > 8 || 2*from+16 > len(kept) {
			found[n] = search(kept, from, to, rest)
			continue
		}
		eight := kept[2*from : 2*from+16]
		low := binary.LittleEndian.Uint64(eight) ^ uint64(rest)*ones
		high := binary.LittleEndian.Uint64(eight[8:]) ^ uint64(rest)*ones
		at, beyond := firstZero(low), firstZero(high)
		at += from + beyond&-(at>>2)         // 4 in low: look at high
		found[n] = int32(at | (to-1-at)>>63) // -1 from to on
	}
}

// firstZero returns which lane of word is the first zero, 4 where none is
// (Hacker's Delight, 6-1).
func firstZero(word uint64) int {
	return bits.TrailingZeros64((word-ones)&^word&tops) / 16
}

// search looks one by one, in large buckets after halving.
func search(kept []byte, from, to int, rest uint16) int32 {
	for to-from > 16 {
		if middle := (from + to) / 2; binary.LittleEndian.Uint16(kept[2*middle:]) <= rest {
			from = middle
		} else {
			to = middle
		}
	}
	for i := from; i < to; i++ {
		if binary.LittleEndian.Uint16(kept[2*i:]) == rest {
			return int32(i)
		}
	}
	return -1
}

// rules is the object "features" of the model's description.
type rules struct {
	Version        *int `json:"version"`
	MaxTokens      *int `json:"max_tokens"`      // of one review; what follows is not read
	NegationSpan   *int `json:"negation_span"`   // words that a negation marks
	WordsHead      *int `json:"words_head"`      // a longer review gives the deep part its first
	WordsTail      *int `json:"words_tail"`      // and its last words
	UnknownPercent *int `json:"unknown_percent"` // fewer known words than this are flagged
}

func (r *rules) check() error {
	if r.Version == nil || *r.Version != version {
		return fmt.Errorf("features.version is %s, this build reads version %d", written(r.Version), version)
	}
	for _, rule := range []struct {
		key       string
		value     *int
		low, high int
	}{
		{"max_tokens", r.MaxTokens, 1, 1 << 20},
		{"negation_span", r.NegationSpan, 0, 8},
		{"words_head", r.WordsHead, 0, 1 << 16},
		{"words_tail", r.WordsTail, 0, 1 << 16},
		{"unknown_percent", r.UnknownPercent, 0, 100},
	} {
		if rule.value == nil || *rule.value < rule.low || *rule.value > rule.high {
			return fmt.Errorf("features.%s is %s, expected a whole number from %d to %d",
				rule.key, written(rule.value), rule.low, rule.high)
		}
	}
	return nil
}

func written(value *int) string {
	if value == nil {
		return "missing"
	}
	return fmt.Sprint(*value)
}

// Table turns text into ids by the rules and tables of one model. It is
// immutable and may be shared; it reads the buffers it was made from in place.
type Table struct {
	ngrams, words  index
	maxTokens      int
	negationSpan   int
	head, tail     int
	unknownPercent int
}

// NewTable checks rules (the object "features" of a model's description) and
// the blocks edged.ngrams and edged.words, which must stay mapped and unchanged
// as long as the table is in use.
func NewTable(object json.RawMessage, ngrams, words []byte) (*Table, error) {
	var r rules
	if err := json.Unmarshal(object, &r); err != nil {
		return nil, fmt.Errorf("features: %w", err)
	}
	if err := r.check(); err != nil {
		return nil, err
	}
	t := &Table{
		maxTokens: *r.MaxTokens, negationSpan: *r.NegationSpan,
		head: *r.WordsHead, tail: *r.WordsTail, unknownPercent: *r.UnknownPercent,
	}
	var err error
	if t.ngrams, err = newIndex("edged.ngrams", ngrams); err != nil {
		return nil, err
	}
	if t.words, err = newIndex("edged.words", words); err != nil {
		return nil, err
	}
	return t, nil
}

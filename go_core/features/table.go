package features

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
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

// rank returns the position of key in the table, -1 where it is not in it.
func (x *index) rank(key uint64) int32 {
	ends := x.first[4*(key>>x.shift):]
	from, to := binary.LittleEndian.Uint32(ends), binary.LittleEndian.Uint32(ends[4:])
	rest := uint16(key >> (x.shift - restBits))
	for i := from; i < to; i++ {
		if kept := binary.LittleEndian.Uint16(x.rest[2*i:]); kept >= rest {
			if kept == rest {
				return int32(i)
			}
			break
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

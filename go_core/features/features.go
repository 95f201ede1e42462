// Package features turns text into the n-gram ids that the model reads, byte
// for byte like edged/features.py, whose text states the rules.
package features

import "slices"

// Rows holds the ids of some reviews, ragged: row i of Wide is
// Wide[WideOffsets[i]:WideOffsets[i+1]]. After Reset, and always, both offset
// slices have one entry more than Flags; the first is 0.
type Rows struct {
	WideOffsets []uint32
	Wide        []int32
	WordOffsets []uint32
	Words       []int32
	Flags       []Flag
}

// Reset empties r and keeps its capacity.
func (r *Rows) Reset() {
	r.WideOffsets = append(r.WideOffsets[:0], 0)
	r.WordOffsets = append(r.WordOffsets[:0], 0)
	r.Wide, r.Words, r.Flags = r.Wide[:0], r.Words[:0], r.Flags[:0]
}

// Flag tells what a caller should know about one review.
type Flag uint8

const (
	// Truncated means that the review has more tokens than the model reads.
	Truncated Flag = 1
	// Unknown means that hardly a word is known: another language, or noise.
	Unknown Flag = 2
)

const (
	order   = 0x9e3779b97f4a7c15 // 2^64 / golden ratio, odd: base of the n-grams' polynomial
	negated = 0xd6e8feb86659fd93 // any odd constant apart from order
)

// pending is how many keys are looked up together.
const pending = 256

// Extractor is the scratch space of one goroutine.
type Extractor struct {
	table  *Table
	folded []byte
	seen   []uint32 // one bit for each id that the current row has; that of 0 is always set
	rows   *Rows

	ngrams  [pending]uint64 // keys, mixed, that are not looked up yet
	words   [pending]uint64
	marks   [pending]byte
	ngramsN int
	wordsN  int
	ends    [pending]uint64
	found   [pending]int32

	tokens, breaks, known int
	last, before          uint64 // hashes of the two tokens before
	joined                int    // how many of them the next n-gram may reach
	negation              int    // how many more words are negated
	full                  bool
}

// NewExtractor makes the scratch space for one goroutine.
func (t *Table) NewExtractor() *Extractor {
	return &Extractor{table: t, seen: make([]uint32, t.ngrams.count/32+1)}
}

// Append adds the ids of text, which may be any bytes, as one more row. It
// allocates only to grow rows or its own copy of the text.
func (e *Extractor) Append(rows *Rows, text []byte) {
	if len(rows.WideOffsets) == 0 {
		rows.Reset()
	}
	wide, words := len(rows.Wide), len(rows.Words)
	e.rows, e.full = rows, false
	e.tokens, e.breaks, e.known, e.joined, e.negation = 0, 0, 0, 0, 0
	e.seen[0] |= 1
	e.folded = fold(e.folded, text)
	e.scan(e.folded)
	e.lookUp()
	rows.Words = window(rows.Words, words, e.table.head, e.table.tail)
	var flag Flag
	if e.full {
		flag |= Truncated
	}
	if len(rows.Wide) == wide || e.table.words.count > 0 && e.known*100 < (e.tokens-e.breaks)*e.table.unknownPercent {
		flag |= Unknown
	}
	for _, id := range rows.Wide[wide:] {
		e.seen[uint32(id)/32] = 0
	}
	rows.WideOffsets = append(rows.WideOffsets, uint32(len(rows.Wide)))
	rows.WordOffsets = append(rows.WordOffsets, uint32(len(rows.Words)))
	rows.Flags = append(rows.Flags, flag)
	e.rows = nil
}

// window shortens the row that starts at start to its first head and last tail entries.
func window(words []int32, start, head, tail int) []int32 {
	if row := words[start:]; len(row) > head+tail {
		copy(row[head:], row[len(row)-tail:])
		return words[:start+head+tail]
	}
	return words
}

// token notes the keys of the n-grams that end with this token.
func (e *Extractor) token(hash uint64, mark byte) {
	if e.tokens == e.table.maxTokens {
		e.full = true
		return
	}
	if e.wordsN == len(e.words) || e.ngramsN > len(e.ngrams)-3 {
		e.lookUp()
	}
	e.tokens++
	word := mix(hash)
	e.words[e.wordsN], e.marks[e.wordsN] = word, mark
	e.wordsN++
	if mark&isBreak != 0 {
		e.ngram(word)
		e.joined, e.negation = 0, 0
		return
	}
	if e.negation > 0 {
		e.ngram(mix(hash ^ negated))
		e.negation--
	} else {
		e.ngram(word)
	}
	if e.joined > 0 {
		e.ngram(mix(e.last*order + hash))
	}
	if e.joined > 1 {
		e.ngram(mix((e.before*order+e.last)*order + hash))
	}
	e.before, e.last, e.joined = e.last, hash, min(e.joined+1, 2)
	if mark&isNegation != 0 {
		e.negation = e.table.negationSpan
	}
}

func (e *Extractor) ngram(key uint64) {
	e.ngrams[e.ngramsN] = key
	e.ngramsN++
}

// lookUp turns the keys noted so far into ids.
func (e *Extractor) lookUp() {
	e.addWide(e.found[:e.ngramsN])
	if e.table.words.count > 0 {
		e.addWords(e.found[:e.wordsN])
	}
	e.ngramsN, e.wordsN = 0, 0
}

// addWide adds the ids that the row does not have yet. What is in no table has rank -1, id 0,
// and counts as seen: no branch depends on what the text says.
func (e *Extractor) addWide(ranks []int32) {
	e.table.ngrams.ranks(e.ngrams[:e.ngramsN], e.ends[:e.ngramsN], ranks)
	n := len(e.rows.Wide)
	wide := slices.Grow(e.rows.Wide, len(ranks))[:n+len(ranks)]
	for _, rank := range ranks {
		id := uint32(rank + 1)
		seen, bit := &e.seen[id/32], id%32
		wide[n] = int32(id)
		n += int(^*seen >> bit & 1)
		*seen |= 1 << bit
	}
	e.rows.Wide = wide[:n]
}

func (e *Extractor) addWords(ranks []int32) {
	e.table.words.ranks(e.words[:e.wordsN], e.ends[:e.wordsN], ranks)
	for i, rank := range ranks {
		if e.marks[i]&isBreak != 0 {
			e.breaks++
		} else if rank >= 0 {
			e.known++
		}
		e.rows.Words = append(e.rows.Words, rank+2)
	}
}

// mix is MurmurHash3's 64-bit finalizer.
func mix(key uint64) uint64 {
	key = (key ^ key>>33) * 0xff51afd7ed558ccd
	key = (key ^ key>>33) * 0xc4ceb9fe1a85ec53
	return key ^ key>>33
}

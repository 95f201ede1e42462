// Package features turns text into the n-gram ids that the model reads, byte
// for byte like edged/features.py, whose text states the rules.
package features

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

// Extractor is the scratch space of one goroutine.
type Extractor struct {
	table  *Table
	folded []byte
	seen   []uint64 // one bit for each id that the current row has
	rows   *Rows

	tokens, words, known int
	last, before         uint64 // hashes of the two tokens before
	joined               int    // how many of them the next n-gram may reach
	negation             int    // how many more words are negated
	full                 bool
}

// NewExtractor makes the scratch space for one goroutine.
func (t *Table) NewExtractor() *Extractor {
	return &Extractor{table: t, seen: make([]uint64, t.ngrams.count/64+1)}
}

// Append adds the ids of text, which may be any bytes, as one more row. It
// allocates only to grow rows or its own copy of the text.
func (e *Extractor) Append(rows *Rows, text []byte) {
	if len(rows.WideOffsets) == 0 {
		rows.Reset()
	}
	wide, words := len(rows.Wide), len(rows.Words)
	e.rows, e.full = rows, false
	e.tokens, e.words, e.known, e.joined, e.negation = 0, 0, 0, 0, 0
	e.folded = fold(e.folded[:0], text)
	e.scan(e.folded)
	rows.Words = window(rows.Words, words, e.table.head, e.table.tail)
	var flag Flag
	if e.full {
		flag |= Truncated
	}
	if len(rows.Wide) == wide || e.table.words.count > 0 && e.known*100 < e.words*e.table.unknownPercent {
		flag |= Unknown
	}
	for _, id := range rows.Wide[wide:] {
		e.seen[uint32(id)/64] = 0
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

// token adds the ids of the n-grams that end with this token.
func (e *Extractor) token(hash uint64, mark byte) {
	if e.tokens == e.table.maxTokens {
		e.full = true
		return
	}
	e.tokens++
	breaks := mark&isBreak != 0
	e.word(hash, breaks)
	if breaks {
		e.ngram(hash)
		e.joined, e.negation = 0, 0
		return
	}
	if e.negation > 0 {
		e.ngram(hash ^ negated)
		e.negation--
	} else {
		e.ngram(hash)
	}
	if e.joined > 0 {
		e.ngram(e.last*order + hash)
	}
	if e.joined > 1 {
		e.ngram((e.before*order+e.last)*order + hash)
	}
	e.before, e.last, e.joined = e.last, hash, min(e.joined+1, 2)
	if mark&isNegation != 0 {
		e.negation = e.table.negationSpan
	}
}

func (e *Extractor) word(hash uint64, breaks bool) {
	if e.table.words.count == 0 {
		return
	}
	rank := e.table.words.rank(mix(hash))
	if !breaks {
		e.words++
		if rank >= 0 {
			e.known++
		}
	}
	e.rows.Words = append(e.rows.Words, rank+2)
}

func (e *Extractor) ngram(key uint64) {
	rank := e.table.ngrams.rank(mix(key))
	if rank < 0 {
		return
	}
	id := uint32(rank) + 1
	if bit := uint64(1) << (id % 64); e.seen[id/64]&bit == 0 {
		e.seen[id/64] |= bit
		e.rows.Wide = append(e.rows.Wide, int32(id))
	}
}

// mix is MurmurHash3's 64-bit finalizer.
func mix(key uint64) uint64 {
	key = (key ^ key>>33) * 0xff51afd7ed558ccd
	key = (key ^ key>>33) * 0xc4ceb9fe1a85ec53
	return key ^ key>>33
}

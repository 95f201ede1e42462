package features

import (
	"bytes"
	"slices"
)

const (
	fnvOffset = 0xcbf29ce484222325 // FNV-1a, 64 bits
	fnvPrime  = 0x100000001b3
)

var (
	hashNot   = hashOf([]byte("not"))
	hashZero  = hashOf([]byte("0"))
	hashHTTP  = hashOf([]byte("http"))
	hashQuote = hashOf([]byte(`"`))
	hashStop  = hashOf([]byte("."))
	hashColon = hashOf([]byte(":"))
	hashT     = hashOf([]byte("t"))
)

func hashOf(text []byte) uint64 { return extend(fnvOffset, text) }

func extend(hash uint64, text []byte) uint64 {
	for _, c := range text {
		hash = (hash ^ uint64(c)) * fnvPrime
	}
	return hash
}

// readWord returns how many bytes of text, from its start, are letters and digits, and their
// hash, with runs of three and more of one ASCII letter shortened to two.
func readWord(text []byte) (size int, hash uint64) {
	hash = fnvOffset
	var last, before byte
	for i, c := range text {
		if class[c]&(letter|digit) == 0 || c >= firstEmoji && emoji(text[i:]) > 0 {
			return i, hash
		}
		if c == last && c == before && 'a' <= c && c <= 'z' {
			continue
		}
		hash = (hash ^ uint64(c)) * fnvPrime
		last, before = c, last
	}
	return len(text), hash
}

func wordSize(text []byte) int {
	size, _ := readWord(text)
	return size
}

func squeezed(word []byte) uint64 {
	_, hash := readWord(word)
	return hash
}

// scanWord reads a word, a whole number, a link, or a contraction of "not".
func (e *Extractor) scanWord(text []byte) int {
	size, hash := readWord(text)
	word := text[:size]
	if size < len(text) && text[size] != ' ' { // spares most words both questions
		if size := link(text, size); size > 0 {
			e.token(hashHTTP, 0)
			return size
		}
		if hasNegatedTail(text[size:]) {
			return e.scanNegated(word, hash) + 2
		}
	}
	switch {
	case class[word[0]] == digit && digits(word) == size:
		e.number(word, longestNumber)
	case string(word) == "cannot":
		e.stem(word[:2])
		e.token(hashNot, isNegation)
	case size > 3 && word[size-1] == 't' && word[size-2] == 'n' && isStem(word[:size-2]):
		e.stem(word[:size-2])
		e.token(hashNot, isNegation)
	default:
		e.token(hash, markOf(word, hash))
	}
	return size
}

// scanNegated reads the word before a 't, and that.
func (e *Extractor) scanNegated(word []byte, hash uint64) int {
	if last := len(word) - 1; word[last] == 'n' {
		e.stem(word[:last])
		e.token(hashNot, isNegation)
	} else {
		e.token(hash, markOf(word, hash))
		e.token(hashT, 0)
	}
	return len(word)
}

// hasNegatedTail tells whether text goes on with 't as a word's end.
func hasNegatedTail(text []byte) bool {
	return len(text) >= 2 && text[0] == '\'' && text[1] == 't' && !startsWord(text[2:])
}

// stem gives the word before "n't" or "nt" as a token; a stem that is no word by itself is the word it stands for.
func (e *Extractor) stem(word []byte) {
	switch string(word) {
	case "":
		return
	case "ca":
		word = []byte("can")
	case "wo":
		word = []byte("will")
	}
	hash := squeezed(word)
	e.token(hash, markOf(word, hash))
}

func isStem(word []byte) bool {
	switch string(word) {
	case "do", "does", "did", "is", "was", "are", "were", "could", "would", "should",
		"has", "have", "had", "ai", "must", "need", "ca", "wo":
		return true
	}
	return false
}

var negations = []string{"not", "no", "never", "nothing", "nobody", "none", "neither", "nor", "without", "hardly", "barely"}

// hints has a bit for each negation, by its hash's last byte, which other words seldom share: to compare every word
// with all of them took 5 % of a wine review's features.
var hints = func() (bits [4]uint64) {
	for _, word := range negations {
		hash := hashOf([]byte(word))
		bits[hash/64%4] |= 1 << (hash % 64)
	}
	return bits
}()

func markOf(word []byte, hash uint64) byte {
	if hints[hash/64%4]>>(hash%64)&1 != 0 && slices.Contains(negations, string(word)) {
		return isNegation
	}
	return 0
}

// link returns the size of the web address that text starts with, 0 where there is none; word is the size of its first word.
func link(text []byte, word int) int {
	size := word
	switch {
	case string(text[:word]) == "www" && text[word] == '.':
		size++
	case (string(text[:word]) == "http" || string(text[:word]) == "https") && bytes.HasPrefix(text[word:], []byte("://")):
		size += len("://")
	default:
		return 0
	}
	for size < len(text) && text[size] > ' ' && text[size] != 0x7f &&
		text[size] != '<' && text[size] != '>' && text[size] != '"' {
		size++
	}
	return size
}

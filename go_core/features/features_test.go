package features

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
)

type vectors struct {
	Rules  json.RawMessage `json:"rules"`
	Ngrams []byte          `json:"ngrams"` // base64
	Words  []byte          `json:"words"`
	Cases  []struct {
		Name  string  `json:"name"`
		Text  []byte  `json:"text"`
		Wide  []int32 `json:"wide"`
		Words []int32 `json:"words"`
		Flags Flag    `json:"flags"`
	} `json:"cases"`
}

func load(tb testing.TB) (*vectors, *Table) {
	tb.Helper()
	data, err := os.ReadFile("../../tests/vectors/features.json")
	if err != nil {
		tb.Fatal(err)
	}
	var v vectors
	if err := json.Unmarshal(data, &v); err != nil {
		tb.Fatal(err)
	}
	table, err := NewTable(v.Rules, v.Ngrams, v.Words)
	if err != nil {
		tb.Fatal(err)
	}
	return &v, table
}

func row(rows *Rows, i int) (wide, words []int32, flag Flag) {
	return rows.Wide[rows.WideOffsets[i]:rows.WideOffsets[i+1]],
		rows.Words[rows.WordOffsets[i]:rows.WordOffsets[i+1]], rows.Flags[i]
}

func TestVectors(t *testing.T) {
	v, table := load(t)
	if len(v.Cases) < 40 {
		t.Fatalf("%d vectors found, expected at least 40", len(v.Cases))
	}
	e := table.NewExtractor()
	var rows Rows
	for _, c := range v.Cases {
		e.Append(&rows, c.Text)
	}
	for i, c := range v.Cases {
		wide, words, flag := row(&rows, i)
		if !slices.Equal(wide, c.Wide) || !slices.Equal(words, c.Words) || flag != c.Flags {
			t.Errorf("%s: %q\n got %v %v %d\nwant %v %v %d", c.Name, c.Text, wide, words, flag, c.Wide, c.Words, c.Flags)
		}
	}
}

func TestNewTableNamesWhatIsWrong(t *testing.T) {
	v, _ := load(t)
	edit := func(data []byte, at int, value byte) []byte {
		data = slices.Clone(data)
		data[at] = value
		return data
	}
	swapped := slices.Clone(v.Ngrams)
	slices.Reverse(swapped[len(swapped)-200:])
	for _, c := range []struct {
		name          string
		rules         string
		ngrams, words []byte
		want          string
	}{
		{"rules are no object", `[]`, v.Ngrams, v.Words, "features: "},
		{"version missing", `{}`, v.Ngrams, v.Words, "features.version is missing"},
		{"version of tomorrow", `{"version":2}`, v.Ngrams, v.Words, "features.version is 2, this build reads version 1"},
		{"rule missing", `{"version":1}`, v.Ngrams, v.Words, "features.max_tokens is missing"},
		{"rule out of range", strings.Replace(string(v.Rules), `"negation_span": 3`, `"negation_span": 9`, 1), v.Ngrams, v.Words, "features.negation_span is 9, expected a whole number from 0 to 8"},
		{"no table", string(v.Rules), nil, v.Words, "edged.ngrams: 0 bytes, too short"},
		{"cut table", string(v.Rules), v.Ngrams[:len(v.Ngrams)-1], v.Words, "edged.ngrams: "},
		{"bits", string(v.Rules), v.Ngrams, edit(v.Words, 4, 40), "edged.words: 40 bucket bits"},
		{"first bucket", string(v.Rules), edit(v.Ngrams, 8, 1), v.Words, "edged.ngrams: the bucket directory"},
		{"bucket beyond the end", string(v.Rules), edit(v.Ngrams, 15, 0x7f), v.Words, "edged.ngrams: the bucket directory"},
		{"order", string(v.Rules), swapped, v.Words, "edged.ngrams: keys are not in ascending order"},
	} {
		_, err := NewTable(json.RawMessage(c.rules), c.ngrams, c.words)
		if err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
}

func TestAppendDoesNotAllocate(t *testing.T) {
	v, table := load(t)
	e := table.NewExtractor()
	var rows Rows
	all := func() {
		rows.Reset()
		for _, c := range v.Cases {
			e.Append(&rows, c.Text)
		}
	}
	all()
	if n := testing.AllocsPerRun(10, all); n != 0 {
		t.Errorf("%v allocations for %d texts, want none", n, len(v.Cases))
	}
}

func FuzzAppend(f *testing.F) {
	v, table := load(f)
	for _, c := range v.Cases {
		f.Add(c.Text)
	}
	e := table.NewExtractor()
	f.Fuzz(func(t *testing.T, text []byte) {
		var rows Rows
		e.Append(&rows, text)
		e.Append(&rows, text)
		wide, words, flag := row(&rows, 0)
		wide2, words2, flag2 := row(&rows, 1)
		if !slices.Equal(wide, wide2) || !slices.Equal(words, words2) || flag != flag2 {
			t.Fatal("the second call differs from the first")
		}
		slices.Sort(wide)
		if len(slices.Compact(wide)) != int(rows.WideOffsets[1]) {
			t.Fatal("ids are not unique")
		}
	})
}

const wine = "Aromas include tropical fruit, broom, brimstone and dried herb. The palate isn't overly expressive, " +
	"offering unripened apple, citrus and dried sage alongside brisk acidity. Not a bad wine, but it could have been better."

func BenchmarkAppend(b *testing.B) {
	_, table := load(b)
	e := table.NewExtractor()
	var rows Rows
	text := []byte(wine)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		rows.Reset()
		e.Append(&rows, text)
	}
}

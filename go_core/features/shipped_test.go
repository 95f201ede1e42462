package features_test

import (
	"encoding/json"
	"os"
	"testing"

	"edged/features"
	"edged/model"
)

// BenchmarkShippedModel is what a wine-length review costs with the tables of the shipped model.
func BenchmarkShippedModel(b *testing.B) {
	file, err := os.ReadFile("../../edged/models/edged.tflite")
	if err != nil {
		b.Fatal(err)
	}
	blocks, err := model.ReadMetadata(file)
	if err != nil {
		b.Fatal(err)
	}
	var description struct {
		Features json.RawMessage `json:"features"`
	}
	if err := json.Unmarshal(blocks["edged.json"], &description); err != nil {
		b.Fatal(err)
	}
	table, err := features.NewTable(description.Features, blocks["edged.ngrams"], blocks["edged.words"])
	if err != nil {
		b.Fatal(err)
	}
	text := []byte("Aromas include tropical fruit, broom, brimstone and dried herb. The palate isn't overly expressive, " +
		"offering unripened apple, citrus and dried sage alongside brisk acidity. It is not a bad wine, but a short one.")
	e := table.NewExtractor()
	var rows features.Rows
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		rows.Reset()
		e.Append(&rows, text)
	}
}

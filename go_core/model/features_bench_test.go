package model

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"os"
	"testing"

	"edged/features"
)

// openShipped opens the model and reads the reviews that edged ships.
func openShipped(tb testing.TB) (*File, [][]byte) {
	tb.Helper()
	file, err := Open("../../edged/models/edged.tflite")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(file.Close)
	sample, err := os.Open("../../edged/sample/wine.jsonl.gz")
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = sample.Close() }()
	lines, err := gzip.NewReader(sample)
	if err != nil {
		tb.Fatal(err)
	}
	var texts [][]byte
	for scanner := bufio.NewScanner(lines); scanner.Scan(); {
		var review struct{ Text string }
		if err := json.Unmarshal(scanner.Bytes(), &review); err != nil {
			tb.Fatal(err)
		}
		texts = append(texts, []byte(review.Text))
	}
	if len(texts) < 1000 {
		tb.Fatalf("%d reviews in the sample, expected 1000", len(texts))
	}
	return file, texts
}

// BenchmarkFeatures is the cost of one wine review, all of the sample in turn.
func BenchmarkFeatures(b *testing.B) {
	file, texts := openShipped(b)
	extractor := file.table.NewExtractor()
	var rows features.Rows
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if i%64 == 0 {
			rows.Reset()
		}
		extractor.Append(&rows, texts[i%len(texts)])
	}
}

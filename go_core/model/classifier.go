package model

import (
	"time"

	"edged/counters"
	"edged/features"
	"edged/protocol"
)

// Caller is the interpreter: it takes a packed record and appends the reply to a buffer.
type Caller interface {
	ProcessBatch(record, reply []byte) ([]byte, error)
}

// Stages times the stages of a batch. Safe to read from any goroutine.
type Stages struct {
	Features  counters.Histogram
	Inference counters.Histogram
}

// Classifier turns texts into ids and asks the built-in model. One goroutine uses it at a time.
type Classifier struct {
	file    *File
	caller  Caller
	handle  uint16
	stages  *Stages
	workers *workers
	record  []byte
	reply   []byte
}

// NewClassifier returns a Classifier for the model that Python loaded as handle. Large
// batches are split over feature goroutines, which Close ends.
func (f *File) NewClassifier(caller Caller, handle uint16, featureWorkers int, stages *Stages) *Classifier {
	return &Classifier{file: f, caller: caller, handle: handle, stages: stages, workers: newWorkers(f.table, featureWorkers)}
}

// Close ends the feature goroutines.
func (c *Classifier) Close() { c.workers.close() }

// Run classifies texts into results, both of the same length. Errors are the Caller's, or
// that the reply breaks the record's format.
func (c *Classifier) Run(texts [][]byte, results []protocol.Result) error {
	start := time.Now()
	parts := c.workers.extract(texts)
	c.record = appendHead(c.record[:0], kindIDs, c.handle, len(texts))
	c.record = appendOffsets(c.record, parts, func(r *features.Rows) []uint32 { return r.WideOffsets })
	c.record = appendOffsets(c.record, parts, func(r *features.Rows) []uint32 { return r.WordOffsets })
	for _, rows := range parts {
		c.record = appendIDs(c.record, rows.Wide)
	}
	for _, rows := range parts {
		c.record = appendIDs(c.record, rows.Words)
	}
	extracted := time.Now()
	c.stages.Features.Observe(extracted.Sub(start))
	reply, err := c.caller.ProcessBatch(c.record, c.reply[:0])
	c.stages.Inference.Observe(time.Since(extracted))
	if err != nil {
		return err
	}
	c.reply = reply
	_, rest, err := body(reply, formProbabilities, len(texts))
	if err != nil {
		return err
	}
	d := &c.file.Description
	if err := probabilities(rest, d.Labels, d.Threshold, results); err != nil {
		return err
	}
	c.flag(parts, results)
	return nil
}

// flag marks what was cut, and what the model can't be sure of: a score inside the band
// chosen on validation data, or a text of which it knows nothing.
func (c *Classifier) flag(parts []*features.Rows, results []protocol.Result) {
	d := &c.file.Description
	i := 0
	for _, rows := range parts {
		for _, flag := range rows.Flags {
			r := &results[i]
			p := r.Score
			if r.Label == d.Labels[0] {
				p = 1 - p
			}
			r.Truncated = flag&features.Truncated != 0
			r.Uncertain = flag&features.Unknown != 0 || p >= d.Uncertain.Low && p <= d.Uncertain.High
			i++
		}
	}
}

// Texts hands texts as they are to a user's handler.
type Texts struct {
	caller Caller
	handle uint16
	stages *Stages
	known  map[string]string
	record []byte
	reply  []byte
}

// NewTexts returns a runner for the handler file that Python loaded as handle.
func NewTexts(caller Caller, handle uint16, stages *Stages) *Texts {
	return &Texts{caller: caller, handle: handle, stages: stages, known: map[string]string{}}
}

// Run classifies texts into results, both of the same length. Errors as with Classifier.Run.
func (t *Texts) Run(texts [][]byte, results []protocol.Result) error {
	start := time.Now()
	t.record = appendTexts(t.record[:0], t.handle, texts)
	reply, err := t.caller.ProcessBatch(t.record, t.reply[:0])
	t.stages.Inference.Observe(time.Since(start))
	if err != nil {
		return err
	}
	t.reply = reply
	labels, rest, err := body(reply, formLabelled, len(texts))
	if err != nil {
		return err
	}
	return labelled(rest, labels, t.known, results)
}

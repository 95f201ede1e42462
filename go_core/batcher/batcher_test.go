package batcher

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"edged/protocol"
)

// upper answers every review with itself as the label, so that a test sees whose answer is whose.
type upper struct{ batches [][]string }

func (u *upper) Run(texts [][]byte, results []protocol.Result) error {
	var batch []string
	for i, text := range texts {
		if bytes.Contains(text, []byte("boom")) {
			return errors.New("boom")
		}
		batch = append(batch, string(text))
		results[i] = protocol.Result{Label: string(text), Score: 1}
	}
	u.batches = append(u.batches, batch)
	return nil
}

func options() Options {
	return Options{MaxBatchSize: 64, MaxBatchTime: time.Hour, MaxQueueDelay: time.Millisecond, QueueReviews: 1000, QueueBytes: 1 << 20,
		ClientReviews: 500, ClientBytes: 1 << 19, MaxReviews: 300, MaxReviewBytes: 100,
		Answer: func(op protocol.Op) []byte { return []byte(`{"op":"` + op.String() + `"}`) }}
}

// bench is a batcher with a clock that the test turns.
type bench struct {
	*Batcher
	t   testing.TB
	run *upper
	now time.Duration
}

func newBench(t testing.TB, o Options) *bench {
	b := &bench{Batcher: New(o), t: t, run: &upper{}, now: 1}
	b.UseInline(b.run, func() time.Duration { return b.now })
	return b
}

func (b *bench) receive(peer, body string) {
	b.Receive(b.now, []byte(peer), []byte("envelope of "+peer), []byte(body), nil)
}

type answer struct {
	Peer    string
	ID      json.RawMessage
	Label   string
	Results []struct{ Label string }
	Error   *struct {
		Code         string
		Message      string
		RetryAfterMS int64 `json:"retry_after_ms"`
	}
	Stats json.RawMessage
}

func (b *bench) replies() (all []answer) {
	b.Flush(func() time.Duration { return b.now }, func(peer, envelope, body []byte) {
		if string(envelope) != "envelope of "+string(peer) {
			b.t.Errorf("envelope %q went to %q", envelope, peer)
		}
		a := answer{Peer: string(peer)}
		if err := json.Unmarshal(body, &a); err != nil {
			b.t.Fatalf("%v: %s", err, body)
		}
		all = append(all, a)
	})
	return all
}

// drainAll steps until nothing is left.
func (b *bench) drainAll() (all []answer) {
	for until := time.Now().Add(time.Minute); !b.Drained(); b.now += time.Microsecond {
		if time.Now().After(until) {
			b.t.Fatal("never drained")
		}
		b.Step(b.now)
		all = append(all, b.replies()...)
	}
	return append(all, b.replies()...)
}

func classify(id, n int, prefix string) string {
	texts := make([]string, n)
	for i := range texts {
		texts[i] = fmt.Sprintf("%s%d.%d", prefix, id, i)
	}
	body, err := json.Marshal(map[string]any{"id": id, "texts": texts})
	if err != nil {
		panic(err)
	}
	return string(body)
}

func TestEveryRequestGetsItsOwnAnswers(t *testing.T) {
	b := newBench(t, options())
	for id := range 20 {
		for _, peer := range []string{"a", "b", "c"} {
			b.receive(peer, classify(id, id%7, peer))
		}
	}
	answers := b.drainAll()
	if len(answers) != 60 {
		t.Fatalf("%d answers to 60 requests", len(answers))
	}
	for _, a := range answers {
		var id int
		if err := json.Unmarshal(a.ID, &id); err != nil {
			t.Fatal(err)
		}
		if len(a.Results) != id%7 {
			t.Errorf("%s %d: %d results", a.Peer, id, len(a.Results))
		}
		for i, r := range a.Results {
			if want := fmt.Sprintf("%s%d.%d", a.Peer, id, i); r.Label != want {
				t.Errorf("got the answer of %s, want %s", r.Label, want)
			}
		}
	}
	if reviews, held := b.Waiting(); reviews != 0 || held != 0 {
		t.Errorf("%d reviews and %d bytes left", reviews, held)
	}
}

func TestWhoeverIsServedWholeWaitsForNobodysBacklog(t *testing.T) {
	b := newBench(t, options())
	for id := range 4 {
		b.receive("greedy", classify(id, 100, "greedy"))
		b.receive("hungry", classify(id, 100, "hungry"))
	}
	b.receive("modest", classify(1, 2, "modest"))
	for range 2 {
		b.Step(b.now)
	}
	for i, want := range []map[string]int{{"greedy": quantum, "hungry": quantum, "modest": 2}, {"greedy": 32, "hungry": 32}} {
		taken := map[string]int{}
		for _, text := range b.run.batches[i] {
			taken[strings.TrimRight(text, "0123456789.")]++
		}
		if !maps.Equal(taken, want) {
			t.Errorf("batch %d has %v, want %v", i, taken, want)
		}
	}
	if answers := b.replies(); len(answers) != 1 || answers[0].Peer != "modest" {
		t.Errorf("answered first: %+v", answers)
	}
}

func TestRoundRobinCountsReviewsNotRequests(t *testing.T) {
	b := newBench(t, options())
	b.receive("long", classify(1, 250, "long"))
	for id := range 100 {
		b.receive("short", classify(id, 1, "short"))
	}
	for range 3 {
		b.Step(b.now)
	}
	taken := map[string]int{}
	for _, batch := range b.run.batches {
		for _, text := range batch {
			taken[strings.TrimRight(text, "0123456789.")]++
		}
	}
	if difference := taken["long"] - taken["short"]; difference > quantum || difference < -quantum {
		t.Errorf("shares %v", taken)
	}
}

func TestBudgetsAnswerBusy(t *testing.T) {
	o := options()
	o.QueueReviews, o.ClientReviews = 30, 20
	b := newBench(t, o)
	b.receive("a", classify(1, 20, "a"))
	b.receive("a", classify(2, 1, "a")) // over the client's share
	b.receive("b", classify(3, 10, "b"))
	b.receive("c", classify(4, 1, "c")) // over the whole
	answers := b.replies()
	if len(answers) != 2 {
		t.Fatalf("%+v", answers)
	}
	for i, want := range []string{"client's share", "queue is full"} {
		fault := answers[i].Error
		if fault == nil || fault.Code != "busy" || !strings.Contains(fault.Message, want) || fault.RetryAfterMS < 1 {
			t.Errorf("got %+v", fault)
		}
	}
	if rest := b.drainAll(); len(rest) != 2 {
		t.Errorf("%d of the admitted answered", len(rest))
	}
}

func TestByteBudgetCountsUnreadReplies(t *testing.T) {
	o := options()
	o.QueueBytes, o.ClientBytes = 10_000, 5_000
	b := newBench(t, o)
	b.Hold([]byte("a"), 4_900)
	b.receive("a", classify(1, 1, "a"))
	if answers := b.replies(); len(answers) != 1 || answers[0].Error == nil || answers[0].Error.Code != "busy" {
		t.Fatalf("%+v", answers)
	}
	b.Hold([]byte("b"), 5_200)
	if !b.Full() {
		t.Error("not full at the byte budget")
	}
	b.Release([]byte("a"), 4_900)
	b.receive("a", classify(2, 1, "a"))
	if answers := b.drainAll(); b.Full() || len(answers) != 1 || answers[0].Error != nil {
		t.Errorf("%+v", answers)
	}
}

func TestTooLargeNamesTheLimit(t *testing.T) {
	b := newBench(t, options())
	b.receive("a", classify(1, 301, "a"))
	b.receive("a", `{"id":2,"texts":["x","`+strings.Repeat("y", 101)+`"]}`)
	answers := b.replies()
	for i, want := range []string{"at most 300", "review 1 is 101 bytes"} {
		if fault := answers[i].Error; fault == nil || fault.Code != "too_large" || !strings.Contains(fault.Message, want) {
			t.Errorf("got %+v", answers[i])
		}
	}
}

func TestDeadlinePassedBeforeInference(t *testing.T) {
	b := newBench(t, options())
	b.receive("a", `{"id":1,"text":"late","deadline_ms":5}`)
	b.receive("a", `{"id":2,"text":"on time","deadline_ms":500}`)
	b.now += 10 * time.Millisecond
	answers := b.drainAll()
	if len(answers) != 2 || answers[0].Error == nil || answers[0].Error.Code != "deadline" || answers[1].Label != "on time" {
		t.Fatalf("%+v", answers)
	}
	if len(b.run.batches) != 1 || len(b.run.batches[0]) != 1 {
		t.Errorf("ran %v", b.run.batches)
	}
}

func TestOneClientsFailureCostsNobodyElse(t *testing.T) {
	b := newBench(t, options())
	b.receive("a", classify(1, 3, "a"))
	b.receive("bad", `{"id":2,"text":"boom"}`)
	b.receive("c", classify(3, 3, "c"))
	failed := 0
	for _, a := range b.drainAll() {
		if a.Error != nil {
			failed++
			if a.Peer != "bad" || a.Error.Code != "internal" {
				t.Errorf("%+v", a)
			}
		}
	}
	if failed != 1 {
		t.Errorf("%d failed", failed)
	}
}

func TestAFailureInTheFirstBatchOfARequestHoldsUpNobodyBehindIt(t *testing.T) {
	o := options()
	o.MaxBatchSize = 8
	b := newBench(t, o)
	b.receive("a", classify(1, 20, "boom"))
	b.receive("a", classify(2, 20, "a"))
	b.receive("b", classify(3, 20, "b"))
	answers := map[string]answer{}
	for range 20 { // bounded: a stuck queue must fail, not hang
		b.Step(b.now)
		for _, a := range b.replies() {
			answers[string(a.ID)] = a
		}
	}
	if len(answers) != 3 || !b.Drained() {
		t.Fatalf("answered %d of 3, drained %v", len(answers), b.Drained())
	}
	if answers["1"].Error == nil || len(answers["2"].Results) != 20 || len(answers["3"].Results) != 20 {
		t.Errorf("got %+v", answers)
	}
}

func TestDrainAnswersWhatWasAdmittedAndRefusesTheRest(t *testing.T) {
	b := newBench(t, options())
	b.receive("a", classify(1, 200, "a"))
	b.Drain()
	b.receive("a", classify(2, 1, "a"))
	b.receive("a", `{"op":"stats"}`)
	answers := b.drainAll()
	if len(answers) != 3 || answers[0].Error == nil || answers[0].Error.Code != "draining" || answers[0].Error.RetryAfterMS == 0 {
		t.Fatalf("%+v", answers)
	}
	if string(answers[1].Stats) != `{"op":"stats"}` || len(answers[2].Results) != 200 {
		t.Errorf("%+v", answers[1:])
	}
}

func TestWithoutAModelRequestsAreUnavailable(t *testing.T) {
	b := &bench{Batcher: New(options()), t: t, now: 1}
	b.receive("a", `{"text":"x"}`)
	if answers := b.replies(); len(answers) != 1 || answers[0].Error == nil || answers[0].Error.Code != "unavailable" {
		t.Fatalf("%+v", answers)
	}
	called := false
	b.Canary(1, "x", func(_ protocol.Result, err error) { called = err != nil })
	if !called {
		t.Error("the canary did not fail")
	}
}

func TestRefusalKeepsTheRequestsID(t *testing.T) {
	b := newBench(t, options())
	b.Receive(1, []byte("a"), []byte("envelope of a"), []byte(`{"id":"x","text":"y"}`),
		&protocol.Error{Code: protocol.Denied, Message: "m", Hint: "h"})
	if a := b.replies(); len(a) != 1 || a[0].Error.Code != "denied" || string(a[0].ID) != `"x"` {
		t.Fatalf("%+v", a)
	}
}

func TestCanaryGoesFirstWhateverTheQueue(t *testing.T) {
	b := newBench(t, options())
	b.receive("a", classify(1, 300, "a"))
	var got protocol.Result
	b.Canary(b.now, "tweet", func(r protocol.Result, err error) {
		if err != nil {
			t.Error(err)
		}
		got = r
	})
	b.Step(b.now)
	if got.Label != "tweet" || b.run.batches[0][0] != "tweet" {
		t.Errorf("%+v in %v", got, b.run.batches[0])
	}
	if answers := b.drainAll(); len(answers) != 1 {
		t.Errorf("%d answers", len(answers))
	}
}

func TestPredictedTimeClosesABatch(t *testing.T) {
	o := options()
	o.MaxBatchTime = 10 * time.Millisecond
	b := newBench(t, o)
	b.rate.observe(1, 0, time.Millisecond) // 1 ms a review
	b.receive("a", classify(1, 100, ""))
	b.Step(b.now)
	if n := len(b.run.batches[0]); n < 5 || n > 10 {
		t.Errorf("batch of %d", n)
	}
}

func TestRetryAfterFollowsTheRate(t *testing.T) {
	var r rate
	if r.retryAfterMS(1000) != 20 {
		t.Error("unknown rate")
	}
	r.observe(10, 1000, 10*time.Millisecond)
	if got := r.retryAfterMS(500); got != 500 {
		t.Errorf("got %d ms for 500 reviews of 1 ms", got)
	}
	if got := r.retryAfterMS(1 << 40); got != 10_000 {
		t.Errorf("got %d ms", got)
	}
}

// Reply is one batch's way from its results to the last of its replies, and nothing else: neither what only answers a
// refusal nor a batch that completes no request.
func TestTheReplyStageIsTimed(t *testing.T) {
	o := options()
	o.MaxBatchSize = 2
	b := newBench(t, o)
	flush := func() int {
		return b.Flush(func() time.Duration { return b.now }, func(_, _, _ []byte) { b.now += time.Millisecond })
	}
	b.receive("alice", `{"id":"nonsense`)
	if flush() != 1 || b.Counters.Reply.Snapshot().Count != 0 {
		t.Error("a refusal counted as a batch's reply")
	}
	b.receive("alice", classify(1, 3, "a"))
	b.receive("bob", classify(2, 1, "b"))
	b.Step(b.now)
	b.now += time.Second
	if flush() != 0 || b.Counters.Reply.Snapshot().Count != 0 {
		t.Error("a batch without a complete request counted")
	}
	b.Step(b.now)
	if sent := flush(); sent != 2 {
		t.Fatalf("%d replies, want 2", sent)
	}
	if s := b.Counters.Reply.Snapshot(); s.Count != 1 || s.Sum != uint64(2*time.Millisecond) {
		t.Errorf("counted %d, %d ns in all, want 1 of 2 ms", s.Count, s.Sum)
	}
}

func TestHotPathAllocatesNothing(t *testing.T) {
	o := options()
	b := New(o)
	clock := func() time.Duration { return 1 }
	b.UseInline(still{}, clock)
	peer, body := []byte("peer"), []byte(`{"id":"1","text":"Bright cherry, long finish."}`)
	send := func(_, _, _ []byte) {}
	once := func() {
		b.Receive(1, peer, nil, body, nil)
		b.Step(1)
		b.Flush(clock, send)
	}
	once()
	if n := testing.AllocsPerRun(200, once); n != 0 {
		t.Errorf("%v allocations a request", n)
	}
}

// still answers without allocating.
type still struct{}

func (still) Run(_ [][]byte, results []protocol.Result) error {
	for i := range results {
		results[i] = protocol.Result{Label: "positive", Score: 0.9}
	}
	return nil
}

func BenchmarkRequest(b *testing.B) {
	batcher := New(options())
	clock := func() time.Duration { return 1 }
	batcher.UseInline(still{}, clock)
	peer, body := []byte("peer"), []byte(`{"id":"1","text":"`+strings.Repeat("Cherry. ", 12)+`"}`)
	b.ReportAllocs()
	for b.Loop() {
		batcher.Receive(1, peer, nil, body, nil)
		batcher.Step(1)
		batcher.Flush(clock, func(_, _, _ []byte) {})
	}
}

// blocked runs when the test lets it.
type blocked struct{ gate chan struct{} }

func (g blocked) Run(texts [][]byte, results []protocol.Result) error {
	<-g.gate
	return (&upper{}).Run(texts, results)
}

// threaded waits for wake-ups as the serving loop does.
func threaded(t *testing.T, n int, runner Runner) (*bench, chan struct{}) {
	b := &bench{Batcher: New(options()), t: t, now: 1}
	wakes := make(chan struct{}, 1000)
	wake := func() { wakes <- struct{}{} }
	var ended atomic.Int32
	b.UseThreads(n, func() time.Duration { return 5 }, wake, func(int) (Runner, func(), error) {
		return runner, func() { ended.Add(1) }, nil
	}, func(err error) { t.Error(err) })
	for range n {
		<-wakes
	}
	t.Cleanup(func() {
		b.StopThreads()
		if int(ended.Load()) != n {
			t.Errorf("%d of %d threads ended", ended.Load(), n)
		}
	})
	return b, wakes
}

func TestThreadsServeWhileTheLoopAdmits(t *testing.T) {
	gate := make(chan struct{})
	b, wakes := threaded(t, 2, blocked{gate})
	b.receive("a", classify(1, 100, "a"))
	b.Step(b.now)
	b.receive("b", `{"op":"health"}`)
	if answers := b.replies(); len(answers) != 1 || answers[0].Peer != "b" {
		t.Fatalf("%+v", answers)
	}
	for b.Running() == 0 {
		runtime.Gosched()
	}
	if b.Drained() {
		t.Error("drained with a batch in flight")
	}
	close(gate)
	var answers []answer
	for len(answers) == 0 {
		<-wakes
		b.now += time.Millisecond
		b.Step(b.now)
		answers = b.replies()
	}
	for i, r := range answers[0].Results {
		if want := fmt.Sprintf("a1.%d", i); r.Label != want {
			t.Fatalf("result %d is %s", i, r.Label)
		}
	}
}

func TestThreadsHaveAFullBatchReadyWhileTheyWork(t *testing.T) {
	gate := make(chan struct{})
	b, wakes := threaded(t, 2, blocked{gate})
	size := b.options.MaxBatchSize
	away := func() (sizes []int) {
		for _, p := range b.runs.(*threads).away {
			sizes = append(sizes, len(p.texts))
		}
		return sizes
	}
	b.receive("a", classify(1, size, "a"))
	b.Step(b.now)
	if got := away(); !slices.Equal(got, []int{size / 2, size / 2}) {
		t.Fatalf("two idle threads share what waits: %v", got)
	}
	b.receive("b", classify(2, size-1, "b"))
	if b.Step(b.now); len(away()) != 2 || b.Wait(b.now) >= 0 {
		t.Errorf("a batch that could grow left: %v", away())
	}
	b.receive("c", classify(3, size+1, "c"))
	b.Step(b.now)
	if got := away(); !slices.Equal(got[2:], []int{size, size}) || b.Wait(b.now) >= 0 {
		t.Errorf("no full batch is ready for each thread: %v", got)
	}
	close(gate)
	for !b.Drained() {
		<-wakes
		b.now += time.Millisecond
		b.Step(b.now)
	}
	if answers := b.replies(); len(answers) != 3 {
		t.Errorf("%d of 3 answers", len(answers))
	}
	if os.Getenv("GOMAXPROCS") == "" && runtime.GOMAXPROCS(0) < 4 {
		t.Errorf("%d processors for two threads, the loop and its helpers", runtime.GOMAXPROCS(0))
	}
}

// helped serves inline with a helper that runs on runner, and counts the helpers that ended.
func helped(t *testing.T, runner Runner) (b *bench, wakes chan struct{}, ended *atomic.Int32) {
	b = newBench(t, options())
	b.now = 1 // 0 means that nothing runs
	wakes, ended = make(chan struct{}, 1000), &atomic.Int32{}
	b.AllowHelper(func() { wakes <- struct{}{} }, func(int) (Runner, func(), error) {
		return runner, func() { ended.Add(1) }, nil
	}, func(err error) { t.Error(err) })
	t.Cleanup(b.StopThreads)
	return b, wakes, ended
}

func TestAHelperTakesFullBatchesOnceTwoWait(t *testing.T) {
	gate := make(chan struct{})
	b, wakes, _ := helped(t, blocked{gate})
	size := b.options.MaxBatchSize
	b.receive("a", classify(1, 3*size-1, "a"))
	for range 3 {
		b.Step(b.now)
	}
	if b.serving() != nil || len(b.replies()) != 1 {
		t.Fatal("a helper for less than two batches beside the first")
	}
	b.receive("b", classify(2, 3*size, "b"))
	b.Step(b.now)
	helper := b.serving()
	if helper == nil {
		t.Fatal("no helper for two batches beside the first")
	}
	<-wakes // it has started
	b.receive("c", classify(3, 4*size, "c"))
	b.Step(b.now)
	if len(helper.away) != 2 || b.queue.reviews != int64(3*size) {
		t.Fatalf("the helper has %d batches, %d reviews wait: want one, one ready for it, one run at once, three left", len(helper.away), b.queue.reviews)
	}
	for b.queue.reviews > 0 {
		b.Step(b.now)
	}
	for b.Running() == 0 {
		runtime.Gosched()
	}
	if b.Drained() || b.Wait(b.now) >= 0 {
		t.Error("nothing is said to be in flight")
	}
	close(gate)
	for !b.Drained() {
		<-wakes
		b.Step(b.now)
	}
	for _, answer := range b.replies() {
		for i, r := range answer.Results {
			if want := fmt.Sprintf("%s%s.%d", answer.Peer, answer.ID, i); r.Label != want {
				t.Fatalf("result %d is %s, want %s", i, r.Label, want)
			}
		}
	}
}

func TestANewModelDismissesTheHelper(t *testing.T) {
	gate := make(chan struct{})
	b, wakes, ended := helped(t, blocked{gate})
	b.receive("a", classify(1, 256, "a"))
	b.Step(b.now)
	<-wakes
	b.Step(b.now)
	b.UseInline(&upper{}, func() time.Duration { return b.now })
	for b.queue.reviews > 0 {
		b.Step(b.now)
	}
	if b.serving() != nil || b.Drained() {
		t.Error("the old helper still helps, or what it has is forgotten")
	}
	close(gate)
	for !b.Drained() {
		b.Step(b.now)
	}
	if answers := b.replies(); len(answers) != 1 || len(answers[0].Results) != 256 {
		t.Errorf("%+v", answers)
	}
	b.StopThreads()
	if ended.Load() != 1 {
		t.Error("the old helper did not end")
	}
}

func TestThreadsWaitForAFullerBatch(t *testing.T) {
	b, _ := threaded(t, 1, &upper{})
	b.receive("a", classify(1, 1, "a"))
	if b.Step(b.now); len(b.runs.(*threads).away) != 0 {
		t.Fatal("left before max_queue_delay")
	}
	if wait := b.Wait(b.now); wait != time.Millisecond {
		t.Errorf("wait %v", wait)
	}
	b.now += time.Millisecond
	if b.Step(b.now); len(b.runs.(*threads).away) != 1 {
		t.Error("did not leave at max_queue_delay")
	}
	for !b.Drained() {
		b.Step(b.now)
	}
	b.replies()
}

func TestANewGenerationTakesOverAndTheOldOneFinishes(t *testing.T) {
	gate := make(chan struct{})
	b, wakes := threaded(t, 1, blocked{gate})
	b.receive("a", classify(1, 64, "a"))
	b.Step(b.now)
	b.UseThreads(1, func() time.Duration { return 5 }, func() { wakes <- struct{}{} },
		func(int) (Runner, func(), error) { return still{}, nil, nil }, func(err error) { t.Error(err) })
	<-wakes
	b.receive("b", classify(2, 64, "b"))
	b.Step(b.now)
	<-wakes
	b.Step(b.now)
	if answers := b.replies(); len(answers) != 1 || answers[0].Peer != "b" || answers[0].Results[0].Label != "positive" {
		t.Fatalf("%+v", answers)
	}
	close(gate)
	if answers := b.drainAll(); len(answers) != 1 || answers[0].Peer != "a" {
		t.Errorf("%+v", answers)
	}
}

func TestAThreadThatCannotStartLeavesTheOldGeneration(t *testing.T) {
	b, _ := threaded(t, 1, &upper{})
	failed := make(chan error, 1)
	b.UseThreads(1, func() time.Duration { return 5 }, func() {},
		func(int) (Runner, func(), error) { return nil, nil, errors.New("no model") }, func(err error) { failed <- err })
	if err := <-failed; err.Error() != "no model" {
		t.Fatal(err)
	}
	b.receive("a", classify(1, 64, "a"))
	if answers := b.drainAll(); len(answers) != 1 || answers[0].Error != nil {
		t.Errorf("%+v", answers)
	}
}

func TestFailAllAnswersWhatIsInFlight(t *testing.T) {
	gate := make(chan struct{})
	b, _ := threaded(t, 1, blocked{gate})
	b.receive("a", classify(1, 64, "a"))
	b.receive("b", classify(2, 64, "b"))
	b.Step(b.now)
	b.FailAll(b.now)
	answers := b.replies()
	if len(answers) != 2 {
		t.Fatalf("%+v", answers)
	}
	for _, a := range answers {
		if a.Error == nil || a.Error.Code != "internal" {
			t.Errorf("%+v", a)
		}
	}
	close(gate)
	for !b.Drained() {
		b.Step(b.now)
	}
	if late := b.replies(); len(late) != 0 {
		t.Errorf("answered twice: %+v", late)
	}
}

func TestWhatWaitsIsSplitBetweenIdleThreads(t *testing.T) {
	gate := make(chan struct{})
	b, _ := threaded(t, 2, blocked{gate})
	b.rate.observe(1, 10, time.Second) // slow, but threads take what they can
	b.receive("a", classify(1, 64, "a"))
	b.Step(b.now)
	for i, p := range b.runs.(*threads).away {
		if len(p.texts) != 32 {
			t.Errorf("thread %d took %d of 64 reviews", i, len(p.texts))
		}
	}
	close(gate)
	b.drainAll()
}

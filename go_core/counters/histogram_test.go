package counters

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"
)

func TestBucketsPartitionTheValues(t *testing.T) {
	for i := range numBuckets - 1 {
		low, next := lowerBound(i), lowerBound(i+1)
		if low >= next {
			t.Fatalf("bucket %d: bounds %d and %d do not rise", i, low, next)
		}
		if bucketOf(low) != i || bucketOf(next-1) != i {
			t.Fatalf("bucket %d: its bounds %d and %d fall into %d and %d", i, low, next-1, bucketOf(low), bucketOf(next-1))
		}
	}
	for _, v := range []uint64{1 << maxBits, math.MaxUint64} {
		if got := bucketOf(v); got != numBuckets-1 {
			t.Errorf("bucketOf(%d) = %d, want the last, %d", v, got, numBuckets-1)
		}
	}
}

func TestQuantilesAgreeWithSorting(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var h Histogram
	values := make([]uint64, 20_000)
	for i := range values {
		values[i] = uint64(math.Exp(random.NormFloat64()*2 + 11))
		h.Observe(time.Duration(values[i]))
	}
	slices.Sort(values)
	s := h.Snapshot()
	for _, q := range []float64{0.01, 0.5, 0.95, 0.99, 1} {
		want := values[int(math.Ceil(q*float64(len(values))))-1]
		if got := s.Quantile(q); math.Abs(float64(got)-float64(want)) > float64(want)*0.0625+1 {
			t.Errorf("Quantile(%v) = %d, sorted %d", q, got, want)
		}
	}
	if s.Max != values[len(values)-1] {
		t.Errorf("Max = %d, want %d", s.Max, values[len(values)-1])
	}
}

func TestAtMostIsExactBelowPowersOfTwo(t *testing.T) {
	var h Histogram
	for v := range uint64(1000) {
		h.Record(v)
	}
	s := h.Snapshot()
	for _, power := range []uint64{1, 2, 8, 64, 512} {
		if got := s.AtMost(power - 1); got != power {
			t.Errorf("AtMost(%d) = %d, want %d", power-1, got, power)
		}
	}
	if got := s.AtMost(math.MaxUint64); got != 1000 {
		t.Errorf("AtMost(all) = %d, want 1000", got)
	}
}

func TestNothingIsLostBetweenGoroutines(t *testing.T) {
	var h Histogram
	var c Counter
	var group sync.WaitGroup
	for g := range uint64(8) {
		group.Add(1)
		go func() {
			defer group.Done()
			for i := range uint64(1000) {
				h.RecordN(i*8+g, 2)
				c.Inc()
			}
		}()
	}
	group.Wait()
	s := h.Snapshot()
	if s.Count != 16_000 || c.Load() != 8000 || s.Max != 7999 || s.Sum != 2*7999*8000/2 {
		t.Errorf("count %d, counter %d, max %d, sum %d", s.Count, c.Load(), s.Max, s.Sum)
	}
}

func TestJSON(t *testing.T) {
	var empty, h Histogram
	h.Observe(-time.Second)
	h.Observe(3 * time.Microsecond)
	for _, test := range []struct {
		got  []byte
		want string
	}{
		{empty.Snapshot().AppendSizeJSON(nil), `{"count":0,"mean":0.0,"p50":0.0,"p95":0.0,"p99":0.0,"max":0.0}`},
		{h.Snapshot().AppendLatencyJSON(nil), `{"count":2,"mean_us":1.5,"p50_us":0.0,"p95_us":2.9,"p99_us":2.9,"max_us":3.0}`},
	} {
		if string(test.got) != test.want || !json.Valid(test.got) {
			t.Errorf("got  %s\nwant %s", test.got, test.want)
		}
	}
}

func TestObserveDoesNotAllocate(t *testing.T) {
	var h Histogram
	var s Snapshot
	buffer := make([]byte, 0, 256)
	if n := testing.AllocsPerRun(100, func() {
		h.Observe(time.Millisecond)
		h.ReadInto(&s)
		buffer = s.AppendLatencyJSON(buffer[:0])
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkObserve(b *testing.B) {
	var h Histogram
	for i := range b.N {
		h.Observe(time.Duration(i))
	}
}

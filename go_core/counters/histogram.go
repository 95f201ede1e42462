package counters

import (
	"math"
	"math/bits"
	"sync/atomic"
	"time"
)

// The buckets are log-linear, as in HdrHistogram (Gil Tene): every power of two is cut into subBuckets equal parts, so a
// bucket is at most 1/subBuckets of its lower bound wide and a quantile read from the middle of its bucket is at most
// 1/(2*subBuckets) = 6.25 % off.
const (
	subBits    = 3
	subBuckets = 1 << subBits
	// Values of 2^37 and more (137 s, counted in nanoseconds) share the last bucket.
	maxBits    = 37
	numBuckets = (maxBits-subBits)*subBuckets + subBuckets
)

// Histogram counts values in buckets of fixed bounds. Latencies are kept in nanoseconds, sizes in whatever they count.
// The zero value is ready to use; it must not be copied.
type Histogram struct {
	buckets [numBuckets]atomic.Uint64
	sum     atomic.Uint64
	max     atomic.Uint64
}

// Observe counts one latency. A negative one counts as 0.
func (h *Histogram) Observe(d time.Duration) { h.Record(uint64(max(d, 0))) }

// Record counts one value.
func (h *Histogram) Record(v uint64) { h.RecordN(v, 1) }

// RecordN counts n times the same value: the reviews of a batch share a latency.
func (h *Histogram) RecordN(v, n uint64) {
	h.buckets[bucketOf(v)].Add(n)
	h.sum.Add(v * n)
	for {
		old := h.max.Load()
		if v <= old || h.max.CompareAndSwap(old, v) {
			return
		}
	}
}

func bucketOf(v uint64) int {
	if v < subBuckets {
		return int(v)
	}
	exponent := bits.Len64(v) - 1 - subBits
	i := exponent<<subBits + int(v>>exponent)
	return min(i, numBuckets-1)
}

// lowerBound is the smallest value that falls into bucket i; lowerBound(i+1) is the first that no longer does.
func lowerBound(i int) uint64 {
	if i < subBuckets {
		return uint64(i)
	}
	exponent := i>>subBits - 1
	return uint64(i&(subBuckets-1)+subBuckets) << exponent
}

// Snapshot is a histogram at one moment. Values recorded while it was taken may be in Sum and not yet in Count.
type Snapshot struct {
	Count, Sum, Max uint64
	buckets         [numBuckets]uint64
}

// ReadInto takes a snapshot without allocating. The caller may use s again.
func (h *Histogram) ReadInto(s *Snapshot) {
	s.Count = 0
	for i := range h.buckets {
		s.buckets[i] = h.buckets[i].Load()
		s.Count += s.buckets[i]
	}
	s.Sum, s.Max = h.sum.Load(), h.max.Load()
}

// Snapshot takes a snapshot.
func (h *Histogram) Snapshot() *Snapshot {
	s := new(Snapshot)
	h.ReadInto(s)
	return s
}

// Mean is the arithmetic mean of all values, 0 when there are none.
func (s *Snapshot) Mean() float64 {
	if s.Count == 0 {
		return 0
	}
	return float64(s.Sum) / float64(s.Count)
}

// Quantile returns the value below which a share q (0 to 1) of all values lies, within 6.25 %, never above Max; 0 when
// there are none. It is the nearest-rank quantile, read at the middle of its bucket.
func (s *Snapshot) Quantile(q float64) uint64 {
	if s.Count == 0 {
		return 0
	}
	rank := min(max(uint64(math.Ceil(q*float64(s.Count))), 1), s.Count)
	var seen uint64
	for i, n := range s.buckets {
		seen += n
		if seen < rank {
			continue
		}
		if i == numBuckets-1 {
			break
		}
		low, high := lowerBound(i), lowerBound(i+1)-1
		return min(low+(high-low)/2, s.Max)
	}
	return s.Max
}

// AtMost returns how many values are at most bound, exactly when bound+1 is a bucket's lower bound (any power of two is
// one), else rounded down to whole buckets: what a Prometheus histogram's `le` asks for.
func (s *Snapshot) AtMost(bound uint64) uint64 {
	var n uint64
	for i := 0; i < numBuckets-1 && lowerBound(i+1)-1 <= bound; i++ {
		n += s.buckets[i]
	}
	return n
}

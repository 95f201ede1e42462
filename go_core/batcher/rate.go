package batcher

import "time"

// rate predicts how long reviews take, from the batches that ran: an exponentially weighted
// mean of time per unit of work, where a review is its bytes plus a fixed part. Features and
// model both cost about a unit per byte of text; the fixed part is what an empty review costs.
type rate struct {
	perUnit   float64 // ns, 0 until the first batch
	perReview float64 // ns
}

const (
	reviewUnits = 64
	weight      = 0.1 // of the newest batch
)

func units(reviews, bytes int) float64 { return float64(reviews*reviewUnits + bytes) }

func (r *rate) observe(reviews, bytes int, took time.Duration) {
	perUnit, perReview := float64(took)/units(reviews, bytes), float64(took)/float64(reviews)
	if r.perUnit == 0 {
		r.perUnit, r.perReview = perUnit, perReview
		return
	}
	r.perUnit += weight * (perUnit - r.perUnit)
	r.perReview += weight * (perReview - r.perReview)
}

// predict is how long a batch would take; 0 before anything is known.
func (r *rate) predict(reviews, bytes int) time.Duration {
	return time.Duration(r.perUnit * units(reviews, bytes))
}

// retryAfterMS is how long the reviews ahead will take at the present rate, in whole ms.
func (r *rate) retryAfterMS(ahead int64) int64 {
	const unknown, most = 20, 10_000
	if r.perReview == 0 {
		return unknown
	}
	return min(max(1, int64(r.perReview*float64(ahead)/1e6)), most)
}

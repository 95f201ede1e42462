// Package counters holds what the daemon counts while it serves: monotonic counters and histograms of latency and of
// batch size. Everything here is lock-free, of fixed size, safe for any number of goroutines, and right on 32-bit
// processors (the 64-bit fields are sync/atomic types, which align themselves).
package counters

import "sync/atomic"

// Counter is a number of events that only grows. The zero value is ready to use.
type Counter struct{ n atomic.Uint64 }

// Inc counts one event.
func (c *Counter) Inc() { c.n.Add(1) }

// Add counts n events.
func (c *Counter) Add(n uint64) { c.n.Add(n) }

// Load returns the number of events since the daemon started.
func (c *Counter) Load() uint64 { return c.n.Load() }

// Gauge is an amount that goes up and down: written by its owner, read by anybody. The zero value is ready to use.
type Gauge struct{ n atomic.Int64 }

// Set replaces the amount.
func (g *Gauge) Set(n int64) { g.n.Store(n) }

// Load returns the amount.
func (g *Gauge) Load() int64 { return g.n.Load() }

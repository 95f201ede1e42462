package counters

import "strconv"

// AppendLatencyJSON appends {"count":..,"mean_us":..,"p50_us":..,"p95_us":..,"p99_us":..,"max_us":..}, microseconds with
// one decimal, for a histogram filled by Observe.
func (s *Snapshot) AppendLatencyJSON(dst []byte) []byte { return s.appendJSON(dst, "_us", 1000) }

// AppendSizeJSON appends {"count":..,"mean":..,"p50":..,"p95":..,"p99":..,"max":..} for a histogram filled by Record.
func (s *Snapshot) AppendSizeJSON(dst []byte) []byte { return s.appendJSON(dst, "", 1) }

func (s *Snapshot) appendJSON(dst []byte, unit string, divisor float64) []byte {
	dst = append(dst, `{"count":`...)
	dst = strconv.AppendUint(dst, s.Count, 10)
	for _, f := range [...]struct {
		name  string
		value float64
	}{
		{"mean", s.Mean()},
		{"p50", float64(s.Quantile(0.50))},
		{"p95", float64(s.Quantile(0.95))},
		{"p99", float64(s.Quantile(0.99))},
		{"max", float64(s.Max)},
	} {
		dst = append(dst, `,"`...)
		dst = append(dst, f.name...)
		dst = append(dst, unit...)
		dst = append(dst, `":`...)
		dst = strconv.AppendFloat(dst, f.value/divisor, 'f', 1, 64)
	}
	return append(dst, '}')
}

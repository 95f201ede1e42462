package memory

import (
	"math"
	"strconv"
	"unicode/utf8"
)

// mostFiles is how many mapped files the JSON lists; the rest are summed up.
const mostFiles = 12

// object appends the fields of one JSON object.
type object struct {
	dst   []byte
	empty bool
}

func (o *object) name(name string) {
	if !o.empty {
		o.dst = append(o.dst, ',')
	}
	o.empty = false
	o.dst = appendString(o.dst, name)
	o.dst = append(o.dst, ':')
}

func (o *object) open(name string) {
	o.name(name)
	o.dst, o.empty = append(o.dst, '{'), true
}

func (o *object) close() { o.dst, o.empty = append(o.dst, '}'), false }

func (o *object) uint(name string, value uint64) {
	o.name(name)
	o.dst = strconv.AppendUint(o.dst, value, 10)
}

func (o *object) int(name string, value int64) {
	o.name(name)
	o.dst = strconv.AppendInt(o.dst, value, 10)
}

// limit writes null for NoLimit.
func (o *object) limit(name string, value uint64) {
	if value == NoLimit {
		o.name(name)
		o.dst = append(o.dst, "null"...)
		return
	}
	o.uint(name, value)
}

// float writes null for NaN: JSON has no other word for "not known".
func (o *object) float(name string, value float64, decimals int) {
	o.name(name)
	if math.IsNaN(value) || math.IsInf(value, 0) {
		o.dst = append(o.dst, "null"...)
		return
	}
	o.dst = strconv.AppendFloat(o.dst, value, 'f', decimals, 64)
}

func (o *object) usage(u Usage) {
	o.uint("rss", u.Rss)
	o.uint("pss", u.Pss)
	o.uint("uss", u.Uss())
}

// encode writes the sections process, memory, cgroup and system. All amounts of memory are bytes.
func (s *Snapshot) encode(dst []byte) []byte {
	o := &object{dst: dst, empty: true}
	o.open("process")
	o.usage(s.Total)
	o.uint("swap", s.Total.Swap)
	o.uint("peak_rss", s.Peak)
	o.uint("file_rss", s.Total.Rss-min(s.Total.Anonymous, s.Total.Rss))
	o.uint("threads", s.Threads)
	o.uint("goroutines", s.Go.Goroutines)
	o.uint("go_collections", s.Go.Collections)
	o.close()
	o.open("memory")
	s.encodeParts(o)
	s.encodeFiles(o)
	o.limit("go_limit", s.Go.Limit)
	o.float("read_ms", s.Took.Seconds()*1000, 2)
	o.close()
	s.encodeCgroup(o)
	s.encodeSystem(o)
	return o.dst
}

func (s *Snapshot) encodeParts(o *object) {
	o.open("parts")
	for part := range numParts {
		o.open(part.String())
		o.usage(s.Parts[part])
		o.int("growth", s.Growth[part])
		for _, kind := range []struct {
			name     string
			estimate bool
		}{{"counted", false}, {"estimated", true}} {
			opened := false
			for _, d := range s.Details {
				if d.Part != part || d.Estimate != kind.estimate {
					continue
				}
				if !opened {
					o.open(kind.name)
					opened = true
				}
				o.uint(d.Name, d.Bytes)
			}
			if opened {
				o.close()
			}
		}
		o.close()
	}
	o.close()
}

func (s *Snapshot) encodeFiles(o *object) {
	o.name("files")
	o.dst = append(o.dst, '[')
	var rest Usage
	for i, f := range s.Files {
		if i >= mostFiles {
			rest.add(f.Usage)
			continue
		}
		if i > 0 {
			o.dst = append(o.dst, ',')
		}
		o.dst, o.empty = append(o.dst, '{'), true
		o.name("path")
		o.dst = appendString(o.dst, f.Path)
		o.usage(f.Usage)
		o.close()
	}
	o.dst = append(o.dst, ']')
	o.uint("other_files_pss", rest.Pss)
}

func (s *Snapshot) encodeCgroup(o *object) {
	c := &s.Cgroup
	o.open("cgroup")
	o.int("version", int64(c.Version))
	if c.Version != 0 {
		o.name("path")
		o.dst = appendString(o.dst, c.Path)
		o.uint("current", c.Current)
		o.uint("working_set", c.WorkingSet())
		o.uint("peak", c.Peak)
		o.uint("swap", c.Swap)
		o.limit("high", c.High)
		o.limit("max", c.Max)
		o.open("events")
		o.uint("high", c.HighEvents)
		o.uint("max", c.MaxEvents)
		o.uint("oom", c.OomEvents)
		o.uint("oom_kill", c.OomKillCount)
		o.close()
	}
	o.close()
}

func (s *Snapshot) encodeSystem(o *object) {
	o.open("system")
	if s.System.Total != 0 { // a hardened unit may hide all of /proc but the process itself
		o.uint("total", s.System.Total)
		o.uint("available", s.System.Available)
		o.uint("swap_total", s.System.SwapTotal)
		o.uint("swap_free", s.System.SwapFree)
	}
	if s.Pressure.Known {
		o.open("pressure")
		o.float("some_avg10", s.Pressure.SomeAvg10, 2)
		o.float("some_avg60", s.Pressure.SomeAvg60, 2)
		o.float("full_avg10", s.Pressure.FullAvg10, 2)
		o.float("full_avg60", s.Pressure.FullAvg60, 2)
		o.uint("some_us", s.Pressure.SomeMicroseconds)
		o.uint("full_us", s.Pressure.FullMicroseconds)
		o.close()
	}
	if !math.IsNaN(s.Temperature) {
		o.float("temperature_celsius", s.Temperature, 1)
	}
	if s.Throttle.Known {
		o.name("throttled_now")
		o.dst = s.Throttle.appendNames(o.dst, 0)
		o.name("throttled_since_boot")
		o.dst = s.Throttle.appendNames(o.dst, 16)
	}
	o.close()
}

// appendString writes a JSON string. Paths need not be UTF-8: what isn't becomes U+FFFD.
func appendString(dst []byte, text string) []byte {
	dst = append(dst, '"')
	for _, r := range text {
		switch {
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r < ' ' || r == 0x7f:
			dst = append(dst, `\u00`...)
			dst = append(dst, "0123456789abcdef"[r>>4], "0123456789abcdef"[r&15])
		default:
			dst = utf8.AppendRune(dst, r)
		}
	}
	return append(dst, '"')
}

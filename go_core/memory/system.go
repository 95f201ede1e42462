package memory

import (
	"bytes"
	"strconv"
)

// System is what the board as a whole has, in bytes. Available is 0 on kernels before 3.14.
type System struct {
	Total, Available, SwapTotal, SwapFree uint64
}

// ParseMeminfo reads the text of /proc/meminfo.
func ParseMeminfo(text []byte) System {
	var s System
	eachField(text, ':', func(name string, value []byte) {
		switch name {
		case "MemTotal":
			s.Total, _ = kilobytes(value)
		case "MemAvailable":
			s.Available, _ = kilobytes(value)
		case "SwapTotal":
			s.SwapTotal, _ = kilobytes(value)
		case "SwapFree":
			s.SwapFree, _ = kilobytes(value)
		}
	})
	return s
}

// Pressure is memory pressure as the kernel measures it (PSI): the share of time, in percent, in which some or all
// runnable tasks waited for memory, and the total of that time in microseconds. See proc_pressure(5).
type Pressure struct {
	Known                              bool
	SomeAvg10, SomeAvg60               float64
	FullAvg10, FullAvg60               float64
	SomeMicroseconds, FullMicroseconds uint64
}

// ParsePressure reads the text of /proc/pressure/memory or a control group's memory.pressure. Kernels built without PSI,
// or started with it off, have no such file or refuse to read it: Known is then false.
func ParsePressure(text []byte) Pressure {
	var p Pressure
	for _, line := range bytes.Split(text, []byte{'\n'}) {
		kind, rest, _ := bytes.Cut(line, []byte{' '})
		avg10, avg60, total := &p.SomeAvg10, &p.SomeAvg60, &p.SomeMicroseconds
		switch string(kind) {
		case "some":
			p.Known = true
		case "full":
			avg10, avg60, total = &p.FullAvg10, &p.FullAvg60, &p.FullMicroseconds
		default:
			continue
		}
		for _, pair := range bytes.Fields(rest) {
			name, value, _ := bytes.Cut(pair, []byte{'='})
			switch string(name) {
			case "avg10":
				*avg10, _ = strconv.ParseFloat(string(value), 64)
			case "avg60":
				*avg60, _ = strconv.ParseFloat(string(value), 64)
			case "total":
				*total, _ = decimal(value)
			}
		}
	}
	return p
}

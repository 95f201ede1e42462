package memory

// Status is what /proc/PID/status says of memory, in bytes: it costs the kernel next to nothing, unlike smaps.
type Status struct {
	Rss, PeakRss, Swap uint64
	Threads            uint64
}

// ParseStatus reads the text of /proc/PID/status. Fields a kernel does not show stay 0.
func ParseStatus(text []byte) Status {
	var s Status
	eachField(text, ':', func(name string, value []byte) {
		switch name {
		case "VmRSS":
			s.Rss, _ = kilobytes(value)
		case "VmHWM":
			s.PeakRss, _ = kilobytes(value)
		case "VmSwap":
			s.Swap, _ = kilobytes(value)
		case "Threads":
			s.Threads, _ = decimal(value)
		}
	})
	return s
}

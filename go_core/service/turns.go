package service

import (
	"log/slog"
	"time"

	"golang.org/x/sys/unix"
)

// turn is for how long a thread runs at most while others wait: the shortest that Linux grants.
const turn = 100 * time.Microsecond

// ShortTurns has the calling thread, and those that it starts from now on, take short turns on a processor, and as many more:
// where all are in use, Linux by itself hands one over only after 1.4 to 4 ms, and a request, which needs some microseconds
// of several threads on its way, would wait that long for each. The share of the processors stays what it was (EEVDF: I. Stoica
// and H. Abdel-Wahab, "Earliest Eligible Virtual Deadline First", 1995). Linux ignores the wish before 6.12.
func ShortTurns(log *slog.Logger) {
	now, err := unix.SchedGetAttr(0, 0)
	if err == nil && now.Policy == unix.SCHED_NORMAL { // else somebody chose another policy for the daemon
		now.Runtime = uint64(turn)
		err = unix.SchedSetAttr(0, now, 0)
	}
	if err != nil {
		log.Debug("the kernel's usual turns stay", "event", "turns", "error", err.Error())
	}
}

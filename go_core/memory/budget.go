package memory

import (
	"fmt"
	"strings"
)

const (
	kib = 1 << 10
	mib = 1 << 20
)

// What the daemon holds when nobody asks it anything, and what each client costs before it has sent a byte.
const (
	// The interpreter, numpy, TFLite, the shipped model, Go and libzmq: `make footprint` prints 30 to 38 MB of PSS.
	idleBytes = 40 * mib
	// libzmq's own buffers: a bare C server grows by 5 MB from 1 to 64 clients.
	clientBytes = 80 * kib
	// What Go's runtime maps besides the heap: stacks, span tables, GC state.
	goRuntimeBytes = 8 * mib
	// Below this there is no room for even a few short requests.
	leastTraffic = 4 * mib
)

// The longest result of one review: {"label":"negative","score":0.9731,"uncertain":true,"truncated":true} and a comma.
const resultBytes = 76

// Want is what the configuration asks for, in bytes and messages; 0 means: derive it.
type Want struct {
	Clients                      int64 // expected at most, never 0
	RecvHWM, SendHWM             int64 // messages per client
	QueueBytes, ClientQueueBytes int64
	MaxReviews                   int64 // per request; lowered where the budget can't hold such replies
	MaxMessageBytes              int64
	IdleBytes                    int64 // 0: what the shipped model needs
}

// Budget is how a limit is spent. ZeroMQ holds at most Clients * (RecvHWM+1) unread messages of MaxMessageBytes and
// Clients * SendHWM unsent replies; the queue holds QueueBytes; the rest of the traffic's share is Go's garbage.
type Budget struct {
	Limit            int64  // bytes the whole process stays under
	Source           string // where Limit comes from, for people
	GoLimit          int64  // for debug.SetMemoryLimit
	ShedAbove        int64  // answer busy while the process holds more
	RecvHWM, SendHWM int64
	QueueBytes       int64
	ClientQueueBytes int64
	MaxReviews       int64
	MaxMessageBytes  int64
	MaxReplyBytes    int64
	Worst            int64 // what all of it adds up to when every client does its worst
}

// ChooseLimit is the configured limit (0: auto), but never more than the control group's, by which the kernel kills.
func ChooseLimit(configured int64, group Cgroup, system System) (limit int64, source string) {
	limit, source = AutoLimit(group, system)
	if configured == 0 || group.Version != 0 && uint64(configured) > group.Limit() {
		return limit, source
	}
	return configured, "the configuration"
}

// AutoLimit chooses the limit where the configuration says auto: the control group's, else a quarter of the board's
// memory, at least 96 MiB and at most 1 GiB, for a till or a kiosk runs other things too.
func AutoLimit(group Cgroup, system System) (limit int64, source string) {
	if own := group.Limit(); group.Version != 0 && own != NoLimit {
		return int64(min(own, 1<<62)), fmt.Sprintf("the control group %s (version %d)", group.Path, group.Version)
	}
	if system.Total == 0 {
		return 128 * mib, "neither control group nor /proc/meminfo tells: a cautious guess"
	}
	return int64(min(max(system.Total/4, 96*mib), 1024*mib)), fmt.Sprintf("the board: a quarter of its %d MiB, within 96 to 1024 MiB", system.Total/mib)
}

// Derive lays a limit out. It fails when the limit can't hold the idle daemon and its clients; the error names the keys.
//
// After the idle daemon, the clients' fixed cost and a sixteenth for the kernel's share (page tables, socket buffers),
// what remains is the traffic's: 3/8 for messages not yet read, 2/8 for replies not yet sent, 2/8 for the queue, 1/8 for
// garbage between two collections.
func Derive(limit int64, source string, want Want) (Budget, error) {
	idle := want.IdleBytes
	if idle == 0 {
		idle = idleBytes
	}
	fixed := idle + want.Clients*clientBytes
	traffic := limit - limit/16 - fixed
	if traffic < leastTraffic {
		least := (fixed + leastTraffic) * 16 / 15
		return Budget{}, fmt.Errorf("memory.limit = %d MiB (from %s) is too little: the idle daemon and max_clients = %d need %d MiB\n  remedy: raise memory.limit or the unit's MemoryMax, or lower max_clients",
			limit/mib, source, want.Clients, (least+mib-1)/mib)
	}
	b := Budget{Limit: limit, Source: source, ShedAbove: limit - limit/16}
	b.receive(traffic*3/8, want)
	b.send(traffic*2/8, want)
	b.QueueBytes = orElse(want.QueueBytes, traffic*2/8)
	b.ClientQueueBytes = orElse(want.ClientQueueBytes, max(b.QueueBytes/4, min(2*b.MaxMessageBytes, b.QueueBytes)))
	garbage := traffic / 8
	b.GoLimit = goRuntimeBytes + b.QueueBytes + garbage
	b.Worst = fixed + limit/16 + garbage + b.QueueBytes +
		want.Clients*((b.RecvHWM+1)*b.MaxMessageBytes+b.SendHWM*b.MaxReplyBytes)
	return b, nil
}

// receive shares out what libzmq may hold unread. A high-water mark counts messages, and one more is being decoded.
func (b *Budget) receive(share int64, want Want) {
	const goodMessage, leastMessage, mostMessage = 128 * kib, 4 * kib, 8 * mib
	b.RecvHWM = want.RecvHWM
	if b.RecvHWM == 0 {
		for b.RecvHWM = 64; b.RecvHWM > 2 && share/(want.Clients*(b.RecvHWM+1)) < goodMessage; b.RecvHWM /= 2 {
		}
	}
	derived := share / (want.Clients * (b.RecvHWM + 1)) / kib * kib
	b.MaxMessageBytes = orElse(want.MaxMessageBytes, min(max(derived, leastMessage), mostMessage))
}

// send shares out what libzmq may hold for clients that don't read. Replies to many short reviews are longer than the
// request, so the number of reviews in a request is bounded by half its greatest length.
func (b *Budget) send(share int64, want Want) {
	const mostReplies = 1024
	b.MaxReviews = min(want.MaxReviews, max(b.MaxMessageBytes/2/resultBytes, 1))
	b.MaxReplyBytes = b.MaxReviews*resultBytes + 256 // the id of at most 128 bytes, the object around it
	b.SendHWM = orElse(want.SendHWM, min(max(share/(want.Clients*b.MaxReplyBytes), 1), mostReplies))
}

func orElse(value, otherwise int64) int64 {
	if value != 0 {
		return value
	}
	return otherwise
}

// Warning says, for people, that explicit settings add up to more than the limit; empty when they don't.
func (b *Budget) Warning() string {
	if b.Worst <= b.Limit {
		return ""
	}
	return fmt.Sprintf("if every client did its worst the daemon would need %d MiB, memory.limit is %d MiB: it would be killed; leave queue_bytes, recv_hwm and send_hwm at 0 (derived), or raise memory.limit",
		b.Worst/mib, b.Limit/mib)
}

// String lists the budget one figure a line, for --check-config.
func (b *Budget) String() string {
	var s strings.Builder
	for _, row := range []struct {
		name  string
		value int64
		unit  string
	}{
		{"memory.limit", b.Limit, "bytes, from " + b.Source},
		{"go_memory_limit", b.GoLimit, "bytes"},
		{"shed_above", b.ShedAbove, "bytes: busy while the process holds more"},
		{"max_message_bytes", b.MaxMessageBytes, "bytes"},
		{"max_reviews", b.MaxReviews, "in one request"},
		{"queue_bytes", b.QueueBytes, "bytes"},
		{"client_bytes", b.ClientQueueBytes, "bytes"},
		{"recv_hwm", b.RecvHWM, "messages per client"},
		{"send_hwm", b.SendHWM, "messages per client"},
		{"worst_case", b.Worst, "bytes, every client doing its worst"},
	} {
		fmt.Fprintf(&s, "%-18s %12d %s\n", row.name, row.value, row.unit)
	}
	return s.String()
}

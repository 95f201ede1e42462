package gateway

/*
#cgo pkg-config: libzmq
#cgo CFLAGS: -std=c11 -Wall -Wextra -O2
#include "router.h"
*/
import "C"

import (
	"encoding/binary"
	"fmt"
	"reflect"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"github.com/pebbe/zmq4"
)

// maxFrames is how many frames a request may have after the routing id.
const maxFrames = C.EDGED_FRAMES

// message is one received message. Its slices are valid until the next receive.
type message struct {
	peer     []byte
	envelope []byte // packed frames, as send takes them back
	user     string // CURVE: what ZAP named the client, else empty
	body     []byte
	frames   int
}

// router is the fast path to a ROUTER socket. All but wake belong to one thread.
type router struct {
	c      *C.struct_edged_router
	buffer []byte
	closed sync.RWMutex // wake against close
	users  map[string]string
}

const (
	bufferSize   = 64 << 10
	mostMessages = 128 // per call into C and turn of the loop: two full batches, so that a flood's backlog keeps no batch waiting
)

// openRouter takes the libzmq pointer out of pebbe's socket, which does not export it.
func openRouter(socket *zmq4.Socket, users bool) (*router, error) {
	field := reflect.ValueOf(socket).Elem().FieldByName("soc")
	if !field.IsValid() || field.Kind() != reflect.UnsafePointer {
		return nil, fmt.Errorf("pebbe/zmq4 has changed: its Socket has no field soc")
	}
	ask := C.int(0)
	if users {
		ask = 1
	}
	c, err := C.edged_router_open(field.UnsafePointer(), ask)
	if c == nil {
		return nil, fmt.Errorf("ROUTER socket: %w", err)
	}
	return &router{c: c, buffer: make([]byte, bufferSize), users: map[string]string{}}, nil
}

func (r *router) close() {
	r.closed.Lock()
	defer r.closed.Unlock()
	C.edged_router_close(r.c)
	r.c = nil
}

// receive hands every message that has arrived, up to mostMessages, to take, and returns how
// many there were.
func (r *router) receive(take func(*message)) (int, error) {
	var used, need C.size_t
	n, err := r.fill(&used, &need)
	if need > 0 {
		large := make([]byte, need)
		small := r.buffer
		r.buffer = large
		n, err = r.fill(&used, &need)
		r.buffer = small
		r.each(large[:used], take)
	} else {
		r.each(r.buffer[:used], take)
	}
	return n, err
}

func (r *router) fill(used, need *C.size_t) (int, error) {
	n, err := C.edged_receive(r.c, (*C.uint8_t)(unsafe.Pointer(&r.buffer[0])), C.size_t(len(r.buffer)), mostMessages, used, need)
	if n < 0 {
		return 0, fmt.Errorf("receive: %w", err)
	}
	return int(n), nil
}

func (r *router) each(filled []byte, take func(*message)) {
	const head = C.sizeof_struct_edged_message
	var m message
	for len(filled) > 0 {
		field := func(i int) int { return int(binary.NativeEndian.Uint32(filled[4*i:])) }
		size, rest := field(0), filled[head:]
		cut := func(n int) []byte {
			part := rest[:n:n]
			rest = rest[n:]
			return part
		}
		m.peer, m.envelope = cut(field(1)), cut(field(2))
		m.user = r.name(cut(field(3)))
		m.body, m.frames = cut(field(4)), field(5)
		take(&m)
		filled = filled[size:]
	}
}

// name makes the user a string without allocating for those seen before.
func (r *router) name(user []byte) string {
	if len(user) == 0 {
		return ""
	}
	name, ok := r.users[string(user)]
	if !ok {
		if len(r.users) > 1024 {
			clear(r.users)
		}
		name = string(user)
		r.users[name] = name
	}
	return name
}

// send returns nil, EAGAIN at the peer's high-water mark, or EHOSTUNREACH when it is gone.
func (r *router) send(peer, envelope, body []byte) error {
	errno := C.edged_send(r.c, pointer(peer), C.size_t(len(peer)), pointer(envelope), C.size_t(len(envelope)), pointer(body), C.size_t(len(body)))
	if errno != 0 {
		return syscall.Errno(errno)
	}
	return nil
}

func pointer(b []byte) *C.uint8_t { return (*C.uint8_t)(unsafe.Pointer(unsafe.SliceData(b))) }

// wait sleeps until something may have arrived (not where deaf), wake was called or d has
// passed; negative: without limit. Rounded up to whole milliseconds.
func (r *router) wait(d time.Duration, deaf bool) error {
	ms := C.int(-1)
	if d >= 0 {
		ms = C.int(min((d+time.Millisecond-1)/time.Millisecond, 60_000))
	}
	only := C.int(0)
	if deaf {
		only = 1
	}
	if errno := C.edged_wait(r.c, ms, only); errno != 0 {
		return fmt.Errorf("poll: %w", syscall.Errno(errno))
	}
	return nil
}

// wake ends wait. Safe from any goroutine, also after close.
func (r *router) wake() {
	r.closed.RLock()
	defer r.closed.RUnlock()
	if r.c != nil {
		C.edged_wake(r.c)
	}
}

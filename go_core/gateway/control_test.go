package gateway

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	zmq "github.com/pebbe/zmq4"
)

// protectedRouter is a ROUTER with a CURVE listener on TCP and an open one on ipc, and the control loop beside it.
type protectedRouter struct {
	router     *zmq.Socket
	tcp, ipc   string
	public     string
	folder     string
	list       *AllowList
	handshakes *Handshakes
	log        *logged
	context    *zmq.Context
}

func newProtectedRouter(t *testing.T) *protectedRouter {
	t.Helper()
	p := &protectedRouter{folder: t.TempDir(), handshakes: &Handshakes{}}
	var secret string
	p.public, secret = newKeys(t)
	p.list, p.log = watched(t, p.folder)
	log := p.list.log
	var err error
	p.context, err = zmq.NewContext()
	must(t, err)
	zap, err := newZAP(p.context, p.list, log)
	must(t, err)
	p.router, err = p.context.NewSocket(zmq.ROUTER)
	must(t, err)
	must(t, p.router.SetLinger(0))
	must(t, p.router.SetRcvtimeo(20*time.Second))
	monitor, err := newMonitor(p.context, p.router, "router", p.handshakes, log)
	must(t, err)
	for _, endpoint := range []string{"tcp://127.0.0.1:*", "ipc://" + filepath.Join(t.TempDir(), "s")} {
		must(t, protect(p.router, Certificate{p.public, secret}, endpoint))
		must(t, p.router.Bind(endpoint))
		last, err := p.router.GetLastEndpoint()
		must(t, err)
		if p.tcp == "" {
			p.tcp = last
		}
		p.ipc = last
	}
	publisher, err := p.context.NewSocket(zmq.PUB)
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	c := &control{zap: zap, monitor: monitor, publisher: publisher, log: log}
	go func() { c.run(ctx); close(done) }()
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(p.log.b.String())
		}
		must(t, p.router.Close())
		cancel()
		<-done
		must(t, p.context.Term())
	})
	return p
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// dial is a client in a context of its own, as another process would be.
func dial(t *testing.T, endpoint, serverKey, public, secret string) *zmq.Socket {
	t.Helper()
	ctx, err := zmq.NewContext()
	must(t, err)
	client, err := ctx.NewSocket(zmq.DEALER)
	must(t, err)
	must(t, client.SetLinger(0))
	if serverKey != "" {
		must(t, client.ClientAuthCurve(serverKey, public, secret))
	}
	must(t, client.Connect(endpoint))
	t.Cleanup(func() { must(t, client.Close()); must(t, ctx.Term()) })
	return client
}

// user receives one message and returns whose it is.
func (p *protectedRouter) user(t *testing.T) string {
	t.Helper()
	frames, metadata, err := p.router.RecvMessageWithMetadata(0, userID)
	must(t, err)
	if slices.Contains(frames, "hello") {
		return metadata[userID]
	}
	return fmt.Sprintf("unexpected %q", frames)
}

func hello(t *testing.T, client *zmq.Socket) {
	t.Helper()
	_, err := client.SendMessage("hello")
	must(t, err)
}

func TestCurveAllowsKnownKeysAndRevokesOnOpenConnections(t *testing.T) {
	p := newProtectedRouter(t)
	public, secret := newKeys(t)
	path := filepath.Join(p.folder, "till.key")
	writeCertificate(t, path, public, "", 0o644)
	eventually(t, "the key is allowed", func() bool { return p.list.Len() == 1 })

	client := dial(t, p.tcp, p.public, public, secret)
	hello(t, client)
	if user := p.user(t); user != public || !p.list.Allows(user) {
		t.Fatalf("user %q", user)
	}
	if n := p.handshakes.Accepted.Load(); n != 1 {
		t.Errorf("%d handshakes", n)
	}
	must(t, os.Remove(path))
	eventually(t, "the key is revoked", func() bool { return p.list.Len() == 0 })
	hello(t, client) // the connection is still open
	if user := p.user(t); user != public || p.list.Allows(user) {
		t.Errorf("user %q is still allowed", user)
	}
}

func TestCurveRefusesUnknownKeysAndLogsThem(t *testing.T) {
	p := newProtectedRouter(t)
	public, secret := newKeys(t)
	hello(t, dial(t, p.tcp, p.public, public, secret))
	eventually(t, "the refusal is counted and logged with the key", func() bool {
		return p.handshakes.Denied.Load() > 0 && p.log.has("event=handshake_denied key=") && p.log.has(public)
	})
}

func TestCurveNamesAWrongServerKey(t *testing.T) {
	p := newProtectedRouter(t)
	public, secret := newKeys(t)
	hello(t, dial(t, p.tcp, newPublic(t), public, secret))
	eventually(t, "the reason is logged", func() bool {
		return p.handshakes.Protocol.Load() > 0 && p.log.has("wrong server key")
	})
}

func TestCurveNamesAClientWithoutCurve(t *testing.T) {
	p := newProtectedRouter(t)
	hello(t, dial(t, p.tcp, "", "", ""))
	// Both sides see the mismatch and close: the monitor reports whichever came first.
	eventually(t, "the reason is logged", func() bool {
		return p.handshakes.Incomplete.Load() > 0 && p.log.has("clients without CURVE do") ||
			p.handshakes.Protocol.Load() > 0 && p.log.has("one side uses CURVE")
	})
}

func TestUnixSocketNeedsNoKeyBesideCurve(t *testing.T) {
	p := newProtectedRouter(t)
	hello(t, dial(t, p.ipc, "", "", ""))
	if user := p.user(t); user != localUser || !p.list.Allows(user) {
		t.Errorf("user %q", user)
	}
}

func TestVerdictRefusesWhatIsNoCurveRequest(t *testing.T) {
	log, _ := newLog()
	folder := t.TempDir()
	list, err := NewAllowList(folder, log)
	must(t, err)
	z := &zap{allowed: list, log: log}
	for _, request := range [][]string{
		{}, {"1.0", "1"},
		{"1.0", "1", domainCurve, "127.0.0.1", "", "NULL"},
		{"1.0", "1", "", "127.0.0.1", "", "NULL"},
		{"1.0", "1", domainCurve, "127.0.0.1", "", "PLAIN", "user", "password"},
		{"1.0", "1", domainCurve, "127.0.0.1", "", "CURVE", "short"},
		{"1.0", "1", domainLocal, "127.0.0.1", "", "CURVE", string(make([]byte, 32))},
	} {
		if reply := z.verdict(request); len(reply) != 6 || reply[2] == "200" || reply[4] != "" {
			t.Errorf("%q: %q", request, reply)
		}
	}
}

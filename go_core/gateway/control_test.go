package gateway

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	zmq "github.com/pebbe/zmq4"

	"edged/protocol"
)

// protected is a Gateway with a CURVE listener on TCP and an open one on ipc.
type protected struct {
	*Gateway
	tcp, ipc string
	public   string
	folder   string
	list     *AllowList
	log      *logged
}

func openProtected(t *testing.T) *protected {
	t.Helper()
	runtime.LockOSThread()
	p := &protected{folder: t.TempDir()}
	public, secret := newKeys(t)
	p.public = public
	p.list, p.log = watched(t, p.folder)
	var err error
	p.Gateway, err = Open(Options{
		Endpoints: []string{"tcp://127.0.0.1:*", "ipc://" + filepath.Join(t.TempDir(), "s")},
		SendHWM:   16, RecvHWM: 16, MaxMessageBytes: 1 << 16,
		Curve: &Curve{Certificate{public, secret}, p.list}, StatsEndpoint: freeEndpoint(t), Log: p.list.log,
	})
	must(t, err)
	p.tcp, p.ipc = p.Endpoints()[0], p.Endpoints()[1]
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(p.log.b.String())
		}
		p.Close()
		runtime.UnlockOSThread()
	})
	return p
}

// freeEndpoint is one that nothing listened on a moment ago.
func freeEndpoint(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer listener.Close() //nolint:errcheck // a test's
	return "tcp://" + listener.Addr().String()
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

// takeOne receives one message and returns whose it is, and why the gateway would refuse it.
func (g *Gateway) takeOne(t *testing.T) (user string, refusal *protocol.Error) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		n, err := g.router.receive(func(m *message) { user, refusal = m.user, g.refusal(m) })
		must(t, err)
		if n > 0 {
			return user, refusal
		}
		if time.Now().After(deadline) {
			t.Fatal("no message arrived")
		}
		must(t, g.router.wait(time.Second, false))
	}
}

func hello(t *testing.T, client *zmq.Socket) {
	t.Helper()
	_, err := client.SendMessage("hello")
	must(t, err)
}

func TestCurveAllowsKnownKeysAndRevokesOnOpenConnections(t *testing.T) {
	p := openProtected(t)
	public, secret := newKeys(t)
	path := filepath.Join(p.folder, "till.key")
	writeCertificate(t, path, public, "", 0o644)
	eventually(t, "the key is allowed", func() bool { return p.list.Len() == 1 })

	client := dial(t, p.tcp, p.public, public, secret)
	hello(t, client)
	if user, refusal := p.takeOne(t); user != public || refusal != nil {
		t.Fatalf("user %q, refusal %v", user, refusal)
	}
	eventually(t, "the handshake is counted", func() bool { return p.Counters.Handshakes.Accepted.Load() == 1 })
	must(t, os.Remove(path))
	eventually(t, "the key is revoked", func() bool { return p.list.Len() == 0 })
	hello(t, client) // the connection is still open
	if user, refusal := p.takeOne(t); user != public || refusal == nil || refusal.Code != protocol.Denied {
		t.Errorf("user %q, refusal %v", user, refusal)
	}
	if !p.log.has("event=key_denied") {
		t.Error("not logged")
	}
}

func TestCurveRefusesUnknownKeysAndLogsThem(t *testing.T) {
	p := openProtected(t)
	public, secret := newKeys(t)
	hello(t, dial(t, p.tcp, p.public, public, secret))
	eventually(t, "the refusal is counted and logged with the key", func() bool {
		return p.Counters.Handshakes.Denied.Load() > 0 && p.log.has("event=handshake_denied key=") && p.log.has(public)
	})
}

func TestCurveNamesAWrongServerKey(t *testing.T) {
	p := openProtected(t)
	public, secret := newKeys(t)
	hello(t, dial(t, p.tcp, newPublic(t), public, secret))
	eventually(t, "the reason is logged", func() bool {
		return p.Counters.Handshakes.Protocol.Load() > 0 && p.log.has("wrong server key")
	})
}

func TestCurveNamesAClientWithoutCurve(t *testing.T) {
	p := openProtected(t)
	hello(t, dial(t, p.tcp, "", "", ""))
	// Both sides see the mismatch and close: the monitor reports whichever came first.
	eventually(t, "the reason is logged", func() bool {
		return p.Counters.Handshakes.Incomplete.Load() > 0 && p.log.has("clients without CURVE do") ||
			p.Counters.Handshakes.Protocol.Load() > 0 && p.log.has("one side uses CURVE")
	})
}

func TestUnixSocketNeedsNoKeyBesideCurve(t *testing.T) {
	p := openProtected(t)
	hello(t, dial(t, p.ipc, "", "", ""))
	if user, refusal := p.takeOne(t); user != localUser || refusal != nil {
		t.Errorf("user %q, refusal %v", user, refusal)
	}
}

// subscribe connects a SUB to the statistics; the function it returns says whether some arrive once they are published.
func (p *protected) subscribe(t *testing.T, name string) func() bool {
	t.Helper()
	public, secret := newKeys(t)
	before := p.list.Len()
	writeCertificate(t, filepath.Join(p.folder, name+".key"), public, "", 0o644)
	eventually(t, "the key is allowed", func() bool { return p.list.Len() == before+1 })
	ctx, err := zmq.NewContext()
	must(t, err)
	subscriber, err := ctx.NewSocket(zmq.SUB)
	must(t, err)
	must(t, errors.Join(subscriber.SetLinger(0), subscriber.SetSubscribe("stats"), subscriber.SetRcvtimeo(100*time.Millisecond),
		subscriber.ClientAuthCurve(p.public, public, secret), subscriber.Connect(p.options.StatsEndpoint)))
	t.Cleanup(func() { must(t, subscriber.Close()); must(t, ctx.Term()) })
	return func() bool {
		p.Publish([]byte(`{"stats":{}}`))
		frames, err := subscriber.RecvMessage(0)
		return err == nil && len(frames) == 2 && frames[0] == "stats" && frames[1] == `{"stats":{}}`
	}
}

func TestStatisticsArePublishedToAllowedSubscribers(t *testing.T) {
	p := openProtected(t)
	stays, goes := p.subscribe(t, "stays"), p.subscribe(t, "goes")
	eventually(t, "statistics arrive", func() bool { return stays() && goes() })
	must(t, os.Remove(filepath.Join(p.folder, "goes.key")))
	eventually(t, "the revoked subscriber is refused", func() bool { goes(); return p.log.has("event=handshake_denied") })
	eventually(t, "it has received the last that was on its way", func() bool { return !goes() })
	eventually(t, "the other one is back", stays)
	for range 20 {
		if goes() {
			t.Fatal("the revoked subscriber goes on receiving")
		}
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

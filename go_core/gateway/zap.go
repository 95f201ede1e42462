package gateway

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"

	zmq "github.com/pebbe/zmq4"
)

// zapEndpoint is fixed by the ZeroMQ Authentication Protocol, https://rfc.zeromq.org/spec/27/.
const zapEndpoint = "inproc://zeromq.zap.01"

// The ZAP domains tell which listener a client came to. Unix sockets are guarded by file permissions, TCP by CURVE.
const (
	domainLocal = "local"
	domainCurve = "curve"
)

// userID is the metadata property that ZAP attaches to every message of a connection:
// the client's public key in Z85, or localUser for one that came by a unix socket.
const (
	userID    = "User-Id"
	localUser = "local"
)

// zap answers libzmq's question whether a client that has proved to own a key may connect. It is bound before any
// CURVE socket, for without a handler libzmq accepts every key; a message without a User-Id is refused all the same.
//
// pebbe/zmq4 has a handler too. It keeps its keys in unguarded package variables, so it can't revoke while it runs.
type zap struct {
	socket  *zmq.Socket
	allowed *AllowList
	log     *slog.Logger
}

func newZAP(ctx *zmq.Context, allowed *AllowList, log *slog.Logger) (*zap, error) {
	socket, err := ctx.NewSocket(zmq.REP)
	if err != nil {
		return nil, fmt.Errorf("ZAP socket: %w", err)
	}
	if err := errors.Join(socket.SetLinger(0), socket.Bind(zapEndpoint)); err != nil {
		return nil, errors.Join(fmt.Errorf("ZAP handler: %w", err), socket.Close())
	}
	return &zap{socket: socket, allowed: allowed, log: log}, nil
}

// answer takes one request, if there is one, and answers it.
func (z *zap) answer() error {
	request, err := z.socket.RecvMessage(zmq.DONTWAIT)
	if err != nil {
		return fmt.Errorf("ZAP request: %w", err)
	}
	if _, err := z.socket.SendMessage(z.verdict(request)); err != nil {
		return fmt.Errorf("ZAP reply: %w", err)
	}
	return nil
}

// verdict turns a request (version, request id, domain, address, routing id, mechanism, credentials...)
// into a reply (version, request id, status code, status text, user id, metadata).
func (z *zap) verdict(request []string) []string {
	if len(request) < 2 {
		return []string{"1.0", "", "500", "malformed ZAP request", "", ""}
	}
	refuse := func(code, reason string) []string { return []string{"1.0", request[1], code, reason, "", ""} }
	if len(request) == 6 && request[2] == domainLocal && request[5] == "NULL" {
		return []string{"1.0", request[1], "200", "OK", localUser, ""}
	}
	if len(request) != 7 || request[2] != domainCurve || request[5] != "CURVE" || len(request[6]) != 32 {
		return refuse("400", "CURVE is required")
	}
	key, address := zmq.Z85encode(request[6]), request[3]
	name, allowed := z.allowed.Name(key)
	if !allowed {
		z.log.Warn("client refused: its key is not allowed", "event", "handshake_denied", "key", key, "address", address)
		return refuse("400", "key not allowed")
	}
	z.log.Debug("client accepted", "event", "handshake_accepted", "client", name, "address", address)
	return []string{"1.0", request[1], "200", "OK", key, ""}
}

// protect sets what the next Bind of a socket demands of clients: an allowed key, or, for unix sockets, nothing but
// the right to open them. libzmq copies these options at each bind, so one socket can have both kinds of listeners.
func (g *Gateway) protect(socket *zmq.Socket, endpoint string) error {
	if g.options.Curve == nil {
		return nil
	}
	var err error
	if strings.HasPrefix(endpoint, "ipc://") {
		err = errors.Join(socket.SetCurveServer(0), socket.SetZapDomain(domainLocal))
	} else {
		secret := g.options.Curve.Certificate.Secret
		err = errors.Join(socket.SetCurveServer(1), socket.SetCurveSecretkey(secret), socket.SetZapDomain(domainCurve))
	}
	if err != nil {
		return fmt.Errorf("CURVE: %w\n  remedy: install a libzmq built with CURVE (Debian's libzmq5 is)", err)
	}
	return nil
}

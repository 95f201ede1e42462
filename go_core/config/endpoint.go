package config

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// maxIPCPath is sockaddr_un's sun_path less its terminating NUL (unix(7)).
const maxIPCPath = 107

// checkEndpoint accepts what ZeroMQ can bind here: ipc://PATH and tcp://ADDRESS:PORT.
func checkEndpoint(endpoint string) error {
	scheme, rest, ok := strings.Cut(endpoint, "://")
	remedy := "\n  remedy: write ipc:///run/edged/edged.sock or tcp://127.0.0.1:5555"
	switch {
	case !ok || rest == "":
		return fmt.Errorf("endpoints: %q is not an endpoint%s", endpoint, remedy)
	case scheme == "ipc" && len(rest) > maxIPCPath:
		return fmt.Errorf("endpoints: the path of %q is %d bytes long, at most %d are possible\n  remedy: choose a shorter folder", endpoint, len(rest), maxIPCPath)
	case scheme == "ipc":
		return nil
	case scheme != "tcp":
		return fmt.Errorf("endpoints: transport %q of %q is not supported%s", scheme, endpoint, remedy)
	}
	if _, err := hostOf(rest); err != nil {
		return fmt.Errorf("endpoints: %q: %w%s", endpoint, err, remedy)
	}
	return nil
}

// IsExposed says whether an endpoint accepts connections from beyond this machine.
func IsExposed(endpoint string) bool {
	rest, ok := strings.CutPrefix(endpoint, "tcp://")
	if !ok {
		return false
	}
	host, err := hostOf(rest)
	if err != nil || host == "localhost" || host == "lo" {
		return err != nil
	}
	address, err := netip.ParseAddr(host)
	return err != nil || !address.IsLoopback()
}

// hostOf takes the host out of HOST:PORT or [ADDRESS]:PORT. net.SplitHostPort would do it, for a tenth more of binary that
// nothing else needs.
func hostOf(address string) (string, error) {
	colon := strings.LastIndexByte(address, ':')
	if colon < 0 || colon == len(address)-1 {
		return "", errors.New("missing port in address")
	}
	host := address[:colon]
	inner, opened := strings.CutPrefix(host, "[")
	inner, closed := strings.CutSuffix(inner, "]")
	switch {
	case opened != closed:
		return "", errors.New("missing '[' or ']' in address")
	case !opened && strings.Contains(host, ":"):
		return "", errors.New("too many colons in address; write IPv6 addresses in brackets")
	}
	return inner, nil
}

// CheckExposure refuses an endpoint, or a socket passed by systemd, that everyone on the network could use.
func (c *Config) CheckExposure(endpoint string) error {
	if !IsExposed(endpoint) || c.CurveServerKey != "" || c.Insecure {
		return nil
	}
	return fmt.Errorf("%s accepts connections from beyond this machine, without CURVE keys: anyone on the network could use the daemon and read the reviews"+
		"\n  remedy: edgectl keys new --server makes a key pair; name it in curve.server_key. Or write insecure = true, on a network you trust", endpoint)
}

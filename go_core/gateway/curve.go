package gateway

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"

	zmq "github.com/pebbe/zmq4"
)

// Certificate is a CURVE key pair in Z85, as czmq's zcert and pyzmq's zmq.auth write it. Secret is empty in a client's public one.
type Certificate struct {
	Public, Secret string
}

// z85Alphabet is that of https://rfc.zeromq.org/spec/32/.
const z85Alphabet = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"

const keyLength = 40 // 32 bytes in Z85

// ReadServerCertificate reads the server's key pair. It refuses a file that others may read.
func ReadServerCertificate(path string) (Certificate, error) {
	remedy := "\n  remedy: edgectl keys new --server writes a key pair; name it in curve.server_key"
	info, err := os.Stat(path)
	if err != nil {
		return Certificate{}, fmt.Errorf("curve.server_key: %w%s", err, remedy)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return Certificate{}, fmt.Errorf("curve.server_key: %s may be read by others (mode %04o): who has it can pose as this server"+
			"\n  remedy: chmod 600 %s; if it was exposed, make a new one with edgectl keys new --server", path, mode, path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return Certificate{}, fmt.Errorf("curve.server_key: %w\n  remedy: the file must belong to the user the daemon runs as", err)
	}
	certificate, err := parseCertificate(string(text))
	if err == nil && certificate.Secret == "" {
		err = errors.New("has no secret-key: it is the public half, for clients")
	}
	if err != nil {
		return Certificate{}, fmt.Errorf("curve.server_key: %s %w%s", path, err, remedy)
	}
	public, err := zmq.AuthCurvePublic(certificate.Secret)
	if err != nil {
		return Certificate{}, fmt.Errorf("curve.server_key: the secret key in %s is unusable: %w%s", path, err, remedy)
	}
	certificate.Public = public
	return certificate, nil
}

// parseCertificate reads the lines public-key = "..." and secret-key = "..." of a ZPL file (https://rfc.zeromq.org/spec/4/).
func parseCertificate(text string) (Certificate, error) {
	var c Certificate
	for line := range strings.Lines(text) {
		name, value, found := strings.Cut(strings.TrimSpace(line), "=")
		if !found || strings.HasPrefix(name, "#") {
			continue
		}
		key := strings.Trim(strings.TrimSpace(value), `"`)
		switch strings.TrimSpace(name) {
		case "public-key":
			c.Public = key
		case "secret-key":
			c.Secret = key
		default:
			continue
		}
		if len(key) != keyLength || strings.Trim(key, z85Alphabet) != "" {
			return Certificate{}, fmt.Errorf("has a %s that is not %d characters of Z85", strings.TrimSpace(name), keyLength)
		}
	}
	if c.Public == "" && c.Secret == "" {
		return Certificate{}, errors.New(`has no line public-key = "..."`)
	}
	return c, nil
}

// checkOwnership refuses what somebody other than root and this user could change.
func checkOwnership(info fs.FileInfo) error {
	if mode := info.Mode().Perm(); mode&0o022 != 0 {
		return fmt.Errorf("may be changed by others (mode %04o)\n  remedy: chmod go-w", mode)
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && st.Uid != 0 && int64(st.Uid) != int64(os.Geteuid()) {
		return fmt.Errorf("belongs to user %d, who could change it\n  remedy: chown root", st.Uid)
	}
	return nil
}

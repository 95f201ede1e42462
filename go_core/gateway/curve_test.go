package gateway

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	zmq "github.com/pebbe/zmq4"
)

// writeCertificate writes what pyzmq's zmq.auth.create_certificates writes.
func writeCertificate(t *testing.T, path, public, secret string, mode os.FileMode) {
	t.Helper()
	text := "#   ****  Generated on 2026-11-22 by pyzmq  ****\n#   # = comment\n\nmetadata\n    name = \"till\"\ncurve\n    public-key = \"" + public + "\"\n"
	if secret != "" {
		text += "    secret-key = \"" + secret + "\"\n"
	}
	if err := os.WriteFile(path+".tmp", []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".tmp", path); err != nil {
		t.Fatal(err)
	}
}

func newKeys(t *testing.T) (public, secret string) {
	t.Helper()
	public, secret, err := zmq.NewCurveKeypair()
	if err != nil {
		t.Fatal(err)
	}
	return public, secret
}

func TestServerCertificate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "server.key_secret")
	public, secret := newKeys(t)
	writeCertificate(t, path, public, secret, 0o600)
	got, err := ReadServerCertificate(path)
	if err != nil || got.Public != public || got.Secret != secret {
		t.Errorf("%v, %v", got.Public, err)
	}
}

func TestServerCertificateErrors(t *testing.T) {
	public, secret := newKeys(t)
	for _, c := range []struct {
		name, public, secret string
		mode                 os.FileMode
		want                 string
	}{
		{"readable", public, secret, 0o640, "chmod 600"},
		{"public", public, "", 0o600, "public half"},
		{"short", public, secret[1:], 0o600, "secret-key that is not 40 characters"},
		{"alphabet", public, "~" + secret[1:], 0o600, "Z85"},
	} {
		path := filepath.Join(t.TempDir(), c.name)
		writeCertificate(t, path, c.public, c.secret, c.mode)
		if _, err := ReadServerCertificate(path); err == nil || !strings.Contains(err.Error(), c.want) ||
			!strings.Contains(err.Error(), path) || strings.Contains(err.Error(), secret[1:]) {
			t.Errorf("%s: error %v", c.name, err)
		}
	}
	if _, err := ReadServerCertificate(filepath.Join(t.TempDir(), "absent")); err == nil || !strings.Contains(err.Error(), "edgectl keys new --server") {
		t.Errorf("error %v", err)
	}
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadServerCertificate(empty); err == nil || !strings.Contains(err.Error(), "public-key") {
		t.Errorf("error %v", err)
	}
}

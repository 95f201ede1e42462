package model

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// check looks at an opened model file without interpreting it and returns its SHA-256 in
// hexadecimal: that it is a regular file of a sane size which nobody but root and this user can
// change, and that it is what the model card beside it (the same name with .md) says it is.
// vouched is true where a card names its SHA-256.
func check(path string, file *os.File) (sum string, vouched bool, err error) {
	info, err := file.Stat()
	if err == nil {
		err = checkInfo(info)
	}
	if err != nil {
		return "", false, fmt.Errorf("model %s: %w", path, err)
	}
	hash := sha256.New()
	// Read, not mapped: pages once touched in a mapping would stay.
	if _, err := io.Copy(hash, file); err != nil {
		return "", false, fmt.Errorf("model %s: %w", path, err)
	}
	sum = hex.EncodeToString(hash.Sum(nil))
	vouched, err = checkCard(path, sum)
	return sum, vouched, err
}

func checkInfo(info fs.FileInfo) error {
	if !info.Mode().IsRegular() {
		return errors.New("not a regular file")
	}
	if info.Size() == 0 || info.Size() > MaxSize {
		return fmt.Errorf("%d bytes long; from 1 to %d are possible", info.Size(), int64(MaxSize))
	}
	if mode := info.Mode().Perm(); mode&0o022 != 0 {
		return fmt.Errorf("others may change it (mode %04o)\n  remedy: chmod go-w", mode)
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && st.Uid != 0 && int64(st.Uid) != int64(os.Geteuid()) {
		return fmt.Errorf("it belongs to user %d, who could change it\n  remedy: chown root", st.Uid)
	}
	return nil
}

// sumInCard finds what a model card says of its file: in a line with "SHA-256", a run of 64
// hexadecimal digits, whatever Markdown puts around. (A regular expression would put 250 KB
// of package into the daemon.)
func sumInCard(card string) string {
	for line := range strings.Lines(card) {
		_, after, found := strings.Cut(strings.ToLower(line), "sha-256")
		if !found {
			continue
		}
		notHex := func(r rune) bool { return !strings.ContainsRune("0123456789abcdef", r) }
		for _, run := range strings.FieldsFunc(after, notHex) {
			if len(run) == sha256.Size*2 {
				return run
			}
		}
	}
	return ""
}

func checkCard(path, sum string) (vouched bool, err error) {
	name := strings.TrimSuffix(path, filepath.Ext(path)) + ".md"
	card, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("model card: %w", err)
	}
	said := sumInCard(string(card))
	if said == "" {
		return false, nil
	}
	if said != sum {
		return false, fmt.Errorf("model %s: its SHA-256 is %s, but the model card %s says %s\n  remedy: the file is damaged or the card belongs to another model; install both again",
			path, sum, name, said)
	}
	return true, nil
}

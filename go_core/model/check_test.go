package model

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCheckRefusesWhatIsNotAsItsCardSays(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "m.tflite")
	put := func(name, text string, mode os.FileMode) {
		t.Helper()
		name = filepath.Join(folder, name)
		if err := os.WriteFile(name, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(name, mode); err != nil {
			t.Fatal(err)
		}
	}
	expect := func(wantVouched bool, want string) {
		t.Helper()
		file, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		sum, vouched, err := check(path, file)
		if want == "" && (err != nil || vouched != wantVouched || len(sum) != 64) {
			t.Errorf("got %q, %v, %v", sum, vouched, err)
		}
		if want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	if _, err := Open(path); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("a missing file: %v", err)
	}
	put("m.tflite", "abc", 0o644)
	expect(false, "")
	put("m.md", "# A card\nno sum: ba7816bf\n", 0o644)
	expect(false, "")
	// The digest of "abc": FIPS 180-2, appendix B.1.
	put("m.md", "| SHA-256 | `BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD` |\n", 0o644)
	expect(true, "")
	put("m.tflite", "abd", 0o644)
	expect(false, "the file is damaged or the card belongs to another model")
	put("m.tflite", "abc", 0o666)
	expect(false, "others may change it")
	put("m.tflite", "", 0o644)
	expect(false, "0 bytes long")
	path = folder
	expect(false, "not a regular file")
}

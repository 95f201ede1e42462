package config

import (
	"fmt"
	"slices"
	"strings"
)

func find(keys []*Key, name string) *Key {
	for _, k := range keys {
		if k.Name == name {
			return k
		}
	}
	return nil
}

func sortErrors(faults []error) {
	slices.SortFunc(faults, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
}

func findEnv(keys []*Key, name string) *Key {
	for _, k := range keys {
		if k.Env() == name {
			return k
		}
	}
	return nil
}

// suggest is the remedy for an unknown key.
func suggest(keys []*Key, name string) string {
	if k := nearest(keys, name); k != nil {
		return fmt.Sprintf("\n  remedy: did you mean %q?", k.Name)
	}
	return "\n  remedy: remove it; edged --print-default-config lists every key"
}

// nearest finds the key meant by a typo: within two edits (one for short names), or by its last part.
func nearest(keys []*Key, name string) *Key {
	limit := 2
	if len(name) < 6 {
		limit = 1
	}
	var best *Key
	for _, k := range keys {
		if d := edits(k.Name, name); d <= limit {
			best, limit = k, d-1
		}
		if best == nil && strings.HasSuffix(k.Name, "."+name) {
			best = k
		}
	}
	return best
}

// edits is the Levenshtein distance in bytes.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

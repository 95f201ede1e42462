package config

import (
	"flag"
	"fmt"
	"io"
	"strings"
)

// Flags registers a flag for every key and returns the map that parsing fills: key to text.
func Flags(set *flag.FlagSet) map[string]string {
	given := map[string]string{}
	c := &Config{}
	for _, k := range c.keys() {
		record := func(s string) error { given[k.Name] = s; return nil }
		doc := fmt.Sprintf("%s (%s; default %s)", k.Doc, k.Allowed, k.value())
		if k.Allowed == "true or false" {
			set.BoolFunc(flagName(k.Name), doc, record)
			continue
		}
		set.Func(flagName(k.Name), doc, record)
	}
	return given
}

// WriteDefault writes the commented default file: every key with its meaning, its range and
// its default, commented out, so that upgrades bring new defaults.
func WriteDefault(w io.Writer) error {
	var b strings.Builder
	b.WriteString("# edged: configuration (TOML). Every key is shown with its default.\n" +
		"# EDGED_* variables override this file, flags override both.\n" +
		"# edged --check-config prints what is in effect.\n")
	c := &Config{}
	writeKeys(&b, c.keys(), func(k *Key) string {
		return fmt.Sprintf("\n# %s\n# Allowed: %s.\n#", k.Doc, k.Allowed)
	})
	_, err := io.WriteString(w, b.String())
	return err
}

// WriteEffective writes the values in effect as a TOML file.
func (c *Config) WriteEffective(w io.Writer) error {
	var b strings.Builder
	effective := &Config{}
	keys := effective.keys()
	*effective = *c
	writeKeys(&b, keys, func(*Key) string { return "" })
	_, err := io.WriteString(w, b.String())
	return err
}

// writeKeys writes top-level keys first, then one table after the other, as TOML requires.
func writeKeys(b *strings.Builder, keys []*Key, before func(*Key) string) {
	open := ""
	for _, nested := range []bool{false, true} {
		for _, k := range keys {
			head, name, dotted := strings.Cut(k.Name, ".")
			if dotted != nested {
				continue
			}
			if !dotted {
				name = head
			} else if head != open {
				fmt.Fprintf(b, "\n[%s]\n", head)
				open = head
			}
			fmt.Fprintf(b, "%s%s = %s\n", before(k), name, k.value())
		}
	}
}

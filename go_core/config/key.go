package config

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Key is one configuration key, bound to its field of a Config.
type Key struct {
	Name    string // dotted, as in the file
	Doc     string // one sentence
	Allowed string // for people
	setText func(string) error
	setTOML func(any) error
	value   func() string // as TOML
}

// Env is the key's environment variable.
func (k *Key) Env() string {
	return "EDGED_" + strings.ToUpper(strings.NewReplacer(".", "_", "-", "_").Replace(k.Name))
}

func flagName(name string) string {
	return strings.NewReplacer(".", "-", "_", "-").Replace(name)
}

// notAllowed is the one form of a bad value's message; the caller adds key and value.
func (k *Key) notAllowed() error {
	return fmt.Errorf("not allowed\n  allowed: %s\n  remedy: correct it, or remove it to have the default", k.Allowed)
}

// text parses every value from its text form, so that file, variable and flag obey one rule.
func newKey(name, doc, allowed, def string, set func(string) error, value func() string) *Key {
	k := &Key{Name: name, Doc: doc, Allowed: allowed, value: value}
	k.setText = func(s string) error {
		if set(s) != nil {
			return k.notAllowed()
		}
		return nil
	}
	k.setTOML = func(v any) error {
		switch v := v.(type) {
		case string:
			return k.setText(v)
		case int64, bool, float64:
			return k.setText(fmt.Sprint(v))
		}
		return k.notAllowed()
	}
	if err := set(def); err != nil {
		panic("default of " + name + ": " + err.Error())
	}
	return k
}

var errRange = errors.New("out of range")

func text(field *string, name, def, doc string) *Key {
	k := newKey(name, doc, "text", def, func(s string) error { *field = s; return nil }, func() string { return quote(*field) })
	k.setTOML = func(v any) error {
		s, ok := v.(string)
		if !ok {
			return k.notAllowed()
		}
		*field = s
		return nil
	}
	return k
}

func boolean(field *bool, name string, def bool, doc string) *Key {
	return newKey(name, doc, "true or false", strconv.FormatBool(def), func(s string) (err error) {
		*field, err = strconv.ParseBool(s)
		return err
	}, func() string { return strconv.FormatBool(*field) })
}

func enum(field *string, name, def, doc string, choices ...string) *Key {
	return newKey(name, doc, strings.Join(choices, ", "), def, func(s string) error {
		if !slices.Contains(choices, s) {
			return errRange
		}
		*field = s
		return nil
	}, func() string { return quote(*field) })
}

func count(field *int64, name string, def, low, high int64, doc string) *Key {
	return newKey(name, doc, fmt.Sprintf("a whole number from %d to %d", low, high), strconv.FormatInt(def, 10), func(s string) error {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil || n < low || n > high {
			return errRange
		}
		*field = n
		return nil
	}, func() string { return strconv.FormatInt(*field, 10) })
}

func size(field *int64, name string, def, low, high int64, doc string) *Key {
	allowed := fmt.Sprintf("bytes from %s to %s: a number, or one with KiB, MiB or GiB", FormatBytes(low), FormatBytes(high))
	if low == 0 {
		allowed += `; or "auto"`
	}
	return newKey(name, doc, allowed, strconv.FormatInt(def, 10), func(s string) error {
		n, err := parseBytes(s)
		if s == "auto" && low == 0 {
			n, err = 0, nil
		}
		if err != nil || n < low || n > high {
			return errRange
		}
		*field = n
		return nil
	}, func() string {
		if *field == 0 && low == 0 {
			return `"auto"`
		}
		return quote(FormatBytes(*field))
	})
}

func duration(field *time.Duration, name string, def, low, high time.Duration, doc string) *Key {
	return newKey(name, doc, fmt.Sprintf("a duration from %s to %s, such as 500ms or 10s", low, high), def.String(), func(s string) error {
		d, err := time.ParseDuration(s)
		if err != nil || d < low || d > high {
			return errRange
		}
		*field = d
		return nil
	}, func() string { return quote(field.String()) })
}

// list takes a TOML list of texts, or one text with commas between the items.
func list(field *[]string, name, def, doc string) *Key {
	k := newKey(name, doc, "a list of texts", def, func(s string) error {
		*field = nil
		for item := range strings.SplitSeq(s, ",") {
			if item = strings.TrimSpace(item); item != "" {
				*field = append(*field, item)
			}
		}
		return nil
	}, func() string {
		quoted := make([]string, len(*field))
		for i, item := range *field {
			quoted[i] = quote(item)
		}
		return "[" + strings.Join(quoted, ", ") + "]"
	})
	one := k.setText
	k.setTOML = func(v any) error {
		if s, ok := v.(string); ok {
			return one(s)
		}
		items, ok := v.([]any)
		if !ok {
			return k.notAllowed()
		}
		*field = nil
		for _, item := range items {
			s, ok := item.(string)
			if !ok {
				return k.notAllowed()
			}
			*field = append(*field, s)
		}
		return nil
	}
	return k
}

// parseBytes reads "65536", "64KiB", "1.5 GiB" (IEC 80000-13 units).
func parseBytes(s string) (int64, error) {
	s = strings.TrimSpace(s)
	unit := 1.0
	for suffix, size := range map[string]float64{"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30} {
		if head, ok := strings.CutSuffix(s, suffix); ok {
			s, unit = strings.TrimSpace(head), size
		}
	}
	n, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(n) || n*unit != math.Trunc(n*unit) || math.Abs(n*unit) > 1<<52 {
		return 0, errRange
	}
	return int64(n * unit), nil
}

// FormatBytes writes n bytes in the largest unit that divides it.
func FormatBytes(n int64) string {
	switch {
	case n != 0 && n%(1<<30) == 0:
		return fmt.Sprintf("%dGiB", n>>30)
	case n != 0 && n%(1<<20) == 0:
		return fmt.Sprintf("%dMiB", n>>20)
	case n != 0 && n%(1<<10) == 0:
		return fmt.Sprintf("%dKiB", n>>10)
	}
	return strconv.FormatInt(n, 10)
}

package config

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// literal writes a value that was read from TOML as TOML again, on one line.
func literal(value any) string {
	switch value := value.(type) {
	case string:
		return quote(value)
	case float64:
		return floatLiteral(value)
	case time.Time:
		return value.Format(time.RFC3339Nano)
	case []any:
		return "[" + join(len(value), func(i int) string { return literal(value[i]) }) + "]"
	case []map[string]any:
		return "[" + join(len(value), func(i int) string { return literal(value[i]) }) + "]"
	case map[string]any:
		names := slices.Sorted(maps.Keys(value))
		return "{" + join(len(names), func(i int) string { return quote(names[i]) + " = " + literal(value[names[i]]) }) + "}"
	}
	return fmt.Sprint(value) // whole numbers and booleans
}

func join(n int, item func(int) string) string {
	items := make([]string, n)
	for i := range items {
		items[i] = item(i)
	}
	return strings.Join(items, ", ")
}

// floatLiteral keeps a float a float: TOML tells 1.0 from 1.
func floatLiteral(f float64) string {
	switch {
	case math.IsNaN(f):
		return "nan"
	case math.IsInf(f, 0):
		return strings.Replace(strconv.FormatFloat(f, 'f', -1, 64), "Inf", "inf", 1)
	}
	text := strconv.FormatFloat(f, 'g', -1, 64)
	if !strings.ContainsAny(text, ".e") {
		text += ".0"
	}
	return text
}

// quote writes a TOML basic string (TOML 1.0, "String").
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < 0x20 || r == 0x7f:
			fmt.Fprintf(&b, "\\u%04X", r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
)

// table takes a TOML table of anything; as a variable or flag, an inline table: {k = 1}.
func table(field *map[string]any, name, doc string) *Key {
	set := func(s string) error {
		var whole struct{ Value map[string]any }
		if err := toml.Unmarshal([]byte("Value = "+s), &whole); err != nil {
			return err
		}
		*field = whole.Value
		return nil
	}
	k := newKey(name, doc, "a table, such as {vocabulary = \"words.txt\"}", "{}", set, func() string { return inlineTable(*field) })
	k.setTOML = func(v any) error {
		t, ok := v.(map[string]any)
		if !ok {
			return k.notAllowed()
		}
		*field = t
		return nil
	}
	return k
}

func inlineTable(t map[string]any) string {
	items := make([]string, 0, len(t))
	for name, value := range t {
		var item string
		switch value := value.(type) {
		case string:
			item = fmt.Sprintf("%q", value)
		case map[string]any:
			item = inlineTable(value)
		default:
			item = fmt.Sprint(value)
		}
		items = append(items, fmt.Sprintf("%q = %s", name, item))
	}
	slices.Sort(items)
	return "{" + strings.Join(items, ", ") + "}"
}

package config

import "github.com/BurntSushi/toml"

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
	k := newKey(name, doc, "a table, such as {vocabulary = \"words.txt\"}", "{}", set, func() string { return literal(*field) })
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

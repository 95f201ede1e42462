// Package config holds the daemon's one configuration: a TOML file, EDGED_* variables and
// flags, in rising precedence. Every error names the key, the value, what is allowed and the remedy.
package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"strings"
	"time"

	"edged/memory"

	"github.com/BurntSushi/toml"
)

// DefaultFile is read when no file is named; it may be absent.
const DefaultFile = "/etc/edged/edged.toml"

// Config is the effective configuration. Sizes are bytes, counts are reviews unless they say otherwise.
type Config struct {
	Endpoints []string
	LogLevel  string
	LogFormat string

	Embed          string
	Python         string
	PythonPath     []string
	LibPython      string
	MetaCallLib    string
	Model          string
	Handler        string
	HandlerOptions map[string]any
	Cascade        string
	Inline         string
	Interpreters   int64
	HandlerTimeout time.Duration

	MaxBatchSize   int64
	MaxBatchTime   time.Duration
	MaxQueueDelay  time.Duration
	FeatureWorkers int64

	QueueReviews   int64
	QueueBytes     int64
	ClientReviews  int64
	ClientBytes    int64
	MaxReviews     int64
	MaxReviewBytes int64
	MaxClients     int64
	SendHWM        int64
	RecvHWM        int64
	SendTimeout    time.Duration
	DrainTimeout   time.Duration

	MemoryLimit   int64
	StatsEndpoint string
	StatsInterval time.Duration
	MetricsListen string

	Insecure       bool
	CurveServerKey string
	CurveClients   string

	Budget memory.Budget // what follows from MemoryLimit, see Derive
}

// File is the configuration file's content: where it came from and what it says.
type File struct {
	Path   string
	values map[string]any
}

// Read reads a TOML file. An absent file is an error only where required is true.
func Read(path string, required bool) (File, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) && !required {
		return File{}, nil
	}
	if err != nil {
		return File{}, fmt.Errorf("configuration file: %w\n  remedy: name an existing file with --config, or start without one; edged --print-default-config writes one", err)
	}
	values := map[string]any{}
	if err := toml.Unmarshal(text, &values); err != nil {
		var syntax toml.ParseError
		if errors.As(err, &syntax) {
			return File{}, fmt.Errorf("configuration file %s, line %d: %s\n  remedy: correct that line (TOML: key = \"text\", key = 12, key = true)",
				path, syntax.Position.Line, syntax.Message)
		}
		return File{}, fmt.Errorf("configuration file %s: %w", path, err)
	}
	return File{Path: path, values: values}, nil
}

// Load applies the file, then EDGED_* variables from environ ("NAME=value"), then flags
// (key to text), and checks the result as a whole. All faults are reported at once.
func Load(file File, environ []string, flags map[string]string) (*Config, error) {
	c := &Config{}
	keys := c.keys()
	faults := applyFile(keys, file)
	faults = append(faults, applyEnviron(keys, environ)...)
	for name, text := range flags {
		k := find(keys, name)
		if k == nil {
			faults = append(faults, fmt.Errorf("--%s: no such flag", flagName(name)))
			continue
		}
		if err := k.setText(text); err != nil {
			faults = append(faults, fmt.Errorf("flag --%s %q: %w", flagName(name), text, err))
		}
	}
	if len(faults) == 0 {
		faults = c.check()
	}
	return c, errors.Join(faults...)
}

func applyFile(keys []*Key, file File) (faults []error) {
	for name, value := range flatten("", file.values, keys) {
		k := find(keys, name)
		if k == nil {
			faults = append(faults, fmt.Errorf("%s: unknown key %q%s", file.Path, name, suggest(keys, name)))
			continue
		}
		if err := k.setTOML(value); err != nil {
			faults = append(faults, fmt.Errorf("%s: key %q = %v: %w", file.Path, name, value, err))
		}
	}
	sortErrors(faults)
	return faults
}

// clientVariables are read by the clients and edgectl, and may well be exported where the daemon starts.
var clientVariables = map[string]bool{"EDGED_ENDPOINT": true, "EDGED_SERVER_KEY": true, "EDGED_CLIENT_KEY": true}

// applyEnviron ignores EDGED_ variables that are no keys (clients and tests have some of their
// own), unless one is nearly a key: that is a typo.
func applyEnviron(keys []*Key, environ []string) (faults []error) {
	for _, pair := range environ {
		name, text, _ := strings.Cut(pair, "=")
		tail, ours := strings.CutPrefix(name, "EDGED_")
		if !ours || clientVariables[name] {
			continue
		}
		k := findEnv(keys, name)
		if k == nil {
			if near := nearest(keys, strings.ToLower(tail)); near != nil {
				faults = append(faults, fmt.Errorf("variable %s: unknown\n  remedy: did you mean %s?", name, near.Env()))
			}
			continue
		}
		if err := k.setText(text); err != nil {
			faults = append(faults, fmt.Errorf("variable %s=%q: %w", name, text, err))
		}
	}
	return faults
}

// flatten turns tables into dotted names, but leaves the values of table keys whole.
func flatten(prefix string, values map[string]any, keys []*Key) map[string]any {
	flat := map[string]any{}
	for name, value := range values {
		full := prefix + name
		table, isTable := value.(map[string]any)
		if isTable && find(keys, full) == nil {
			for k, v := range flatten(full+".", table, keys) {
				flat[k] = v
			}
			continue
		}
		flat[full] = value
	}
	return flat
}

// check reports contradictions between keys that are each valid.
func (c *Config) check() (faults []error) {
	add := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if c.ClientReviews > c.QueueReviews {
		add("client_reviews = %d is above queue_reviews = %d\n  remedy: a client's share can't exceed the whole; lower client_reviews", c.ClientReviews, c.QueueReviews)
	}
	if c.MaxReviews > c.ClientReviews {
		add("max_reviews = %d is above client_reviews = %d: such a request could never be admitted\n  remedy: raise client_reviews or lower max_reviews", c.MaxReviews, c.ClientReviews)
	}
	if c.Interpreters > 1 && c.Inline == "true" {
		add("interpreters = %d with inline = true\n  remedy: inline means one interpreter on the serving thread; set inline = \"auto\" or interpreters = 1", c.Interpreters)
	}
	for _, endpoint := range c.Endpoints {
		if err := checkEndpoint(endpoint); err != nil {
			faults = append(faults, err)
		}
	}
	for _, endpoint := range append([]string{c.StatsEndpoint}, c.Endpoints...) {
		if err := c.CheckExposure(endpoint); err != nil {
			faults = append(faults, err)
		}
	}
	return faults
}

// RunsInline says whether the serving thread itself calls Python: the built-in model unless
// told otherwise, users' handler files only when told so.
func (c *Config) RunsInline() bool {
	if c.Inline == "auto" {
		return c.Handler == "" && c.Interpreters <= 1
	}
	return c.Inline == "true"
}

// helperRoom is the least memory.limit, in bytes, that leaves room for a second interpreter: what auto never goes below.
const helperRoom = 96 << 20

// HasHelper says whether a thread with an interpreter of its own may help the serving thread: the built-in model's, where
// there are a second core and memory for it, unless told otherwise. Derive comes first.
func (c *Config) HasHelper() bool {
	return c.RunsInline() && c.Handler == "" && c.Interpreters == 0 && c.Budget.Limit >= helperRoom && runtime.NumCPU() > 1
}

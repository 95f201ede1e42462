package config

// Reload returns a copy of c with those values of next that can change while the daemon runs,
// and the names of the keys whose new values need a restart.
func (c *Config) Reload(next *Config) (merged *Config, restart []string) {
	now := *c
	merged = &now
	merged.LogLevel = next.LogLevel
	merged.Model, merged.Handler, merged.HandlerOptions = next.Model, next.Handler, next.HandlerOptions
	merged.Cascade, merged.Inline, merged.Interpreters = next.Cascade, next.Inline, next.Interpreters
	merged.HandlerTimeout, merged.FeatureWorkers = next.HandlerTimeout, next.FeatureWorkers
	merged.MaxBatchSize, merged.MaxBatchTime, merged.MaxQueueDelay = next.MaxBatchSize, next.MaxBatchTime, next.MaxQueueDelay
	wanted := next.values()
	for i, k := range merged.bound() {
		if k.value() != wanted[i] {
			restart = append(restart, k.Name)
		}
	}
	return merged, restart
}

// bound returns the keys of a copy of c.
func (c *Config) bound() []*Key {
	copied := &Config{}
	keys := copied.keys()
	*copied = *c
	return keys
}

func (c *Config) values() []string {
	var values []string
	for _, k := range c.bound() {
		values = append(values, k.value())
	}
	return values
}

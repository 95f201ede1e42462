package config

import (
	"fmt"
	"io"
	"strings"

	"edged/memory"
)

// Derive lays out the memory limit: keys left at 0 get their share of it, and Budget says what follows. It fails when
// the limit can't hold the daemon and its clients.
func (c *Config) Derive(group memory.Cgroup, system memory.System) error {
	limit, source := memory.ChooseLimit(c.MemoryLimit, group, system)
	budget, err := memory.Derive(limit, source, memory.Want{
		Clients: c.MaxClients, RecvHWM: c.RecvHWM, SendHWM: c.SendHWM,
		QueueBytes: c.QueueBytes, ClientQueueBytes: c.ClientBytes, MaxReviews: c.MaxReviews,
	})
	if err != nil {
		return err
	}
	c.Budget = budget
	c.MemoryLimit, c.RecvHWM, c.SendHWM, c.MaxReviews = budget.Limit, budget.RecvHWM, budget.SendHWM, budget.MaxReviews
	c.QueueBytes, c.ClientBytes = budget.QueueBytes, budget.ClientQueueBytes
	if c.ClientBytes > c.QueueBytes {
		return fmt.Errorf("client_bytes = %d is above queue_bytes = %d\n  remedy: a client's share can't exceed the whole; lower client_bytes", c.ClientBytes, c.QueueBytes)
	}
	return nil
}

// MaxMessageBytes is the largest frame that is read.
func (c *Config) MaxMessageBytes() int64 { return c.Budget.MaxMessageBytes }

// WriteCheck writes the values in effect as a TOML file, then what follows from them as comments.
func (c *Config) WriteCheck(w io.Writer) error {
	if err := c.WriteEffective(w); err != nil {
		return err
	}
	budget := strings.ReplaceAll(strings.TrimSuffix(c.Budget.String(), "\n"), "\n", "\n# ")
	if warning := c.Budget.Warning(); warning != "" {
		budget += "\n# warning: " + warning
	}
	_, err := fmt.Fprintf(w, "\n# What follows:\n# python runs inline: %v\n# The memory budget:\n# %s\n", c.RunsInline(), budget)
	return err
}

package config

import (
	"fmt"
	"io"
)

// Bounds of MaxMessageBytes.
const (
	leastMessage = 64 << 10
	mostMessage  = 1 << 20
)

// MaxMessageBytes is the largest frame that is read: room for the largest review, with its
// escapes, and no more than lets every client fill a quarter of its share of the queue.
func (c *Config) MaxMessageBytes() int64 {
	return max(leastMessage, 2*c.MaxReviewBytes+4<<10, min(mostMessage, c.ClientBytes/4))
}

// WriteCheck writes the values in effect as a TOML file, then what follows from them as comments.
func (c *Config) WriteCheck(w io.Writer) error {
	if err := c.WriteEffective(w); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\n# What follows:\n# python runs inline: %v\n# max_message_bytes: %s (the largest frame that is read)\n",
		c.RunsInline(), FormatBytes(c.MaxMessageBytes()))
	return err
}

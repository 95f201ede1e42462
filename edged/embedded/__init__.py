"""Everything the daemon loads into the interpreter it embeds."""

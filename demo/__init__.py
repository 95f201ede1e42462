"""`make run`: the daemon in action, from start to clean stop."""

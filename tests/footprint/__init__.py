"""What the daemon weighs, and whether it grows: `make footprint` and `make soak`."""

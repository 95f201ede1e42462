"""The package on emulated boards."""

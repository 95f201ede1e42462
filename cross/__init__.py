"""Cross builds for the boards: sysroots from Debian packages, the daemon for each architecture, and the gate."""

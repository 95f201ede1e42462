"""Cross builds for the boards: sysroots from Debian packages, the daemon per architecture, and the gate."""

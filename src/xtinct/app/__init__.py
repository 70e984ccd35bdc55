"""A page on loopback to drop a pattern on: `xtinct app`."""

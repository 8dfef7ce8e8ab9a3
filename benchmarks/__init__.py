"""Speed and quality, measured: `make bench`, `make eval`."""

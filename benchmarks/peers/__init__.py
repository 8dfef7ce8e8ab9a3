"""qa beside its peers, on the same work and with the same model: `make bench-peers`."""

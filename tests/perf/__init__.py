"""Side-by-side measurements of what the harness itself costs: `make bench`."""

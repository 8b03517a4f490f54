"""Power meters, one module each; each defines METER."""

"""Compliance tests, one module each; each defines TEST."""

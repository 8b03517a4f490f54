"""Drives a system under test with the official MLCommons LoadGen."""

__version__ = "0.1.0"

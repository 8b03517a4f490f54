"""Tests mirror the folders; `fakes.py` holds real small classes, `golden/` real LoadGen folders."""

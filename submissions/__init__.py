"""The folder that MLCommons receives."""

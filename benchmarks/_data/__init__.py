"""Pinned models and data sets, fetched by the ordinary package clients."""

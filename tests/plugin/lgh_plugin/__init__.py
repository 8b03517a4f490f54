"""A third party's distribution: found through its entry points alone."""

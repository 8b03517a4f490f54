"""Is this result true, and is it allowed?"""

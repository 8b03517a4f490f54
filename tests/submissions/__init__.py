"""Tests of submissions/."""

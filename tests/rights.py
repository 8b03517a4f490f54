"""Tests of missing permissions where the tests themselves run as root, as in many a CI."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

VERSION = 0x20080522  # of the structures that capget(2) and capset(2) exchange: two words for each of three sets
READ_AND_WRITE_ANYTHING = 1 << 1 | 1 << 2  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
Words = ctypes.c_uint32 * 6


@contextmanager
def plain_rights() -> Iterator[None]:
    """Without root's right to read and write everything: a file's own permissions count for root as for anyone.

    Of this thread and those that it starts; other programs that it starts have root's rights. Skips where root's
    rights cannot be laid down.
    """
    if os.geteuid():
        yield
        return
    if sys.platform != "linux":
        pytest.skip("root may read and write everything")
    libc = ctypes.CDLL(None, use_errno=True)
    header, before = (ctypes.c_uint32 * 2)(VERSION, 0), Words()
    _told(libc.capget(header, before))
    _told(libc.capset(header, Words(before[0] & ~READ_AND_WRITE_ANYTHING, *before[1:])))
    try:
        yield
    finally:
        _told(libc.capset(header, before))


def _told(code: int) -> None:
    if code:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

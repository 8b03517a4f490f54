"""Pure Python without rest; as a program, `python -m lgh_bench.burn PARENT`, until that process is gone.

Imports next to nothing: a process must be busy soon after its start, not with it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable


def compute(wanted: Callable[[], bool]) -> None:
    """Keep one core busy while it is `wanted`, which is asked about every millisecond."""
    number = 1
    while wanted():
        for _ in range(10_000):
            number = (number * 1_103_515_245 + 12_345) & 0x7FFFFFFF


if __name__ == "__main__":
    # named by the parent itself: it may be gone before this line runs, and whoever adopts orphans lives for ever
    PARENT = int(sys.argv[1])
    compute(lambda: os.getppid() == PARENT)

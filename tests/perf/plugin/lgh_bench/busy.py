"""Busy pure Python beside a measurement: where and how many stands in the environment, as `worker:2`.

It is what a post-processor that never rests does. Threads hold Python's lock whenever they get it; processes belong to
the session of the run, as the harness's own would, since Linux shares its cores out by session first.
`python -m lgh_bench.busy PROGRAM ARGUMENT …` becomes another program beside such processes.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

from lgh_bench.burn import compute
from loadgen_harness.backends.null import Null

VARIABLE = "LGH_BENCH_BUSY"
WORKER, LOADGEN, RESPOND = "worker", "loadgen", "respond"  # where the backend, LoadGen, post-processing lives
OWN = "own"  # processes of their own


def start(place: str) -> None:
    """Start what the environment wants at `place`."""
    wanted, _, count = os.environ.get(VARIABLE, "").partition(":")
    if wanted != place:
        return
    for number in range(int(count)):
        if place == OWN:
            subprocess.Popen([sys.executable, "-m", "lgh_bench.burn", str(os.getpid())])
        else:
            threading.Thread(target=compute, args=(lambda: True,), name=f"busy-{number}", daemon=True).start()


class Busy(Null):
    """A null backend whose process has other things to do."""

    def load(self, model: Path | None, device: str, precision: str) -> None:
        """Begin to be busy."""
        start(WORKER)


BACKEND = Busy

if __name__ == "__main__":
    start(OWN)
    os.execv(sys.argv[1], sys.argv[1:])

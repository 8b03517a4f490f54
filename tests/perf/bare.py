"""The bare loop: the same backend, data, batches and task code as an Offline run, without LoadGen.

`python -m tests.perf.bare SPEC.json SECONDS` prints samples per second.
"""

from __future__ import annotations

import gc
import itertools
import sys
from pathlib import Path
from time import perf_counter

import numpy as np

from loadgen_harness import child, registry
from loadgen_harness.samples import Recorder


class Nothing:
    """A driver and progress that nobody listens to."""

    name = "bare"

    def complete(self, *_: object) -> None:
        """Ignore."""

    def first_token(self, *_: object) -> None:
        """Ignore."""


def main() -> None:
    """Answer batches of random samples for the given seconds."""
    spec, seconds = child.read_spec(Path(sys.argv[1])), float(sys.argv[2])
    child.prepare_process()
    parts = child.assemble(spec)
    parts.backend.load(parts.model, spec.device, spec.precision or parts.benchmark.precisions[0])
    indices = np.random.default_rng(1).integers(0, parts.qsl.performance_count, 1 << 16).tolist()
    parts.qsl.load(sorted(set(indices)))
    sut = registry.part(parts.benchmark.name, "sut").SUT(parts.backend, parts.qsl, Nothing(), Recorder(0))
    starts = itertools.cycle(range(0, len(indices) - spec.max_batch + 1, spec.max_batch))
    gc.collect()
    gc.freeze()
    done, begun = 0, perf_counter()
    while perf_counter() - begun < seconds:
        begin = next(starts)
        sut.answer(indices[begin : begin + spec.max_batch])
        done += spec.max_batch
    sys.stdout.write(f"{done / (perf_counter() - begun)}\n")


if __name__ == "__main__":
    main()

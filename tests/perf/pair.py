"""One pair of measurements in one process: a bare loop, an Offline test by LoadGen, the bare loop again.

`python -m tests.perf.pair FOLDER SECONDS` reads FOLDER/spec.json and prints samples per second with and without
LoadGen. The bare loop is the same backend, data, batches and task code; it runs before and after, so that a drift of
the machine's speed cancels out.
"""

from __future__ import annotations

import gc
import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from time import perf_counter

import numpy as np

from loadgen_harness import calibrate, child
from loadgen_harness.progress import Counters
from loadgen_harness.run import Run
from loadgen_harness.sut import BatchSUT

ORDER = 1 << 14  # random samples, taken again and again


def main() -> None:
    """Measure and print JSON."""
    folder, seconds = Path(sys.argv[1]), float(sys.argv[2])
    spec = child.read_spec(folder)
    child.prepare_process()
    parts = child.assemble(spec)
    counters = Counters(folder / "progress.bin", create=True)
    worker = child.build(parts, spec, folder=folder, counters=counters, fail=fail)
    parts = child.begin(worker, parts)
    sut = worker.work.sut
    if not isinstance(sut, BatchSUT):
        raise SystemExit("only batch models have a bare loop")
    parts = replace(parts, plan=calibrate.calibrated(parts.plan, child.pace(worker)))
    (folder / "user.conf").write_text(parts.plan.user_conf, encoding="utf-8")
    gc.collect()
    gc.freeze()
    before = bare(sut, spec.max_batch, seconds)
    worker.work.driver.start_test(sut, parts.qsl, parts.plan, folder, inline=worker.inline)
    after = bare(sut, spec.max_batch, seconds)
    result = Run(folder).result
    if result is None:
        raise SystemExit("LoadGen wrote no result")
    sys.stdout.write(json.dumps({"loadgen": result.value, "bare": 2 / (1 / before + 1 / after)}) + "\n")
    sys.stdout.flush()
    os._exit(0)  # as the child process of a run ends


def fail(error: BaseException) -> None:
    """End at once, with the cause."""
    sys.stderr.write(f"{error}\n")
    sys.stderr.flush()
    os._exit(child.FAILED)


def bare(sut: BatchSUT, batch: int, seconds: float) -> float:
    """Samples per second of a loop over random samples in memory."""
    indices = np.random.default_rng(1).integers(0, sut.qsl.performance_count, ORDER).tolist()
    sut.qsl.load(indices)
    done, begun = 0, perf_counter()
    while perf_counter() - begun < seconds:
        begin = done % (len(indices) - batch)
        sut.answer(indices[begin : begin + batch])
        done += batch
    taken = perf_counter() - begun
    sut.qsl.unload(indices)
    return done / taken


if __name__ == "__main__":
    main()

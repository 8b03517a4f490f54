"""One pair of measurements in one process: a bare loop, an Offline test by LoadGen, the bare loop again.

`python -m tests.perf.pair FOLDER` reads FOLDER/spec.json and prints samples per second with and without LoadGen. The
bare loop is the same backend, data, batches and task code; it runs before and after, so that a drift of the machine's
speed cancels out.
"""

from __future__ import annotations

import gc
import json
import sys
from pathlib import Path
from time import perf_counter

import numpy as np

from loadgen_harness import calibrate, child, loadgen
from loadgen_harness.progress import Counters
from loadgen_harness.run import Run
from loadgen_harness.samples import Recorder
from loadgen_harness.sut import BatchSUT

SECONDS = 1.0  # of each bare loop; LoadGen's test takes two, the minimum of the mini round


def main() -> None:
    """Measure and print JSON."""
    folder = Path(sys.argv[1])
    spec = child.read_spec(folder)
    child.prepare_process()
    parts = child.assemble(spec)
    parts.backend.load(parts.model, spec.device, spec.precision or parts.benchmark.precisions[0])
    counters = Counters(folder / "progress.bin", create=True)
    sut = child.build_sut(spec, parts, loadgen.PythonDriver(), Recorder(), counters, fail)
    if not isinstance(sut, BatchSUT):
        raise SystemExit("only batch models have a bare loop")
    plan = calibrate.calibrated(parts.plan, sut, spec.max_batch)
    (folder / "user.conf").write_text(plan.user_conf, encoding="utf-8")
    gc.collect()
    gc.freeze()
    before = bare(sut, spec.max_batch)
    loadgen.start_test(sut, parts.qsl, plan, folder, fail)
    after = bare(sut, spec.max_batch)
    result = Run(folder).result
    rate = result.value if result else 0.0
    sys.stdout.write(json.dumps({"loadgen": rate, "bare": 2 / (1 / before + 1 / after)}) + "\n")


def fail(error: BaseException) -> None:
    """End at once, with the cause."""
    raise SystemExit(str(error))


def bare(sut: BatchSUT, batch: int) -> float:
    """Samples per second of a loop over random samples in memory."""
    indices = np.random.default_rng(1).integers(0, sut.qsl.performance_count, 1 << 14).tolist()
    sut.qsl.load(indices)
    done, begun = 0, perf_counter()
    while perf_counter() - begun < SECONDS:
        begin = done % (len(indices) - batch)
        sut.answer(indices[begin : begin + batch])
        done += batch
    taken = perf_counter() - begun
    sut.qsl.unload(indices)
    return done / taken


if __name__ == "__main__":
    main()

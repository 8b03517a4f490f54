"""Systems under test that cheat at the digits, for audits to catch: backend `cheat`, whose option `kind` says how.

| kind        | what it does                                                                                    |
|-------------|-------------------------------------------------------------------------------------------------|
| cache       | remembers every answer by its input                                                             |
| early       | answers at once with what it computed last, and computes the real answer afterwards             |
| drop        | answers every third sample without computing it                                                 |
| labels      | answers from the data set's labels; the model is never run                                      |
| mode        | in performance mode answers at once, in accuracy mode as it should                              |
| lulls       | knows the round's schedule and sleeps through the gaps between queries                          |
| ahead       | knows the round's order of samples and uses the gaps to compute the next answer before it is due |

"Sleeping through Poisson gaps" is read as the rules put it (Model Equivalence: "knowledge of the LoadGen implementation
to predict upcoming lulls or spikes in the server scenario"): `lulls` saves energy with such knowledge, `ahead` latency.
Both take it from `trace`, the samples.npy of an earlier run under the same seeds. Without a kind the backend is honest.
"""

from __future__ import annotations

import json
import queue
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from loadgen_harness import registry
from loadgen_harness.backends import Batch, checked
from loadgen_harness.types import Benchmark, TestMode

CLASSES = 10
AWAKE_NS = 6_000_000  # a sleeper stays awake so long after a query is due
Answers = Sequence[np.ndarray]
Predict = Callable[[Batch], Answers]
ENTRY_POINTS = "[loadgen_harness.plugins]\nbackend.cheat = tests.audit.cheats\n"
METADATA = "Metadata-Version: 2.1\nName: lgh-cheats\nVersion: 1.0\n"


def install(folder: Path) -> None:
    """Lay a distribution with this backend out in `folder`, as pip would; the folder goes on the path."""
    info = folder / "lgh_cheats-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    (info / "METADATA").write_text(METADATA)


class Cheat:
    """ONNX Runtime on one thread, honest or not."""

    thread_safe, needs_model = False, True
    formats, casts, keeps_precision = (".onnx",), (), True

    def __init__(self, options: Mapping[str, str]) -> None:
        self._options = checked(options, {"kind": "", "trace": "", "heavy": 1}, "cheat")
        self._honest = registry.load(registry.BACKENDS, "onnxruntime")({"threads": "1"})
        self._predict: Predict = self._compute

    def load(self, model: Path | None, device: str, precision: str) -> None:
        self._honest.load(model, device, precision)
        if self._options["kind"]:
            self._predict = KINDS[self._options["kind"]](self._compute, self._options["trace"])

    def predict(self, batch: Batch) -> Answers:
        return self._predict(batch)

    def describe(self) -> dict[str, str]:
        return self._honest.describe()

    def close(self) -> None:
        self._honest.close()

    def _compute(self, batch: Batch) -> Answers:
        """The model's outputs, as many times as a heavier model would take."""
        for _ in range(self._options["heavy"] - 1):
            self._honest.predict(batch)
        return self._honest.predict(batch)


def nothing(batch: Batch) -> Answers:
    """An answer that took no work: class 0 for every sample."""
    return [np.zeros((len(batch["input"]), CLASSES), np.float32)]


def cache(compute: Predict, trace: str) -> Predict:
    kept: dict[bytes, Answers] = {}

    def predict(batch: Batch) -> Answers:
        key = batch["input"].tobytes()
        if key not in kept:
            kept[key] = compute(batch)
        return kept[key]

    return predict


def early(compute: Predict, trace: str) -> Predict:
    waiting: queue.SimpleQueue[Batch] = queue.SimpleQueue()
    last: list[Answers] = []

    def work() -> None:
        while True:
            last[:] = [compute(waiting.get())]

    threading.Thread(target=work, daemon=True).start()

    def predict(batch: Batch) -> Answers:
        waiting.put(batch)
        fits = last and len(last[0][0]) == len(batch["input"])
        return last[0] if fits else nothing(batch)

    return predict


def drop(compute: Predict, trace: str) -> Predict:
    seen = 0

    def predict(batch: Batch) -> Answers:
        nonlocal seen
        seen += 1
        return compute(batch) if seen % 3 else nothing(batch)

    return predict


def labels(compute: Predict, trace: str) -> Predict:
    library = digits()
    known = {library.read(index).tobytes(): library.label(index) for index in range(library.total_count)}

    def predict(batch: Batch) -> Answers:
        return [np.eye(CLASSES, dtype=np.float32)[[known[image.tobytes()] for image in batch["input"]]]]

    return predict


def mode(compute: Predict, trace: str) -> Predict:
    spec = json.loads((Path(sys.argv[1]) / "spec.json").read_text())
    return compute if spec["mode"] == TestMode.ACCURACY else nothing


def lulls(compute: Predict, trace: str) -> Predict:
    rows = recorded(trace)
    times = rows["scheduled"] if rows["scheduled"].all() else rows["issued"]  # the schedule, where the driver knew it
    due = times - times[0]
    coming = iter(due.tolist())
    begun = time.monotonic_ns() * 2  # later than anything

    def predict(batch: Batch) -> Answers:
        nonlocal begun
        now = time.monotonic_ns()
        begun = min(begun, now - next(coming, 0))  # by the query that the machine held up least
        place = np.searchsorted(due, now - begun - AWAKE_NS)
        if place < len(due) and begun + due[place] > now:  # nobody expected a query: asleep until the next one is due
            time.sleep(int(begun + due[place] - now) / 1e9)
        return compute(batch)

    return predict


def ahead(compute: Predict, trace: str) -> Predict:
    library = digits()
    coming = iter(recorded(trace)["index"].tolist())
    wanted: queue.SimpleQueue[Batch] = queue.SimpleQueue()
    ready: queue.SimpleQueue[tuple[bytes, Answers]] = queue.SimpleQueue()

    def work() -> None:
        while True:
            batch = wanted.get()
            ready.put((batch["input"].tobytes(), compute(batch)))

    def next_one() -> None:
        wanted.put({"input": np.stack([library.read(next(coming, 0))])})

    threading.Thread(target=work, daemon=True).start()
    next_one()

    def predict(batch: Batch) -> Answers:
        expected, answer = ready.get()
        next_one()
        return answer if expected == batch["input"].tobytes() else compute(batch)

    return predict


def digits() -> Any:
    """The library of the digits, from which a cheat learns images and labels."""
    benchmark: Benchmark = registry.load(registry.BENCHMARKS, "digits")
    return registry.part("digits", "qsl").QSL(benchmark.variants[""], None)


def recorded(trace: str) -> np.ndarray:
    """An earlier run's samples in the order in which LoadGen issued them."""
    rows: np.ndarray = np.load(trace)
    return rows[np.argsort(rows["issued"], kind="stable")]


KINDS: Mapping[str, Callable[[Predict, str], Predict]] = {
    each.__name__: each for each in (cache, early, drop, labels, mode, lulls, ahead)
}
BACKEND = Cheat

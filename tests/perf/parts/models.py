"""Offline through LoadGen against a bare loop of the same model: what either driver takes from real work."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from loadgen_harness.errors import RunFailed
from loadgen_harness.matrix import interleaved
from loadgen_harness.types import Division, RunSpec, Scenario, TestMode
from tests.perf.ratios import Row, against, row
from tests.perf.session import Effort, Part, Session

PAIR = "tests.perf.pair"
ROOT = Path(__file__).resolve().parents[3]
DRIVERS = {"native": "bridge", "python": "Python binding"}
BARE = "bare loop"  # in the same process, before and after


@dataclass(frozen=True)
class Model:
    """A model and the batch it is run with; the null ones take a chosen time."""

    name: str
    batch: int
    benchmark: str = "resnet50"
    precision: str = "fp32"
    backend: str = "null"
    options: dict[str, str] = field(default_factory=dict)
    longer: float = 1.0  # than Effort.model_s: a model whose batch takes long needs more of them


MODELS = (
    Model("null, 0 us", 256),
    Model("null, 50 us, busy", 64, options={"per_sample_us": "50", "busy": "true"}),
    Model("null, 200 us, busy", 64, options={"per_sample_us": "200", "busy": "true"}),
    Model("null, 50 us, asleep", 64, options={"per_sample_us": "50"}),
    Model("digits int8, onnxruntime", 64, "digits", "int8", "onnxruntime", {"threads": "1"}),
)


def measure(session: Session) -> list[Row]:
    """Samples per second with their ratio to the bare loop, and the time that is added to each sample."""
    return [each for model in MODELS for each in compared("models", session, model, tuple(DRIVERS))]


def compared(part: str, session: Session, model: Model, drivers: Sequence[str]) -> list[Row]:
    """Rows of one model with each of `drivers` that is here, from interleaved pairs."""
    measured: dict[str, dict[int, tuple[float, float]]] = defaultdict(dict)
    cold = 0 if session.effort.few else 1  # rounds that only warm the machine up
    here = [driver for driver in drivers if driver not in session.lacking]
    for number, driver in interleaved(here, session.effort.pairs + cold):
        found = pair(session, model, driver)
        if number >= cold:
            measured[driver][number] = found
    return [each for driver, table in measured.items() for each in rows(part, model.name, DRIVERS[driver], table)]


def rows(part: str, case: str, driver: str, table: dict[int, tuple[float, float]]) -> list[Row]:
    """Rows of one model and driver from round -> (LoadGen, bare) in samples per second."""
    loadgen = {number: rates[0] for number, rates in table.items()}
    bare = {number: rates[1] for number, rates in table.items()}
    added = [1e6 / rates[0] - 1e6 / rates[1] for rates in table.values()]
    found = row((part, case, driver), "samples/s", loadgen.values())
    return [
        against(found, loadgen, BARE, bare),
        row((part, case, f"{driver}'s {BARE}"), "samples/s", bare.values()),
        row((part, f"{case}: added time", driver), "us/sample", added),
    ]


def pair(session: Session, model: Model, driver: str) -> tuple[float, float]:
    """Samples per second through LoadGen and of the bare loop around it, in a process of its own."""
    session.tell(f"{model.name}, {DRIVERS[driver]}")
    spent = session.effort.model_s * model.longer
    folder = session.folder()
    folder.mkdir(parents=True)
    spec = RunSpec(model.benchmark, model.backend, Scenario.OFFLINE, TestMode.PERFORMANCE, folder)
    short = {"min_duration": 2000.0 * spent, "min_query_count": 1.0}  # the open division allows it
    spec = replace(spec, round="v6.1", division=Division.OPEN, overrides=short, driver=driver)
    spec = replace(spec, options=model.options, precision=model.precision, max_batch=model.batch)
    (folder / "spec.json").write_text(json.dumps(asdict(spec), default=str), encoding="utf-8")
    command = [sys.executable, "-m", PAIR, str(folder), str(spent)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    if done.returncode:
        raise RunFailed(f"{model.name} with {DRIVERS[driver]} failed: {done.stderr.strip()[-500:]}")
    measured = json.loads(done.stdout)
    return measured["loadgen"], measured["bare"]


def seconds(effort: Effort) -> float:
    """About 1.5 s a process to start and to calibrate."""
    rounds = effort.pairs + (0 if effort.few else 1)
    return len(MODELS) * len(DRIVERS) * rounds * (4.4 * effort.model_s + 1.5)


PART = Part("models", "Offline with real models: LoadGen / bare loop", seconds, measure)

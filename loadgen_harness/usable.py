"""What makes a run's backend unusable, seen without its model: `python -m loadgen_harness.usable FOLDER`.

A process of its own, as of a run: frameworks are imported here, and some keep the settings of their first backend.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from loadgen_harness import backends, child, model_files, registry, rounds, settings
from loadgen_harness.errors import SuiteError, UnknownName
from loadgen_harness.model_files import Chosen
from loadgen_harness.progress import Counters
from loadgen_harness.qsl import QuerySampleLibrary
from loadgen_harness.types import Benchmark, RunSpec
from loadgen_harness.workers import Work

FAULTS = "faults.json"
PARTS = ("qsl", "sut", "accuracy")
STREAMS, BATCHES = ("submit", "poll"), ("predict",)


@dataclass(frozen=True)
class Fault:
    """What cannot be used: the plan's key, what is wrong with it, what it takes, and the remedy."""

    key: str
    found: str
    wanted: str
    fix: str


WANTED = {
    "benchmark": "the packages of the benchmark",
    "backend": "a backend that runs this benchmark here",
    "options": "options that the backend takes",
    "device": "a device that the backend finds here",
    "precision": "a precision that both backend and benchmark have",
    "driver": "a driver that can be used here",
    "worker": "a worker that goes with driver, backend and devices",
}


def main() -> NoReturn:
    """Look at the spec in every folder below the one named; leave without the exit handlers of any framework."""
    child.prepare_process()
    seen: dict[tuple[str, str, str], list[Fault]] = {}
    for folder in sorted(path for path in Path(sys.argv[1]).iterdir() if path.is_dir()):
        found = faults(child.read_spec(folder), folder, seen)
        part = folder / f"{FAULTS}.part"
        part.write_text(json.dumps([asdict(each) for each in found]), encoding="utf-8")
        part.rename(folder / FAULTS)
    sys.stderr.flush()
    os._exit(0)


def faults(spec: RunSpec, folder: Path, seen: dict[tuple[str, str, str], list[Fault]]) -> list[Fault]:
    """Everything that a run of `spec` would be refused for; `seen` is by what does not change with a scenario."""
    found: list[Fault] = []
    backend = _made(spec, found)
    benchmark: Benchmark = registry.load(registry.BENCHMARKS, spec.benchmark)
    lacking = list(_of_parts(benchmark))
    if lacking:
        return [*found, *lacking]
    if backend is not None:
        key = (spec.benchmark, spec.device, spec.precision)
        if key not in seen:
            seen[key] = list(_of_model(spec, benchmark, backend))
        found += seen[key]
    return [*found, *_of_layout(spec, benchmark, backend, folder)]


def told(key: str, error: BaseException) -> Fault:
    """An error's sentence, which ends with its remedy, as a fault of a key."""
    wanted = WANTED[key.partition(".")[0]]
    said = child.told(error)[1]
    what, remedy = _parted(said) if isinstance(error, SuiteError) else (said, "")
    if isinstance(error, UnknownName):
        wanted = f"one of {', '.join(error.known) or '(none)'}"
        remedy = remedy if remedy.startswith("did you mean") else "choose one of these."
    return Fault(key, what, wanted, f"{remedy[0].upper()}{remedy[1:]}" if remedy else f"Change {key} in the plan.")


def _parted(said: str) -> tuple[str, str]:
    """A sentence before and after its last colon that stands in no brackets; nothing after it where it has none."""
    depth = 0
    for place in range(len(said) - 1, 0, -1):
        depth += (said[place] == ")") - (said[place] == "(")
        if not depth and said.startswith(": ", place):
            return said[:place], said[place + 2 :]
    return said.rstrip("."), ""


def _made(spec: RunSpec, found: list[Fault]) -> Any:
    """The backend, made with those of its options that it takes; None where it cannot be made."""
    try:
        kind = registry.load(registry.BACKENDS, spec.backend)
    except Exception as error:  # a library of the framework may be missing, or fail in its own way
        found.append(told("backend", error))
        return None
    known = getattr(sys.modules[kind.__module__], "OPTIONS", None)
    wrong = dict(_wrong(spec, known)) if isinstance(known, Mapping) else {}
    found += (told(f"options.{key}", error) for key, error in wrong.items())
    try:
        return kind({key: text for key, text in spec.options.items() if key not in wrong})
    except Exception as error:
        found.append(told("options", error))
        return None


def _wrong(spec: RunSpec, known: Mapping[str, Any]) -> Iterator[tuple[str, SuiteError]]:
    """Options that the backend does not have or whose values are of another type."""
    for key, text in spec.options.items():
        if key not in known:
            yield key, UnknownName(f"option of backend {spec.backend}", key, known)
            continue
        try:
            backends.checked({key: text}, known, spec.backend)
        except SuiteError as error:
            yield key, error


def _of_model(spec: RunSpec, benchmark: Benchmark, backend: Any) -> Iterator[Fault]:
    """Whether backend and benchmark go together, and the device and precision are there."""
    needed, kind = (STREAMS, "streams of tokens") if benchmark.streaming else (BATCHES, "batches")
    if not all(hasattr(backend, name) for name in needed):
        what = f"backend {spec.backend} cannot answer {kind}, which {benchmark.name} is run with"
        fix = f"Choose another backend, such as {', '.join(benchmark.backends)}."
        yield Fault("backend", what, WANTED["backend"], fix)
        return
    try:
        chosen = model_files.choose(benchmark, backend, spec.precision)
    except SuiteError as error:
        yield told("precision" if spec.precision else "backend", error)
        chosen = None
    yield from _asked(spec, benchmark, backend, chosen)


def _asked(spec: RunSpec, benchmark: Benchmark, backend: Any, chosen: Chosen | None) -> Iterator[Fault]:
    """What the backend itself says of devices, precision and file; one that needs no model is loaded and closed."""
    for device in dict.fromkeys(each.strip() for each in spec.device.split(",")):
        refused = list(_refused("device", backend, "check_device", device))
        if chosen is not None and not refused:
            _tell(benchmark, backend, chosen)
            refused = list(_refused("precision", backend, "check_precision", chosen.precision, device))
            if not backend.needs_model:
                refused += _refused("backend", backend, "load", None, device, chosen.precision)
                backend.close()
        yield from refused
    if chosen is not None and backend.needs_model:
        yield from _refused("backend", backend, "check_file", chosen.source.rpartition(":")[2])


def _refused(key: str, backend: Any, name: str, *given: Any) -> Iterator[Fault]:
    """What a method of the backend, or else a function of its module where it has such a one, raises."""
    own = getattr(backend, name, None)
    ask = own or partial(getattr(sys.modules[type(backend).__module__], name, _nothing), backend)
    try:
        ask(*given)
    except Exception as error:  # drivers and servers fail in ways of their own
        yield told(key, error)


def _nothing(*given: Any) -> None:
    """What a backend without such a function says."""


def _tell(benchmark: Benchmark, backend: Any, chosen: Chosen) -> None:
    """Set what child.load sets: whether to cast, and a calibration set where the task has one, never read here."""
    library: type[QuerySampleLibrary] = registry.part(benchmark.name, "qsl").QSL
    has_set = library.calibration is not QuerySampleLibrary.calibration
    for name, value in (("cast", chosen.cast), ("calibration", (lambda: iter(())) if has_set else None)):
        if hasattr(backend, name):
            setattr(backend, name, value)


def _of_parts(benchmark: Benchmark) -> Iterator[Fault]:
    """Packages that the task's own modules need."""
    for name in PARTS:
        try:
            registry.part(benchmark.name, name)
        except SuiteError as error:
            yield told("benchmark", error)


def _of_layout(spec: RunSpec, benchmark: Benchmark, backend: Any, folder: Path) -> Iterator[Fault]:
    """Driver and worker, made as for a run, but for a system under test without data or model."""
    try:
        chosen = settings.plan(spec, benchmark, rounds.load(spec.round)).settings
    except SuiteError:
        return  # the rehearsal's finding
    key = "driver"
    try:
        kind = child.choose_driver(spec.driver, chosen)
        key = "worker"
        name = child.worker_for(spec, benchmark, kind)
        if backend is not None:
            batching = child.batching_of(spec)
            driver = kind(batching, Counters(folder / "progress.bin", create=True), _raised)
            subject = registry.part(benchmark.name, "sut").SUT
            sut = subject.__new__(subject)  # workers ask what kind it is
            made = replace(spec, worker=name)
            work = Work(sut, driver, batching, made, folder, _raised, backend)
            registry.load(registry.WORKERS, name)(work)
    except SuiteError as error:
        yield told(key, error)


def _raised(error: BaseException) -> NoReturn:
    raise error


if __name__ == "__main__":
    main()

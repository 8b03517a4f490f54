"""Which backends cannot be used as a plan says? Each is looked at in a process of its own, without its model."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from audit.finding import Finding, Severity
from loadgen_harness import registry, usable
from loadgen_harness.errors import UnknownName
from loadgen_harness.plan import Job
from loadgen_harness.usable import Fault

TIMEOUT_S = 120.0
CLAUSE = "no rule asks for it; the run would be refused"
Place = tuple[str, str]  # benchmark and scenario, which share all settings that matter here


@dataclass(frozen=True)
class Unusable:
    """A finding, and the jobs that it spoils by their keys."""

    finding: Finding
    keys: frozenset[str]


def check(jobs: Sequence[Job]) -> list[Unusable]:
    """What is wrong with backend, options, device, precision, driver and worker of the jobs, each said once."""
    first: dict[Place, Job] = {}
    for job in jobs:
        first.setdefault(_place(job), job)
    groups: dict[str, list[Job]] = {}
    found: dict[Place, list[Fault]] = {}
    for place, job in first.items():
        if job.spec.backend in registry.names(registry.BACKENDS):
            groups.setdefault(json.dumps([job.spec.backend, sorted(job.spec.options.items())]), []).append(job)
        else:
            unknown = UnknownName(registry.BACKENDS.title, job.spec.backend, registry.names(registry.BACKENDS))
            found[place] = [usable.told("backend", unknown)]
    with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
        for each in pool.map(looked_at, groups.values()):
            found |= each
    return list(_told(jobs, found))


def _place(job: Job) -> Place:
    return job.spec.benchmark, job.spec.scenario.value


def _told(jobs: Sequence[Job], found: Mapping[Place, Sequence[Fault]]) -> Iterator[Unusable]:
    """One finding of each fault of a benchmark, with the scenarios that have it where they are not all."""
    for benchmark in dict.fromkeys(job.spec.benchmark for job in jobs):
        own = {_place(job): None for job in jobs if job.spec.benchmark == benchmark}
        for fault in dict.fromkeys(each for place in own for each in found.get(place, ())):
            places = [place for place in own if fault in found.get(place, ())]
            where = "" if len(places) == len(own) else f"/{', '.join(scenario for _, scenario in places)}"
            key = f"{benchmark}{where}: {fault.key}"
            what = (fault.found, fault.wanted)
            finding = Finding("backend", Severity.ERROR, "plan", key, *what, CLAUSE, fault.fix)
            spoilt = frozenset(job.key for job in jobs if _place(job) in places)
            yield Unusable(finding, spoilt)


def looked_at(jobs: Sequence[Job]) -> dict[Place, list[Fault]]:
    """The faults of jobs that share a backend and its options, by their places."""
    try:
        with tempfile.TemporaryDirectory(prefix="lgh-usable-") as name:
            return _in_a_folder(jobs, Path(name))
    except OSError as error:
        why = f"the folder for temporary files cannot be used: {error.strerror}"
        return {_place(job): [_failed(job, why)] for job in jobs}


def _in_a_folder(jobs: Sequence[Job], folder: Path) -> dict[Place, list[Fault]]:
    folders = [folder / f"{number:03}" for number in range(len(jobs))]
    for job, own in zip(jobs, folders, strict=True):
        own.mkdir()
        (own / "spec.json").write_text(json.dumps(asdict(job.spec), default=str), encoding="utf-8")
    why = _started(folder)
    found: dict[Place, list[Fault]] = {}
    for job, own in zip(jobs, folders, strict=True):
        file = own / usable.FAULTS
        told = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None
        found[_place(job)] = [Fault(**each) for each in told] if told is not None else [_failed(job, why)]
    return found


def _started(folder: Path) -> str:
    """Run the program; how it ended, and its last words where it broke off."""
    command = [sys.executable, "-m", "loadgen_harness.usable", str(folder)]
    log = folder / "child.log"
    try:
        with log.open("wb") as file:
            code = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, timeout=TIMEOUT_S, check=False
            ).returncode
    except subprocess.TimeoutExpired:
        return f"did not answer within {TIMEOUT_S:g} s"
    how = f"ended its process by {signal.Signals(-code).name}" if code < 0 else f"ended its process with code {code}"
    said = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
    return ": ".join([how, *said])


def _failed(job: Job, why: str) -> Fault:
    fix = "Mend what it names; the run would fail in the same way."
    return Fault("backend", f"{job.spec.backend} {why}", usable.WANTED["backend"], fix)

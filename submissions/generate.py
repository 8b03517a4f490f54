"""Builds the tree of a submission from runs: only the files that the rules ask for, written whole or not at all."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from audit.verdict import Verdict
from loadgen_harness.errors import BadInput
from loadgen_harness.run import Run
from loadgen_harness.types import Benchmark, Division, Scenario
from submissions import layout, readme
from submissions.system import MEASUREMENTS, complete

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
TESTS_WITH_LOG = ("TEST01", "TEST06", "TEST07", "TEST09")  # whose run_verification.py copies the accuracy log


@dataclass(frozen=True)
class Entry:
    """One result: the runs behind one benchmark in one scenario.

    `accuracy_text` is accuracy.txt without its hash line; `name` is a custom model's folder name, open division only.
    """

    benchmark: Benchmark
    scenario: Scenario
    performance: Run
    accuracy: Run | None = None
    accuracy_text: str = ""
    compliance: Mapping[str, tuple[Run, Verdict]] = field(default_factory=dict)
    name: str = ""

    @property
    def folder(self) -> str:
        """The benchmark's folder name in the tree."""
        return self.name or self.benchmark.checker_name


@dataclass(frozen=True)
class Submission:
    """What is the same for all entries; `system` and `measurements` hold what cannot be seen from the runs.

    `system_name` is a folder name ("toybox_1x_cpu"); the name for people is `system["system_name"]`.
    """

    submitter: str
    system_name: str
    system: Mapping[str, Any]
    division: Division = Division.CLOSED
    measurements: Mapping[str, str] = field(default_factory=dict)
    source_note: str = ""
    calibration: str = ""


def generate(entries: Sequence[Entry], meta: Submission, output: Path) -> Path:
    """Write the tree of `entries` to `output` and return it; a BadInput leaves nothing behind."""
    _refuse(entries, meta, output)
    partial = output.with_name(f"{output.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        _write(layout.submitter(partial, meta.division, meta.submitter), entries, meta)
        os.replace(partial, output)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return output


def _write(home: layout.SubmitterFolder, entries: Sequence[Entry], meta: Submission) -> None:
    _describe(home, entries, meta)
    for entry in entries:
        _result(home.result(meta.system_name, entry.folder, entry.scenario.value), entry, meta)


def _refuse(entries: Sequence[Entry], meta: Submission, output: Path) -> None:
    if output.exists():
        raise BadInput(f"{output} exists: choose another folder, a finished submission is never overwritten.")
    if not entries:
        raise BadInput("a submission needs at least one result: give one or more finished runs.")
    if meta.division is Division.NETWORK:
        raise BadInput(
            "the network division needs a query dispatch library, which the suite lacks: use closed or open."
        )
    for name in (meta.submitter, meta.system_name, *(entry.folder for entry in entries)):
        if not NAME.fullmatch(name):
            raise BadInput(f"{name!r} cannot be a folder name: use letters, digits, '.', '_', '+' and '-'.")
    places = [(entry.folder, entry.scenario) for entry in entries]
    for place in places:
        if places.count(place) > 1:
            raise BadInput(f"two entries for {place[0]} in {place[1]}: give one performance run for each scenario.")
    for entry in entries:
        if entry.name and meta.division is not Division.OPEN:
            raise BadInput(
                f"the custom model {entry.name!r} belongs in the open division: submit with --division open."
            )


def _describe(home: layout.SubmitterFolder, entries: Sequence[Entry], meta: Submission) -> None:
    """Files that belong to the submitter rather than to one result."""
    known = {"system_name": meta.system_name, **meta.system}
    known |= {"division": meta.division.value, "submitter": meta.submitter}
    _json(home.system(meta.system_name), complete(known))
    _text(home.calibration, meta.calibration or _calibration(entries))
    for entry in entries:
        _text(home.source(entry.folder), readme.source(entry.benchmark, entry.performance, meta.source_note))
    mapping = {entry.name: layout.internal_name(entry.benchmark.checker_name) for entry in entries if entry.name}
    if mapping:
        _json(home.model_mapping, mapping)


def _calibration(entries: Iterable[Entry]) -> str:
    used = sorted({f"- {entry.benchmark.title}: {_weights(entry)}, {_precision(entry)}" for entry in entries})
    return (
        "# Calibration\n\nNothing was calibrated while this submission was made: the weights below were used as their "
        "files hold them, and the README of each benchmark's source says how they came about.\n\n" + "\n".join(used)
    )


def _result(place: layout.ScenarioFolder, entry: Entry, meta: Submission) -> None:
    _copy(entry.performance.file("user.conf"), place.user_conf)
    _json(place.measurements, _measurements(entry, meta))
    _text(place.readme, readme.scenario(entry.benchmark, entry.scenario, entry.performance, entry.accuracy))
    _logs(entry.performance, place.performance)
    if entry.accuracy:
        _logs(entry.accuracy, place.accuracy)
        _copy(entry.accuracy.file(layout.ACCURACY_LOG), place.accuracy.accuracy_log)
        _text(place.accuracy.accuracy_text, entry.accuracy_text)
    for name, (run, verdict) in entry.compliance.items():
        _test(place.test(name), name, run, verdict)


def _test(place: layout.TestFolder, name: str, run: Run, verdict: Verdict) -> None:
    """A test's run and verdict (rules 8); an accuracy.txt among the verdict's files goes to its accuracy folder."""
    _logs(run, place.performance)
    texts = dict(verdict.files)
    found = texts.pop(layout.ACCURACY_TEXT, "") or texts.pop(f"accuracy/{layout.ACCURACY_TEXT}", "")
    for file, text in texts.items():
        _text(place.path / file, text)
    if name in TESTS_WITH_LOG:
        _copy(run.file(layout.ACCURACY_LOG), place.accuracy.accuracy_log)
    if name in layout.SHORTENED_TESTS:
        # The checker reads it only where verify_accuracy.txt has no pass line, the truncation needs it always.
        _text(place.accuracy.accuracy_text, found or f"{name}: responses judged, see {' and '.join(sorted(texts))}")


def _measurements(entry: Entry, meta: Submission) -> dict[str, str]:
    known = {
        "input_data_types": entry.benchmark.input_dtype,
        "retraining": "No",
        "starting_weights_filename": _weights(entry),
        "weight_data_types": _precision(entry),
        "weight_transformations": _transformation(entry),
    } | dict(meta.measurements)
    empty = [key for key in MEASUREMENTS if not known[key]]
    if empty:
        raise BadInput(
            f"measurements of {entry.benchmark.name} lack {', '.join(empty)}: state them in the system file."
        )
    return known


def _precision(entry: Entry) -> str:
    spoken = entry.performance.spec.get("precision") or next(iter(entry.benchmark.precisions), "")
    return str(spoken)


def _transformation(entry: Entry) -> str:
    """Anything but fp32 weights are not what training left behind."""
    precision = _precision(entry)
    return "No" if precision in ("", "fp32") else f"{precision}, before the run, as in {_weights(entry)}"


def _weights(entry: Entry) -> str:
    files = entry.benchmark.files(_precision(entry)) or ("",)
    return Path(files[0].rpartition(":")[2]).name or "none (synthetic)"


def _logs(run: Run, place: layout.Logs) -> None:
    """LoadGen's two text logs, without the trace and the suite's own records."""
    _copy(run.file(layout.DETAIL), place.detail)
    _copy(run.file(layout.SUMMARY), place.summary)


def _copy(source: Path, target: Path) -> None:
    if not source.is_file():
        raise BadInput(f"{source} is missing: a submission needs it, so repeat that run.")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def _text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text if text.endswith("\n") else f"{text}\n", encoding="utf-8")


def _json(path: Path, content: Mapping[str, Any]) -> None:
    _text(path, json.dumps(content, indent=2, ensure_ascii=False))

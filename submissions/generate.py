"""Builds the tree of a submission from runs: only the files that the rules ask for, written whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from audit.verdict import Verdict
from loadgen_harness.errors import BadInput
from loadgen_harness.run import Run
from loadgen_harness.types import Benchmark, Division, Scenario
from submissions import layout, network, readme
from submissions.system import MEASUREMENTS, NAME, complete

TESTS_WITH_LOG = ("TEST01", "TEST06", "TEST07", "TEST09")  # whose run_verification.py copies the accuracy log


@dataclass(frozen=True)
class Kept:
    """Documents of a result that somebody wrote or edited: they are copied byte for byte instead of being made.

    `beside` are further files of the result's folder: analyzer_table.* and power_settings.* of a power result.
    """

    user_conf: Path | None = None
    readme: Path | None = None
    measurements: Path | None = None
    source: Path | None = None
    beside: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Entry:
    """One result: the runs behind one benchmark in one scenario.

    `accuracy_text` is accuracy.txt without its hash line; `name` is a custom model's folder name, open division only;
    `inferred` says, for a result that follows from another's runs, how; `power` is the `performance` folder of an
    official power session, whose testing run `performance` then is.
    """

    benchmark: Benchmark
    scenario: Scenario
    performance: Run
    accuracy: Run | None = None
    accuracy_text: str = ""
    compliance: Mapping[str, tuple[Run, Verdict]] = field(default_factory=dict)
    name: str = ""
    inferred: str = ""
    kept: Kept = Kept()
    power: Path | None = None

    @property
    def folder(self) -> str:
        """The benchmark's folder name in the tree."""
        return self.name or self.benchmark.checker_name

    @property
    def runs(self) -> tuple[Run, ...]:
        """Every run behind it."""
        tests = (test for test, _ in self.compliance.values())
        return tuple(run for run in (self.performance, self.accuracy, *tests) if run)


@dataclass(frozen=True)
class Submission:
    """What is the same for all entries; `system` and `measurements` hold what cannot be seen from the runs.

    `system_name` is a folder name ("toybox_1x_cpu"); the name for people is `system["system_name"]`. The two files are
    copied as they are where they are given.
    """

    submitter: str
    system_name: str
    system: Mapping[str, Any]
    division: Division = Division.CLOSED
    measurements: Mapping[str, str] = field(default_factory=dict)
    source_note: str = ""
    calibration: str = ""
    system_file: Path | None = None
    calibration_file: Path | None = None


def generate(entries: Sequence[Entry], meta: Submission, output: Path) -> Path:
    """Write the tree of `entries` to `output` and return it; a BadInput leaves nothing behind."""
    if output.exists():
        raise BadInput(f"{output} exists: choose another folder, a finished submission is never overwritten.")
    refuse(entries, meta)
    partial = output.with_name(f"{output.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        write(entries, meta, partial)
        os.replace(partial, output)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return output


def write(entries: Sequence[Entry], meta: Submission, root: Path) -> layout.SubmitterFolder:
    """Write the files of `entries` below a tree's root; what is there already stays."""
    home = layout.submitter(root, meta.division, meta.submitter)
    _describe(home, entries, meta)
    for entry in entries:
        _result(home.result(meta.system_name, entry.folder, entry.scenario.value), entry, meta)
    return home


def refuse(entries: Sequence[Entry], meta: Submission) -> None:
    """Raise BadInput for what cannot become a tree."""
    if not entries:
        raise BadInput("a submission needs at least one result: give one or more finished runs.")
    if meta.division is Division.NETWORK:
        _dispatched(entries)
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


def _dispatched(entries: Sequence[Entry]) -> None:
    """Raise BadInput for runs that no Query Dispatch Library drove: the name that it gives LoadGen tells."""
    for entry in entries:
        for run in entry.runs:
            if network.NAME not in run.sut_name:
                raise BadInput(
                    f"{entry.folder} in {entry.scenario} was run against {run.sut_name or 'a nameless system'!r}, and "
                    f"the network division wants a Query Dispatch Library whose name holds {network.NAME!r}: submit "
                    "it to closed or open, or give runs of such a library with --from."
                )


def _describe(home: layout.SubmitterFolder, entries: Sequence[Entry], meta: Submission) -> None:
    """Files that belong to the submitter rather than to one result."""
    known = {"system_name": meta.system_name, **meta.system}
    known |= {"division": meta.division.value, "submitter": meta.submitter}
    described = complete(known)
    if meta.system_file is None:
        _json(home.system(meta.system_name), described)
    else:
        _copy(meta.system_file, home.system(meta.system_name))
    if not _kept(meta.calibration_file, home.calibration):
        _text(home.calibration, meta.calibration or _calibration(entries))
    for entry in entries:
        place = home.source(entry.folder)
        if not _kept(entry.kept.source, place):
            _text(place, readme.source(entry.benchmark, entry.performance, meta.source_note))
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
    kept = entry.kept
    _copy(kept.user_conf or entry.performance.file("user.conf"), place.user_conf)
    if not _kept(kept.measurements, place.measurements):
        _json(place.measurements, _measurements(entry, meta))
    _readme(place, entry)
    for file in kept.beside:
        _copy(file, place.path / file.name)
    if entry.power:
        _power(entry.power, place)
    else:
        _logs(entry.performance, place.performance)
    if entry.accuracy:
        _logs(entry.accuracy, place.accuracy)
        _copy(entry.accuracy.file(layout.ACCURACY_LOG), place.accuracy.accuracy_log)
        _text(place.accuracy.accuracy_text, entry.accuracy_text)
    for name, (run, verdict) in entry.compliance.items():
        _test(place.test(name), name, run, verdict)


def _readme(place: layout.ScenarioFolder, entry: Entry) -> None:
    """README.md of a result, kept or made; an inferred one says first that it is."""
    if not _kept(entry.kept.readme, place.readme):
        _text(place.readme, readme.scenario(entry.benchmark, entry.scenario, entry.performance, entry.accuracy))
    if entry.inferred:
        _text(place.readme, f"**{entry.inferred}**\n\n{place.readme.read_text(encoding='utf-8')}")


def _power(session: Path, place: layout.ScenarioFolder) -> None:
    """The official power logs and the two runs of a session, byte for byte: client and server recorded the digests."""
    of_runs = (layout.DETAIL, layout.SUMMARY, layout.POWER_RUN_FILE)
    wanted = {place.power: layout.POWER_FILES, place.ranging.path: of_runs, place.performance.path: of_runs}
    for folder, names in wanted.items():
        for name in names:
            _copy(session / folder.name / name, folder / name)


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


def _kept(source: Path | None, target: Path) -> bool:
    """Whether there was a document to copy."""
    if source is not None:
        _copy(source, target)
    return source is not None


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

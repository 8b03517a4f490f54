"""A submission out of runs that this suite did not make: a TOML file says which folder of LoadGen's is what.

What the folders cannot tell stands in the file; documents that a person wrote are copied as they are. Accuracy is
computed from the whole logs and the labels, compliance tests are verified again.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from audit import alone, metrics
from audit.compliance import _settings
from audit.compliance_folder import logs
from audit.verdict import Trial, Verdict
from loadgen_harness import registry, rounds
from loadgen_harness.errors import BadInput, UnknownName
from loadgen_harness.run import Run
from loadgen_harness.types import Benchmark, Division, Round, Scenario
from submissions import layout
from submissions.generate import Entry, Kept, Submission

TOP = ("round", "division", "submitter", "system_name", "system", "calibration", "measurements", "infer", "result")
DOCUMENTS = ("user_conf", "readme", "source", "analyzer_table", "power_settings")
RESULT = ("benchmark", "scenario", "name", "runs", "data", "accuracy_text", "measurements", "power", *DOCUMENTS)
PERFORMANCE, ACCURACY = "performance", "accuracy"
POWER_TEXTS = ("analyzer_table", "power_settings")
SESSION = "performance"  # the folder of a power session that is the result's
DOCS = "docs/submission.md"


@dataclass(frozen=True)
class Imported:
    """What a manifest says: the entries, what is the same for all, the round, and the inferences asked for."""

    entries: tuple[Entry, ...]
    meta: Submission
    round: Round
    infer: tuple[str, ...]


def read(manifest: Path) -> Imported:
    """The submission that a manifest describes; its paths are relative to its own folder.

    Raises BadInput or UnknownName with the key that is missing, unknown or of the wrong kind.
    """
    data = _toml(manifest)
    where = f"manifest {manifest}"
    _known(data, TOP, where)
    round_ = rounds.load(_text(data, "round", where))
    results = data.get("result")
    if not isinstance(results, list) or not all(isinstance(each, dict) for each in results):
        raise BadInput(f"{where} needs [[result]] tables: one for each benchmark and scenario ({DOCS}).")
    source = _Source(manifest.parent, round_, where)
    return Imported(
        tuple(source.entry(each) for each in results), _meta(data, source), round_, tuple(_texts(data, "infer", where))
    )


@dataclass(frozen=True)
class _Source:
    """Where a manifest's paths begin, and the round of its results."""

    root: Path
    round: Round
    where: str

    def path(self, table: Mapping[str, Any], key: str) -> Path | None:
        """The file or folder that a key names, None without the key; raises BadInput where nothing is there."""
        if key not in table:
            return None
        found = self.root / _text(table, key, self.where)
        if not found.exists():
            raise BadInput(f"{self.where}: {key} = {table[key]!r} is not there ({found}).")
        return found

    def entry(self, table: Mapping[str, Any]) -> Entry:
        """One result."""
        _known(table, RESULT, f"{self.where}, [[result]]")
        named = _text(table, "benchmark", self.where)
        benchmark = replace(alone.named(named, self.round), checker_name=named)
        scenario = Scenario(_text(table, "scenario", self.where))
        self.round.limits(benchmark.name, scenario)
        session = self.path(table, "power")
        parts = self._parts(table)
        tests = tuple(name for name in parts if name not in (PERFORMANCE, ACCURACY))
        folders = {name: logs(folder, f"{name} of {named}/{scenario}") for name, folder in parts.items()}
        if session:
            folders[PERFORMANCE] = logs(session / SESSION / "run_1", f"the power session of {named}/{scenario}")
        if PERFORMANCE not in folders:
            raise BadInput(f"{self.where}: {named}/{scenario} has no folder {PERFORMANCE} in its runs.")
        reference = (folders[PERFORMANCE], folders.get(ACCURACY))
        return Entry(
            benchmark=benchmark,
            scenario=scenario,
            performance=folders[PERFORMANCE],
            accuracy=folders.get(ACCURACY),
            accuracy_text=self._accuracy(table, benchmark, folders.get(ACCURACY)),
            compliance={
                name: (folders[name], self._verdict(name, (*reference, folders[name]), benchmark, table))
                for name in tests
            },
            name=str(table.get("name", "")),
            kept=self._kept(table, session),
            power=session / SESSION if session else None,
        )

    def _parts(self, table: Mapping[str, Any]) -> dict[str, Path]:
        """Performance, accuracy and compliance runs by the names of their folders."""
        runs = self.path(table, "runs")
        tests = {name.upper() for name in registry.names(registry.TESTS)}
        wanted = (PERFORMANCE, ACCURACY)
        return {each.name: each for each in layout.folders(runs) if each.name in tests | {*wanted}} if runs else {}

    def _accuracy(self, table: Mapping[str, Any], benchmark: Benchmark, run: Run | None) -> str:
        """accuracy.txt without its hash: as given, or computed from the whole log."""
        if run is None:
            return ""
        if given := self.path(table, "accuracy_text"):
            return given.read_text(encoding="utf-8")
        data = self.path(table, "data")
        return metrics.accuracy_text(run.file(layout.ACCURACY_LOG), benchmark.checker_name, data)[1]

    def _verdict(
        self, test: str, runs: tuple[Run, Run | None, Run], benchmark: Benchmark, table: Mapping[str, Any]
    ) -> Verdict:
        """A compliance test's verdict, and where there are labels the accuracy of its sampled responses."""
        judge = registry.load(registry.TESTS, test.lower())
        settings = _settings.merged(judge.name, self.round.rules(benchmark.name))
        trial = Trial(audit=runs[2], settings=settings, reference=runs[0], accuracy=runs[1])
        missing = [need for need in judge.needs if getattr(trial, need) is None]
        if missing:
            raise BadInput(f"{self.where}: {test} of {benchmark.name} cannot be judged without {', '.join(missing)}.")
        verdict: Verdict = judge.judge(trial)
        data = self.path(table, "data")
        if test not in layout.SHORTENED_TESTS or data is None:
            return verdict
        text = metrics.accuracy_text(runs[2].file(layout.ACCURACY_LOG), benchmark.checker_name, data)[1]
        return replace(verdict, files={**verdict.files, layout.ACCURACY_TEXT: text})

    def _kept(self, table: Mapping[str, Any], session: Path | None) -> Kept:
        """Documents of a result that are copied as they are; a power result needs two more."""
        found = {key: self.path(table, key) for key in DOCUMENTS}
        missing = [key for key in POWER_TEXTS if session and not found[key]]
        if missing:
            raise BadInput(f"{self.where}: a power result needs {' and '.join(missing)} (power_measurement.adoc).")
        for key in POWER_TEXTS:
            if (path := found[key]) and path.stem != key:
                raise BadInput(f"{self.where}: {path.name} must be called {key} with any ending, as the rules want it.")
        own = session / "runs" / "testing" / "user.conf" if session else None
        return Kept(
            user_conf=found["user_conf"] or own,
            readme=found["readme"],
            measurements=self.path(table, "measurements"),
            source=found["source"],
            beside=tuple(path for key in POWER_TEXTS if (path := found[key])),
        )


def _meta(data: Mapping[str, Any], source: _Source) -> Submission:
    """Who submits what."""
    system = data.get("system", {})
    file = source.path(data, "system") if isinstance(system, str) else None
    measurements = data.get("measurements", {})
    for key, each in (("system", system if file is None else {}), ("measurements", measurements)):
        if not isinstance(each, dict):
            raise BadInput(f"{source.where}: {key} must be a table{' or a file' if key == 'system' else ''} ({DOCS}).")
    return Submission(
        submitter=_text(data, "submitter", source.where),
        system_name=_text(data, "system_name", source.where),
        system=_json(file) if file else system,
        division=Division(data.get("division", "closed")),
        measurements={key: str(value) for key, value in measurements.items()},
        system_file=file,
        calibration_file=source.path(data, "calibration"),
    )


def _toml(manifest: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(manifest.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(f"cannot read {manifest}: {error.strerror}; give the TOML file that names the runs.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"manifest {manifest} is not TOML: {error}.") from error


def _json(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadInput(f"{file} is no system description: {error}; write one with `lgh system`.") from error
    if not isinstance(found, dict):
        raise BadInput(f"{file} is no system description but a JSON {type(found).__name__}.")
    return found


def _text(table: Mapping[str, Any], key: str, where: str) -> str:
    value = table.get(key)
    if not isinstance(value, str) or not value:
        raise BadInput(f"{where} needs {key} = a text ({DOCS}).")
    return value


def _texts(table: Mapping[str, Any], key: str, where: str) -> list[str]:
    value = table.get(key, [])
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise BadInput(f"{where}: {key} must be a list of texts, not {value!r}.")
    return value


def _known(given: Iterable[str], allowed: Iterable[str], where: str) -> None:
    for key in given:
        if key not in allowed:
            raise UnknownName(f"key of {where}", key, allowed)

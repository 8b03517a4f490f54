"""The only module that knows where things lie in a submission tree, whatever the round that it belongs to.

<root>/<division>/<submitter>/results/<system>/<benchmark>/<Scenario>/{accuracy,performance/run_1,TESTxx}/…  since v6.0;
before, user.conf and the description of the weights lay under measurements/, the tests under compliance/, both apart
from results/ with the same folders below. Old trees have logs in other places too: whatever is there is found.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from loadgen_harness import rounds
from loadgen_harness.errors import UnknownName
from loadgen_harness.types import Division, Round, Scenario
from submissions.provenance import round_of as round_of

DETAIL = "mlperf_log_detail.txt"
SUMMARY = "mlperf_log_summary.txt"
ACCURACY_LOG = "mlperf_log_accuracy.json"
ACCURACY_TEXT = "accuracy.txt"
VERIFY_ACCURACY = "verify_accuracy.txt"
VERIFY_PERFORMANCE = "verify_performance.txt"
POWER_FILES = ("client.json", "client.log", "ptd_logs.txt", "server.json", "server.log")
POWER_RUN_FILE = "spl.txt"
SHORTENED_TESTS = ("TEST01", "TEST07", "TEST09")  # whose logs truncate_accuracy_log.py shortens
ENDPOINT_FILES = ("config.yaml", "performance/result_summary.json", "accuracy/accuracy_results.json")

SYSTEM_ENDS = (".json", "_power.yaml")

# Where logs lie: the place of today's layout first, then those of older trees.
RUNS = ("run_1", "run_2", "run_3", "run_4", "run_5", ".")
TEST_RUNS = ("performance/run_1", "run_1", "performance", "audit", ".")
TEST_ACCURACIES = ("accuracy", "run_1", "audit", ".")


def internal_name(benchmark: str, round_: Round | None = None) -> str:
    """The checker's own name for a benchmark folder; model_mapping.json must name it (its `model_mapping`)."""
    aliases = round_.aliases if round_ and round_.aliases else _newest().aliases
    return aliases.get(benchmark, benchmark)


@functools.cache
def _newest() -> Round:
    return rounds.load(rounds.official()[-1])


@dataclass(frozen=True)
class Logs:
    """A folder of LoadGen logs: `accuracy`, `performance/run_1` or the one of a compliance test."""

    path: Path

    @property
    def detail(self) -> Path:
        """LoadGen's detail log."""
        return self.path / DETAIL

    @property
    def summary(self) -> Path:
        """LoadGen's summary."""
        return self.path / SUMMARY

    @property
    def accuracy_log(self) -> Path:
        """LoadGen's log of responses."""
        return self.path / ACCURACY_LOG

    @property
    def accuracy_text(self) -> Path:
        """What the accuracy script found, and the hash of the whole accuracy log."""
        return self.path / ACCURACY_TEXT


@dataclass(frozen=True)
class TestFolder:
    """One compliance test of a scenario."""

    __test__ = False
    path: Path

    @property
    def name(self) -> str:
        """The test's name as its folder has it: TEST01, in old trees TEST04-A too."""
        return self.path.name

    @property
    def performance(self) -> Logs:
        """The audited run."""
        return _logs(self.path, TEST_RUNS, (DETAIL,))

    @property
    def accuracy(self) -> Logs:
        """Its accuracy log, for tests that keep one."""
        return _logs(self.path, TEST_ACCURACIES, (ACCURACY_LOG, ACCURACY_TEXT))


@dataclass(frozen=True)
class ScenarioFolder:
    """One result: a benchmark in a scenario on a system."""

    path: Path

    @property
    def scenario(self) -> str:
        """Its folder name."""
        return self.path.name

    @property
    def benchmark(self) -> str:
        """The benchmark's folder name."""
        return self.path.parent.name

    @property
    def system(self) -> str:
        """The system's name."""
        return self.path.parent.parent.name

    @property
    def home(self) -> SubmitterFolder:
        """Whose result it is."""
        return SubmitterFolder(self.path.parents[3])

    @cached_property
    def settings(self) -> Path:
        """The folder of user.conf and measurements: beside the logs, or under measurements/ in a tree that has that."""
        beside = any(os.path.isfile(self.path / name) for name in ("user.conf", "measurements.json"))
        return self.path if beside else self._apart(self.home.measurements)

    @property
    def measurements(self) -> Path:
        """What weights and data types were used."""
        known = (self.settings / name for name in ("measurements.json", f"{self.system}.json"))
        named = sorted(self.settings.glob("*.json")) if self.settings != self.path else []
        own = (path for path in named if path.name.startswith(self.system))
        wanted = f"{self.system}.json" if self.settings != self.path else "measurements.json"
        return next((path for path in (*known, *own) if os.path.isfile(path)), self.settings / wanted)

    @property
    def user_conf(self) -> Path:
        """The submitter's LoadGen settings."""
        return self.settings / "user.conf"

    @property
    def readme(self) -> Path:
        """How to repeat the result."""
        return self.settings / "README.md"

    @property
    def accuracy(self) -> Logs:
        """The accuracy run."""
        return Logs(self.path / "accuracy")

    @property
    def performance(self) -> Logs:
        """The performance run."""
        return _logs(self.path / "performance", RUNS, (DETAIL,))

    @property
    def ranging(self) -> Logs:
        """The ranging run of a power submission."""
        return Logs(self.path / "performance" / "ranging")

    @property
    def power(self) -> Path:
        """The official power logs, where there are any."""
        return self.path / "performance" / "power"

    @property
    def endpoint(self) -> bool:
        """Whether it is a result of MLPerf Endpoints: its files, and none of LoadGen's."""
        ours = any(os.path.isfile(self.path / name) for name in ENDPOINT_FILES)
        return ours and not any(os.path.isfile(logs.detail) for logs in (self.performance, self.accuracy))

    @cached_property
    def compliance(self) -> Path:
        """The folder of its compliance tests."""
        beside = any(folder.name.startswith("TEST") for folder in folders(self.path))
        return self.path if beside else self._apart(self.home.compliance)

    def test(self, name: str) -> TestFolder:
        """One compliance test."""
        return TestFolder(self.compliance / name)

    def tests(self) -> Iterator[TestFolder]:
        """The compliance tests that are there."""
        yield from (TestFolder(folder) for folder in folders(self.compliance) if folder.name.startswith("TEST"))

    def _apart(self, root: Path) -> Path:
        """The same place under another root of the submitter, whatever the case; without it the result's own."""
        if not _is_folder(root):
            return self.path
        place = root
        for name in (self.system, self.benchmark, self.scenario):
            place = _child(place, name)
        return place


@dataclass(frozen=True)
class SubmitterFolder:
    """Everything one submitter has in one division."""

    path: Path

    @property
    def division(self) -> str:
        """The division's folder name."""
        return self.path.parent.name

    @property
    def submitter(self) -> str:
        """The submitter's folder name."""
        return self.path.name

    @property
    def calibration(self) -> Path:
        """How quantised weights were calibrated."""
        return self.path / "documentation" / "calibration.md"

    @property
    def calibrations(self) -> tuple[Path, Path]:
        """Both places where the rules allow it."""
        return self.calibration, self.path / "calibration.md"

    @property
    def model_mapping(self) -> Path:
        """Custom model names of the open division."""
        return self.path / "model_mapping.json"

    @property
    def measurements(self) -> Path:
        """Where v5 and before kept settings and descriptions of weights."""
        return self.path / "measurements"

    @property
    def compliance(self) -> Path:
        """Where v5 and before kept compliance tests."""
        return self.path / "compliance"

    @property
    def apart(self) -> tuple[str, ...]:
        """The folders that v5 kept apart from results/ and that are there."""
        return tuple(path.name for path in (self.measurements, self.compliance) if _is_folder(path))

    @property
    def sources(self) -> Path:
        """The source code, one folder per benchmark: src/, or the code/ of v5 where that is there."""
        old = self.path / "code"
        return old if _is_folder(old) and not _is_folder(self.path / "src") else self.path / "src"

    def source(self, benchmark: str) -> Path:
        """The README of one benchmark's source code."""
        return self.sources / benchmark / "README.md"

    @property
    def systems(self) -> Path:
        """The descriptions of all systems."""
        return self.path / "systems"

    def system(self, name: str) -> Path:
        """The description of one system."""
        return self.systems / f"{name}.json"

    @property
    def results(self) -> Path:
        """The results of all systems."""
        return self.path / "results"

    def result(self, system: str, benchmark: str, scenario: str) -> ScenarioFolder:
        """One result."""
        return ScenarioFolder(self.results / system / benchmark / scenario)

    def scenarios(self) -> Iterator[ScenarioFolder]:
        """All results that are there."""
        yield from map(ScenarioFolder, _third(self.results))

    def strays(self) -> Iterator[Path]:
        """Folders under measurements/ and compliance/ that belong to no result, for instance of a misspelt scenario."""
        known = {_key(place, self.results) for place in _third(self.results)}
        for root in (self.measurements, self.compliance):
            yield from (place for place in _third(root) if _key(place, root) not in known)


def submitter(root: Path, division: Division | str, name: str) -> SubmitterFolder:
    """Where one submitter's part of one division lies."""
    return SubmitterFolder(root / str(division) / name)


def submitters(root: Path) -> Iterator[SubmitterFolder]:
    """All submitters of all divisions that are there."""
    for division in folders(root):
        if division.name in {each.value for each in Division}:
            yield from map(SubmitterFolder, folders(division))


def scenarios(root: Path) -> Iterator[ScenarioFolder]:
    """All results of a tree."""
    for each in submitters(root):
        yield from each.scenarios()


def accuracy_folders(root: Path) -> Iterator[Logs]:
    """Every folder with an accuracy log that is truncated: of results, then of those compliance tests."""
    for scenario in scenarios(root):
        yield scenario.accuracy
        yield from (test.accuracy for test in scenario.tests() if test.name in SHORTENED_TESTS)


def result_of(file: str) -> str:
    """The result behind a finding's file: "division/submitter/system/benchmark/scenario", as much as its path says.

    Whatever the layout: of a system's description the system, of source code and documents the submitter alone.
    """
    division, submitter_, kind, *rest = (*file.split("/"), "", "", "")[: file.count("/") + 3]
    if division not in {each.value for each in Division} or not submitter_:
        return ""
    named: list[str] = []
    if kind in ("results", "measurements", "compliance"):
        named = [each for each in rest[:3] if each]
    elif kind == "systems" and rest and rest[0].endswith(SYSTEM_ENDS):
        named = [rest[0].removesuffix(".yaml").removesuffix(".json").removesuffix("_power")]
    return "/".join((division, submitter_, *named[:2], *map(_spelt, named[2:])))


def folders(path: Path) -> list[Path]:
    """The folders inside a folder by name, none where it is missing or closed to us; links are left out."""
    return [each for each in entries(path) if _is_folder(each)] if _is_folder(path) else []


def entries(path: Path) -> list[Path]:
    """Everything inside a folder by name, nothing where it is missing or closed to us."""
    try:
        return sorted(path.iterdir()) if os.path.isdir(path) else []
    except PermissionError:  # that it is closed is a Finding of its own
        return []


def shown(path: Path, tree: Path) -> str:
    """A path from a tree's root on, with bytes that are no text written out."""
    return os.fsencode(path.relative_to(tree)).decode("utf-8", errors="backslashreplace")


def inside(path: Path, tree: Path) -> bool:
    """Whether a path, links followed, lies in the tree: nothing else is ever read."""
    real, root = os.path.realpath(path), os.path.realpath(tree)
    return real == root or real.startswith(os.path.join(root, ""))


def regular(path: Path, tree: Path) -> bool:
    """Whether a file is there, regular, readable, and no way out of the tree."""
    return os.path.isfile(path) and inside(path, tree) and os.access(path, os.R_OK)


def _spelt(scenario: str) -> str:
    """A scenario in MLPerf's spelling; what is none stays as it is."""
    try:
        return Scenario(scenario).value
    except UnknownName:
        return scenario


def _third(root: Path) -> Iterator[Path]:
    """The folders <system>/<benchmark>/<Scenario> below a root."""
    for system in folders(root):
        for benchmark in folders(system):
            yield from folders(benchmark)


def _key(place: Path, root: Path) -> str:
    return place.relative_to(root).as_posix().lower()


def _child(folder: Path, name: str) -> Path:
    """A folder by its name, else one that differs in case alone, else the path where it should be."""
    exact = folder / name
    if _is_folder(exact):
        return exact
    return next((each for each in folders(folder) if each.name.lower() == name.lower()), exact)


def _is_folder(path: Path) -> bool:
    return os.path.isdir(path) and not path.is_symlink()


def _logs(root: Path, places: Iterable[str], names: Iterable[str]) -> Logs:
    """The first place below a root that has one of these files, else the first place."""
    first, *others = [root / place for place in places]
    held = (place for place in (first, *others) if any(os.path.isfile(place / name) for name in names))
    return Logs(next(held, first))

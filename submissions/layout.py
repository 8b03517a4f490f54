"""The only module that knows where things lie in a submission tree (layout of v6.0 and v6.1).

<root>/<division>/<submitter>/results/<system>/<benchmark>/<Scenario>/{accuracy,performance/run_1,TESTxx}/…
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from loadgen_harness.types import Division

DETAIL = "mlperf_log_detail.txt"
SUMMARY = "mlperf_log_summary.txt"
ACCURACY_LOG = "mlperf_log_accuracy.json"
ACCURACY_TEXT = "accuracy.txt"
VERIFY_ACCURACY = "verify_accuracy.txt"
VERIFY_PERFORMANCE = "verify_performance.txt"
POWER_FILES = ("client.json", "client.log", "ptd_logs.txt", "server.json", "server.log")
POWER_RUN_FILE = "spl.txt"

# Folder name -> the checker's internal name; model_mapping.json must name the latter (rules 3.3).
INTERNAL_NAMES = {
    "resnet50": "resnet",
    "mobilenet": "resnet",
    "llama3_1-8b": "llama3.1-8b",
    "llama3_1-8b-edge": "llama3.1-8b-edge",
}


def internal_name(benchmark: str) -> str:
    """The checker's own name for a benchmark folder."""
    return INTERNAL_NAMES.get(benchmark, benchmark)


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
    def performance(self) -> Logs:
        """The audited run."""
        return Logs(self.path / "performance" / "run_1")

    @property
    def accuracy(self) -> Logs:
        """Its accuracy log, for tests that keep one."""
        return Logs(self.path / "accuracy")


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
    def measurements(self) -> Path:
        """What weights and data types were used."""
        return self.path / "measurements.json"

    @property
    def user_conf(self) -> Path:
        """The submitter's LoadGen settings."""
        return self.path / "user.conf"

    @property
    def readme(self) -> Path:
        """How to repeat the result."""
        return self.path / "README.md"

    @property
    def accuracy(self) -> Logs:
        """The accuracy run."""
        return Logs(self.path / "accuracy")

    @property
    def performance(self) -> Logs:
        """The performance run."""
        return Logs(self.path / "performance" / "run_1")

    @property
    def ranging(self) -> Logs:
        """The ranging run of a power submission."""
        return Logs(self.path / "performance" / "ranging")

    @property
    def power(self) -> Path:
        """The official power logs, where there are any."""
        return self.path / "performance" / "power"

    def test(self, name: str) -> TestFolder:
        """One compliance test."""
        return TestFolder(self.path / name)

    def tests(self) -> Iterator[TestFolder]:
        """The compliance tests that are there."""
        yield from (TestFolder(folder) for folder in folders(self.path) if folder.name.startswith("TEST"))


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
    def sources(self) -> Path:
        """The source code, one folder per benchmark."""
        return self.path / "src"

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
        for system in folders(self.results):
            for benchmark in folders(system):
                yield from map(ScenarioFolder, folders(benchmark))


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
    """Every folder that may hold an accuracy log: of results, then of their compliance tests."""
    for scenario in scenarios(root):
        yield scenario.accuracy
        yield from (test.accuracy for test in scenario.tests())


def folders(path: Path) -> list[Path]:
    """The folders inside a folder by name, none where it is missing; links are left out."""
    return sorted(p for p in path.iterdir() if p.is_dir() and not p.is_symlink()) if path.is_dir() else []

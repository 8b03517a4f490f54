"""Everything that stands behind one result: what checks across several files and runs are given."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from audit.finding import Finding
from loadgen_harness.run import Run
from loadgen_harness.types import Benchmark, Division, Round, Rules, Scenario


@dataclass(frozen=True)
class Evidence:
    """One result of a benchmark in a scenario: its runs and the texts beside them.

    `scenario` is the claimed one: an inferred result's logs show another. `system` is the system description, empty
    where it cannot be read; `files` maps "user.conf", "measurements.json", "README.md", "accuracy.txt", "system.json"
    to their paths, where they are there. `root` is the folder that findings name files from.
    """

    benchmark: Benchmark
    scenario: Scenario
    round: Round
    division: Division
    root: Path
    performance: Run | None = None
    accuracy: Run | None = None
    tests: Mapping[str, Run] = field(default_factory=dict)  # TEST01 -> its performance run
    test_accuracy: Mapping[str, Run] = field(default_factory=dict)  # TEST01 -> its accuracy folder
    submitter: str = ""
    system_name: str = ""
    system: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, Path] = field(default_factory=dict)
    power: Path | None = None

    @property
    def rules(self) -> Rules:
        """What the round demands of the benchmark; raises UnknownName where it does not know it."""
        return self.round.rules(self.benchmark.name)

    def runs(self) -> Iterator[tuple[str, Run]]:
        """Every run that is there, under the name of its part."""
        if self.performance:
            yield "performance", self.performance
        if self.accuracy:
            yield "accuracy", self.accuracy
        yield from self.tests.items()

    def name(self, path: Path) -> str:
        """A path from the root on."""
        return str(path.relative_to(self.root)) if path.is_relative_to(self.root) else path.name


CrossCheck = Callable[[Evidence], Iterator[Finding]]

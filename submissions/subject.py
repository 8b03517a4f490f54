"""What is being checked: one result of a tree under the rules it must obey."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from loadgen_harness.run import Run
from loadgen_harness.types import Benchmark, Division, Round, Rules, Scenario
from submissions import layout, structure


@dataclass(frozen=True)
class Subject:
    """One result under the rules it must obey; each of its run folders is read once."""

    place: layout.ScenarioFolder
    tree: Path
    benchmark: Benchmark
    scenario: Scenario
    rules: Rules
    round: Round
    division: Division
    _runs: dict[Path, Run] = field(default_factory=dict, compare=False, repr=False)

    def name(self, path: Path) -> str:
        """A path inside the tree."""
        return layout.shown(path, self.tree)

    def run(self, logs: layout.Logs) -> Run | None:
        """The run in a folder of logs, None where it has no detail log or leads out of the tree."""
        if logs.path not in self._runs:
            if not self.readable(logs.detail):
                return None
            self._runs[logs.path] = Run(logs.path, self.tree)
        return self._runs[logs.path]

    @property
    def performance(self) -> Run | None:
        """The performance run; of MLPerf Endpoints the whole folder is one."""
        if self.place.endpoint:
            return self._runs.setdefault(self.place.path, Run(self.place.path, self.tree))
        return self.run(self.place.performance)

    def readable(self, path: Path) -> bool:
        """Whether a file is there, regular, open to us, and no way out of the tree."""
        return layout.regular(path, self.tree)

    @cached_property
    def system(self) -> Mapping[str, Any]:
        """The description of the system, empty where it cannot be read."""
        described, _ = structure.document(self.place.home.system(self.place.system), self.tree)
        return described or {}

    @property
    def known(self) -> bool:
        """Whether the round has rules for the benchmark."""
        return self.benchmark.name in self.round.benchmarks and bool(self.rules.limits)

    @property
    def limited(self) -> bool:
        """Whether the round has limits for the scenario; the open division may choose others."""
        return self.known and (self.closed or self.scenario in self.rules.limits)

    @property
    def closed(self) -> bool:
        """Whether the closed division's rules apply."""
        return self.division is not Division.OPEN

    @property
    def needs_accuracy(self) -> bool:
        """Whether the round wants an accuracy run (and compliance tests) in this scenario."""
        return not self.round.accuracy_scenarios or self.scenario in self.round.accuracy_scenarios

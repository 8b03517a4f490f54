"""What is being checked: one result of a tree under the rules it must obey."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from loadgen_harness.types import Benchmark, Division, Round, Rules, Scenario
from submissions import layout


@dataclass(frozen=True)
class Subject:
    """One result under the rules it must obey."""

    place: layout.ScenarioFolder
    tree: Path
    benchmark: Benchmark
    scenario: Scenario
    rules: Rules
    round: Round
    division: Division

    def name(self, path: Path) -> str:
        """A path inside the tree."""
        return str(path.relative_to(self.tree))

    @property
    def closed(self) -> bool:
        """Whether the closed division's rules apply."""
        return self.division is not Division.OPEN

    @property
    def needs_accuracy(self) -> bool:
        """Whether the round wants an accuracy run (and compliance tests) in this scenario."""
        return not self.round.accuracy_scenarios or self.scenario in self.round.accuracy_scenarios

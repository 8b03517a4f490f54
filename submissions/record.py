"""What is known of one run beyond its folder: scores, targets, energy, verdicts, findings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from audit.finding import Finding
from loadgen_harness.run import Run
from loadgen_harness.types import Benchmark, Score, Target


@dataclass(frozen=True)
class RunResult:
    """One performance run as the report shows it; `verdicts` maps compliance tests to passed or not.

    `energy` is printed as it stands, an estimate in italics; `scores` are those of the accuracy run behind it.
    """

    run: Run
    benchmark: Benchmark
    scores: tuple[Score, ...] = ()
    targets: tuple[Target, ...] = ()
    energy: str = ""
    verdicts: Mapping[str, bool] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()

    @property
    def scenario(self) -> str:
        """The scenario asked for (Interactive where LoadGen says Server), LoadGen's for a foreign folder."""
        return str(self.run.spec.get("scenario") or self.run.scenario or "unknown")

    @property
    def title(self) -> str:
        """Benchmark and scenario."""
        return f"{self.benchmark.title} · {self.scenario}"

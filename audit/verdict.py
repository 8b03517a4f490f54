"""The verdict of a compliance test, what such a test is, and the sentence that sums findings up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from audit.finding import Finding, Severity, errors
from loadgen_harness.run import Run
from loadgen_harness.types import Benchmark, Round, Scenario, Score

Scorer = Callable[[Mapping[int, bytes]], Sequence[Score]]


@dataclass(frozen=True)
class Verdict:
    """Whether a compliance test passed, why not, and the verify_*.txt texts that go into the submission.

    `files` maps a name relative to the test's folder to its text.
    """

    passed: bool
    files: Mapping[str, str]
    findings: tuple[Finding, ...]


class ComplianceTest(Protocol):
    """One official compliance test; each module of `audit.compliance` defines one as TEST."""

    name: str

    def applies(self, benchmark: Benchmark, scenario: Scenario, round_: Round) -> bool:
        """Whether the round demands this test of the benchmark in this scenario."""
        ...

    def config(self, benchmark: Benchmark, round_: Round) -> str:
        """The text of audit.config that LoadGen reads in the test's run."""
        ...

    def verify(
        self,
        reference: Run,
        accuracy: Run | None,
        audit: Run,
        *,
        settings: Mapping[str, float] | None = None,
        score: Scorer | None = None,
    ) -> Verdict:
        """Judge the test's run `audit` against the performance run `reference` and the full accuracy run.

        `settings` are the round's for this test (by default those of the audited run's own round); `score` turns
        responses into Scores and is used where outputs may differ between runs.
        """
        ...


def summarize(findings: Iterable[Finding]) -> str:
    """First line PASS or FAIL and why, then one line per finding, the gravest first."""
    order = list(Severity)
    ranked = sorted(findings, key=lambda finding: order.index(finding.severity))
    counts = Counter(finding.severity for finding in ranked)
    counted = ", ".join(f"{n} {s.value}{'s' if n > 1 else ''}" for s in order if (n := counts[s]))
    rejecting = errors(ranked)
    head = f"FAIL: {_short(rejecting[0])}" if rejecting else "PASS"
    return "\n".join([f"{head} ({counted})" if counted else head, *map(_line, ranked)])


def _short(finding: Finding) -> str:
    return f"{finding.check}: {finding.key} is {finding.found}, wanted {finding.wanted}"


def _line(finding: Finding) -> str:
    where = f" in {finding.file}" if finding.file else ""
    return f"  {finding.severity.value}: {_short(finding)}{where} ({finding.clause}). {finding.fix}"

"""What a compliance test is, what it judges, and its verdict."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from audit.compliance import _settings
from audit.finding import Finding
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


@dataclass(frozen=True)
class Trial:
    """What a compliance test judges: its own run `audit` under the round's settings, beside the submission's runs.

    `reference` is the performance run and `accuracy` the accuracy run with its whole log: verify before truncation.
    `score` turns responses into Scores; `dtype` is NumPy's name for the type of one logged token.
    """

    audit: Run
    settings: Mapping[str, float]
    reference: Run | None = None
    accuracy: Run | None = None
    score: Scorer | None = None
    dtype: str = "int32"


class ComplianceTest(ABC):
    """One official compliance test; each module of `audit.compliance` defines one as TEST.

    `needs` names what of a Trial the test cannot judge without.
    """

    __test__ = False
    name: ClassVar[str]
    needs: ClassVar[tuple[str, ...]] = ()

    def applies(self, benchmark: Benchmark, scenario: Scenario, round_: Round) -> bool:
        """Whether the round demands the test of the benchmark in this scenario."""
        return _settings.demanded(self.name, benchmark, scenario, round_)

    def config(self, benchmark: Benchmark, round_: Round) -> str:
        """The text of audit.config that LoadGen reads in the test's run."""
        return _settings.config(self.name, benchmark, round_)

    def verify(
        self,
        reference: Run | None,
        accuracy: Run | None,
        audit: Run,
        *,
        settings: Mapping[str, float] | None = None,
        score: Scorer | None = None,
    ) -> Verdict:
        """Judge the test's run `audit`; `settings` are by default those of the audited run's own round."""
        chosen = _settings.of_run(self.name, audit) if settings is None else settings
        return self.judge(Trial(audit, chosen, reference, accuracy, score))

    @abstractmethod
    def judge(self, trial: Trial) -> Verdict:
        """The verdict on one trial."""

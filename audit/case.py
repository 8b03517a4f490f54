"""What is audited: a run, what it claims to be, and what the round demands of that."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from audit.finding import Finding, Severity
from loadgen_harness.errors import UnknownName
from loadgen_harness.run import Run
from loadgen_harness.types import Benchmark, Division, Limits, Round, Scenario, TestMode

DETAIL = "mlperf_log_detail.txt"
SUMMARY = "mlperf_log_summary.txt"
ACCURACY_LOG = "mlperf_log_accuracy.json"
ENDPOINTS = "endpoints"  # the syntax of results that no LoadGen made
LARGEST = 1e30  # arithmetic on larger figures of a hostile log could overflow


@dataclass(frozen=True)
class Claim:
    """What a run says it is; for a folder without run.json its place in a submission tree says it."""

    scenario: Scenario | None = None
    mode: TestMode | None = None
    division: Division = Division.CLOSED
    test: str = ""

    @classmethod
    def of(cls, run: Run) -> Claim:
        """The claim in run.json; what it lacks is taken from LoadGen's log."""
        spec = run.spec
        return cls(
            scenario=_named(Scenario, spec.get("scenario") or run.scenario),
            mode=_named(TestMode, spec.get("mode")),
            division=_named(Division, spec.get("division")) or Division.CLOSED,
            test=str(spec.get("test") or ""),
        )


@dataclass(frozen=True)
class Case:
    """A run with everything that its checks need; `test_settings` are those of the claimed compliance test."""

    run: Run
    benchmark: Benchmark
    round: Round
    claim: Claim
    limits: Limits
    test_settings: Mapping[str, float] = field(default_factory=dict)

    @cached_property
    def log(self) -> Mapping[str, Any]:
        """The last value of each key of LoadGen's detail log."""
        return self.run.log

    @property
    def performance(self) -> bool:
        """Whether the run holds performance figures, or stands where they should be."""
        mode = self.claim.mode.value if self.claim.mode else self.run.mode
        return mode != TestMode.ACCURACY.value

    @property
    def timed(self) -> bool:
        """Whether durations and counts of a full performance run are demanded: token tests run short by design."""
        return self.performance and "min_duration" not in self.test_settings

    @property
    def server(self) -> bool:
        """Whether queries arrive at random times."""
        return self.run.scenario == "Server"

    def number(self, key: str) -> float | None:
        """A number (or flag, as 0 or 1) of the log, None where it is missing, none, or past all reason."""
        value = self.log.get(key)
        return value if isinstance(value, int | float) and abs(value) < LARGEST else None

    def finding(self, check: str, key: str, wanted: object, **more: Any) -> Finding:
        """An error in the detail log; `more` overrides `found`, `severity`, `file` and gives `clause` and `fix`."""
        defaults = {"severity": Severity.ERROR, "file": DETAIL, "found": self.log.get(key, "missing"), "fix": ""}
        values = {**defaults, **more}
        values["found"] = str(values["found"])
        if values["file"] == DETAIL:
            values.setdefault("line", self.run.line(key))
        return Finding(check=check, key=key, wanted=str(wanted), **values)


Check = Callable[[Case], Iterator[Finding]]


def _named(kind: type[Any], value: Any) -> Any:
    try:
        return kind(value) if value else None
    except UnknownName:
        return None

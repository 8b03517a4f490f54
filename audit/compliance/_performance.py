"""Whether a compliance test ran as fast as the submission: the official comparison of two performance runs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from audit.case import DETAIL, LARGEST, SUMMARY
from audit.finding import Finding, Severity
from audit.verdict import Trial
from loadgen_harness.run import Run

RESULTS = {
    "Offline": "result_samples_per_second",
    "SingleStream": "early_stopping_latency_ss",
    "MultiStream": "early_stopping_latency_ms",
    "Server": "result_completed_samples_per_sec",
}
SHORT_NS = {"SingleStream": 200_000, "MultiStream": 1_600_000}  # below, the machine's own jitter shows
SAME = ("effective_target_latency_ns", "requested_server_ttft_latency", "requested_server_tpot_latency")
SHARE, WIDE_SHARE = 0.10, 0.20
ROUNDING = 1e-5


@dataclass(frozen=True)
class Comparison:
    """Two runs of one scenario and what a test demands of them; `settings` may state a wider tolerance."""

    test: str
    reference: Run | None
    audit: Run
    settings: Mapping[str, float]

    @classmethod
    def of(cls, test: str, trial: Trial) -> Comparison:
        """The performance run of a trial against its test's run."""
        return cls(test, trial.reference, trial.audit, trial.settings)

    @property
    def scenario(self) -> str:
        """The reference run's scenario in LoadGen's words."""
        return self.reference.scenario if self.reference else ""

    def score(self, run: Run | None) -> float | None:
        """The figure that the official scripts compare, in LoadGen's units."""
        return _figure(run.log.get(RESULTS.get(run.scenario, ""))) if run else None

    def tolerance(self) -> float:
        """The share by which the scores may differ: 10 %, 20 % for very short latencies, or what the round states."""
        share = self.settings.get("performance_tolerance_percent", SHARE * 100) / 100
        score = self.score(self.reference) or 0
        return max(share, WIDE_SHARE) if score <= SHORT_NS.get(self.scenario, -1) else share

    def unlike(self, *, summaries: bool = False) -> Iterator[Finding]:
        """Why the runs cannot be compared: one of them is not sound, or they differ in scenario or latency limit.

        With `summaries`, LoadGen's two logs of each run must also tell the same.
        """
        runs = (("reference", self.reference), ("test", self.audit))
        for name, run in runs:
            yield from self._unsound(name, run)
            if run and summaries:
                yield from self._other_story(name, run)
        if not self.reference:
            return
        clause = f"{_readme(self.test)}: one performance run is compared with its like"
        for key in ("effective_scenario", *(SAME if self.scenario == "Server" else ())):
            wanted, found = self.reference.log.get(key, "missing"), self.audit.log.get(key, "missing")
            if wanted != found:
                yield self.finding(key, str(found), f"{wanted}, as in the reference run", clause)

    def _unsound(self, name: str, run: Run | None) -> Iterator[Finding]:
        clause = f"{_readme(self.test)}, Instructions: both performance runs are VALID and free of errors"
        if run is None:
            yield self.finding("log", f"no {name} run", "the submission's performance run", clause)
            return
        result = RESULTS.get(run.scenario, "effective_scenario")
        faults = [
            ("damaged", damage, "a log as LoadGen wrote it") for damage in run.damage if damage.startswith(DETAIL)
        ]
        # the official parser takes a key's first value, ours its last
        faults += [(key, "stated more than once", "one value") for key in sorted(run.repeated)[:1]]
        if (verdict := run.log.get("result_validity", "missing")) != "VALID":
            faults.append(("result_validity", str(verdict), "VALID"))
        if self.score(run) is None:
            faults.append((result, str(run.log.get(result, "missing")), "a result"))
        if run.error_count or run.log.get("num_errors"):
            first = next(iter(run.log_errors), f"{run.log.get('num_errors')} counted")
            faults.append(("num_errors", first, "0"))
        for what, fault, wanted in faults:
            yield self.finding(what, f"{fault} in the {name} run", wanted, clause)

    def _other_story(self, name: str, run: Run) -> Iterator[Finding]:
        """Where a run's summary, which some official scripts read, contradicts its detail log."""
        clause = f"{_readme(self.test)}, Instructions: the summaries of both runs are compared"
        for key in filter(None, ("effective_scenario", "result_validity", RESULTS.get(run.scenario))):
            found, wanted = run.summary.get(key, "missing"), run.log.get(key, "missing")
            if not _same(found, wanted):
                shown = self.finding(key, f"{found} in the {name} run", f"{wanted}, as in the detail log", clause)
                yield replace(shown, file=SUMMARY)

    def finding(self, key: str, found: str, wanted: str, clause: str) -> Finding:
        """An error of this test."""
        fix = "Repeat the test's run under the conditions of the submission."
        return Finding(self.test, Severity.ERROR, DETAIL, key, found, wanted, clause, fix)


def settings_in_force(test: str, trial: Trial) -> Iterator[Finding]:
    """The test's run read an audit.config, and LoadGen's effective settings are those of the test."""
    if not any("audit.config" in warning for warning in trial.audit.log_warnings):
        yield _unset(test, "audit.config", "not read", "read")
    keys = ("accuracy_log_sampling_target", "performance_issue_same", "performance_issue_same_index")
    for key in (*keys, "performance_issue_unique"):
        wanted, found = trial.settings.get(key, 0), trial.audit.log.get(f"effective_{key}")
        if found != wanted:
            yield _unset(test, f"effective_{key}", str(found), f"{wanted:.0f}")


def _unset(test: str, key: str, found: str, wanted: str) -> Finding:
    clause = "compliance/README.md, Test Infrastructure: LoadGen logs that it found audit.config"
    fix = f"Repeat the run with the audit.config of {test}."
    return Finding(test, Severity.ERROR, DETAIL, key, found, wanted, clause, fix)


def failed(finding: Finding) -> str:
    """The last line of a text whose test failed."""
    return f"TEST FAIL: {finding.key} is {finding.found}, wanted {finding.wanted}"


def _same(said: object, logged: object) -> bool:
    """Whether the two logs tell the same: both print six digits of a rate."""
    first, second = _figure(said), _figure(logged)
    return said == logged if first is None or second is None else math.isclose(first, second, rel_tol=ROUNDING)


def _figure(value: object) -> float | None:
    """A number that a run can have as its result, None for anything else."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not abs(value) < LARGEST:
        return None
    return float(value)


def _readme(test: str) -> str:
    return f"compliance/{test}/README.md"

"""Whether a compliance test ran as fast as the submission: the official comparison of two performance runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from audit.case import DETAIL
from audit.finding import Finding, Severity
from loadgen_harness.run import Run

RESULTS = {
    "Offline": "result_samples_per_second",
    "SingleStream": "early_stopping_latency_ss",
    "MultiStream": "early_stopping_latency_ms",
    "Server": "result_completed_samples_per_sec",
}
SHORT_NS = {"SingleStream": 200_000, "MultiStream": 1_600_000}  # below, the machine's own jitter shows
SAME = ("effective_target_latency_ns", "requested_server_ttft_latency", "requested_server_tpot_latency")


@dataclass(frozen=True)
class Comparison:
    """Two runs of one scenario and what a test demands of them; `settings` may state a wider tolerance."""

    test: str
    reference: Run
    audit: Run
    settings: Mapping[str, float]

    def score(self, run: Run) -> float | None:
        """The figure that the official scripts compare, in LoadGen's units."""
        value = run.log.get(RESULTS.get(run.scenario, ""))
        return value if isinstance(value, int | float) and not isinstance(value, bool) else None

    def tolerance(self) -> float:
        """The share by which the scores may differ: 10 %, 20 % for very short latencies, or what the round states."""
        share = self.settings.get("performance_tolerance_percent", 10) / 100
        score = self.score(self.reference) or 0
        return max(share, 0.20) if score <= SHORT_NS.get(self.reference.scenario, -1) else share

    def unlike(self) -> Iterator[Finding]:
        """Why the runs cannot be compared: either is not VALID, or they differ in scenario or latency limit."""
        clause = f"{self.test}: both performance logs are VALID"
        for name, run in (("reference", self.reference), ("test", self.audit)):
            if run.log.get("result_validity") != "VALID" or self.score(run) is None:
                found = f"{run.log.get('result_validity', 'missing')} in the {name} run"
                yield self.finding("result_validity", found, "VALID", clause)
        for key in ("effective_scenario", *(SAME if self.reference.scenario == "Server" else ())):
            wanted, found = self.reference.log.get(key, "missing"), self.audit.log.get(key, "missing")
            if wanted != found:
                yield self.finding(key, str(found), f"{wanted}, as in the reference run", f"{self.test}: like runs")

    def finding(self, key: str, found: str, wanted: str, clause: str) -> Finding:
        """An error of this test."""
        fix = "Repeat the test's run under the conditions of the submission."
        return Finding(self.test, Severity.ERROR, DETAIL, key, found, wanted, clause, fix)


def settings_in_force(test: str, audit: Run, settings: Mapping[str, float]) -> Iterator[Finding]:
    """The test's run read an audit.config, and LoadGen's effective settings are those of the test."""
    if not any("audit.config" in warning for warning in audit.log_warnings):
        yield _unset(test, "audit.config", "not read", "read")
    keys = ("accuracy_log_sampling_target", "performance_issue_same", "performance_issue_same_index")
    for key in (*keys, "performance_issue_unique"):
        wanted, found = settings.get(key, 0), audit.log.get(f"effective_{key}")
        if found != wanted:
            yield _unset(test, f"effective_{key}", str(found), f"{wanted:.0f}")


def _unset(test: str, key: str, found: str, wanted: str) -> Finding:
    fix = f"Repeat the run with the audit.config of {test}."
    return Finding(test, Severity.ERROR, DETAIL, key, found, wanted, f"compliance test {test}: audit.config", fix)

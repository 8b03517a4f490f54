"""Settings that closed and network lock: what mlperf.conf states, user.conf may not change."""

from __future__ import annotations

from collections.abc import Iterator

from audit.case import Case, Check
from audit.finding import Finding
from loadgen_harness.types import Division

STREAMS = ("SingleStream", "MultiStream")
CLAUSE = "inference_rules.adoc, Benchmarks: Constraints for the Closed division; LoadGen's own mlperf.conf"


def locked(case: Case) -> Iterator[Finding]:
    """Closed and network: no setting differs from the round's that a submitter may not choose."""
    if case.claim.division is Division.OPEN or not case.performance:
        return
    for key, wanted in _locked(case):
        found = case.number(key)
        if found is not None and found != wanted:
            name = key.removeprefix("effective_")
            yield case.finding(
                "locked-setting", key, f"{wanted:g}", clause=CLAUSE, fix=f"Remove {name} from user.conf and repeat."
            )


def _locked(case: Case) -> Iterator[tuple[str, float]]:
    """(key, value) of the settings whose value follows from the scenario, the benchmark and the test."""
    if case.run.scenario in STREAMS:
        yield "effective_max_async_queries", 1
    yield "effective_accuracy_log_probability", case.test_settings.get("accuracy_log_probability", 0)
    if not case.limits.equal_issue:
        yield "effective_sample_concatenate_permutation", 0


CHECKS: tuple[Check, ...] = (locked,)

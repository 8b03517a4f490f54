"""Checks of a run's verdict and of what it is: LoadGen's errors and result, mode, scenario, audit.config."""

from __future__ import annotations

from collections.abc import Iterator

from audit.case import Case, Check
from audit.finding import Finding
from audit.release import UNCOMMITTED
from loadgen_harness.types import TestMode

AUDIT_KEYS = (
    "performance_issue_same",
    "performance_issue_same_index",
    "performance_issue_unique",
    "accuracy_log_sampling_target",
    "accuracy_log_rng_seed",
)
SUBMITTED = {TestMode.PERFORMANCE.value, TestMode.ACCURACY.value, TestMode.SUBMISSION.value}


def result(case: Case) -> Iterator[Finding]:
    """LoadGen's verdict must be VALID; a short token test is judged by its responses alone."""
    if not case.timed:
        return
    if case.log.get("result_validity") != "VALID":
        reasons = "; ".join(case.run.invalid_reasons)
        yield case.finding(
            "validity",
            "result_validity",
            "VALID",
            found=": ".join(filter(None, (str(case.log.get("result_validity", "missing")), reasons))),
            clause="inference_rules.adoc, LoadGen Operation: the run must be valid",
            fix="Do what LoadGen recommends above, then repeat the run." if reasons else "Repeat the run.",
        )


def early_stopping(case: Case) -> Iterator[Finding]:
    """LoadGen's early-stopping verdict, which the official checker reads instead of the result."""
    if case.timed and case.log.get("early_stopping_met") is not True:
        yield case.finding(
            "early-stopping",
            "early_stopping_met",
            True,
            clause="inference_rules.adoc, Early Stopping Criterion",
            fix="Run longer, or lower the target rate so that fewer queries exceed the limit.",
        )


def loadgen_errors(case: Case) -> Iterator[Finding]:
    """LoadGen may not have reported an error in any run; that it was built from changed sources is another check."""
    kept = case.run.log_errors
    others = [text for text in kept if UNCOMMITTED not in text]
    counted = max(case.run.error_count, int(case.number("num_errors") or 0)) - (len(kept) - len(others))
    if others or counted > 0:
        yield case.finding(
            "loadgen-errors",
            "num_errors",
            0,
            found=f"{max(len(others), counted)}, first: {others[0] if others else 'none recorded'}",
            clause="inference_rules.adoc, LoadGen Operation: errors where queries fail to complete",
            fix="Remove the cause that LoadGen names and repeat the run.",
        )


def mode(case: Case) -> Iterator[Finding]:
    """The test mode is the one that was claimed, and one that may be submitted."""
    claimed = ({case.claim.mode.value} & SUBMITTED if case.claim.mode else set()) or SUBMITTED
    wanted = {TestMode.PERFORMANCE.value} if case.claim.test else claimed
    if case.run.mode not in wanted:
        yield case.finding(
            "mode",
            "effective_test_mode",
            " or ".join(sorted(wanted)),
            clause="inference_rules.adoc, LoadGen Operation",
            fix="Repeat the run in the right mode, or put the folder where its mode belongs.",
        )


def scenario(case: Case) -> Iterator[Finding]:
    """The scenario in the log is the claimed one; Interactive shows as Server."""
    wanted = case.claim.scenario.loadgen if case.claim.scenario else ""
    if case.run.scenario != wanted:
        yield case.finding(
            "scenario",
            "effective_scenario",
            wanted,
            clause="inference_rules.adoc, Scenarios",
            fix="Repeat the run in the claimed scenario.",
        )


def audit_config(case: Case) -> Iterator[Finding]:
    """audit.config is read in compliance tests and in no other run: a forgotten file changes a run silently."""
    seen = any("audit.config" in warning for warning in case.run.log_warnings)
    if seen != bool(case.claim.test):
        yield case.finding(
            "audit-config",
            "audit.config",
            "read" if case.claim.test else "not read",
            found="read" if seen else "not read",
            clause="compliance tests; LoadGen overrides its settings from audit.config wherever it finds one",
            fix="Remove audit.config and repeat." if seen else "Repeat the run with the test's audit.config.",
        )


def audit_settings(case: Case) -> Iterator[Finding]:
    """What audit.config sets is in effect in its test, and off in any other run."""
    tests = case.test_settings
    for key in AUDIT_KEYS:
        wanted, found = tests.get(key, 0), case.number(f"effective_{key}")
        if found != wanted and not (found is None and not wanted):
            yield case.finding(
                "audit-settings",
                f"effective_{key}",
                str(int(wanted)),
                clause=f"compliance test {case.claim.test}"
                if case.claim.test
                else "inference_rules.adoc, LoadGen Operation",
                fix="Repeat the run with the test's own audit.config, or without one.",
            )


CHECKS: tuple[Check, ...] = (
    result,
    early_stopping,
    loadgen_errors,
    mode,
    scenario,
    audit_config,
    audit_settings,
)

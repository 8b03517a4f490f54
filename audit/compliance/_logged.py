"""The responses that a test's run logged: tests that judge a whole set want all of them in the log."""

from __future__ import annotations

from collections.abc import Iterator

from audit.case import ACCURACY_LOG
from audit.finding import Finding, Severity
from audit.verdict import Trial


def fault(test: str, key: str, found: str, wanted: str, fix: str) -> Finding:
    """An error in the accuracy log of a test's run."""
    clause = f"compliance/{test}/README.md, Introduction: all samples are logged and judged"
    return Finding(test, Severity.ERROR, ACCURACY_LOG, key, found, wanted, clause, fix)


def incomplete(test: str, trial: Trial) -> Iterator[Finding]:
    """Fewer responses than the test's run must issue; where no sample may come twice, fewer samples."""
    entries, wanted = trial.audit.response_entries, max(int(trial.settings.get("min_query_count", 1)), 1)
    once = _once(trial, wanted)
    found = len({entry.qsl_idx for entry in entries}) if once else len(entries)
    if found < wanted:
        what = f"{found} {'samples' if once else 'responses'} logged"
        yield fault(test, "entries", what, f">= {wanted}", "Repeat the run, and verify before truncation.")


def _once(trial: Trial, wanted: int) -> bool:
    """Whether LoadGen issues every sample once: told to, or in Offline, which goes through the loaded ones in turn."""
    loaded = trial.audit.log.get("effective_performance_sample_count")
    enough = isinstance(loaded, int) and loaded >= wanted
    return bool(trial.settings.get("performance_issue_unique", 0)) or (trial.audit.scenario == "Offline" and enough)

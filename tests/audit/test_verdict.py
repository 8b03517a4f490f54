"""The sentence that sums findings up says PASS or FAIL first and hides nothing."""

from __future__ import annotations

from audit.finding import Finding, Severity
from audit.verdict import summarize


def finding(severity: Severity, check: str) -> Finding:
    """A finding of one severity."""
    return Finding(check, severity, "log.txt", "key", "1", "2", "a clause", "Mend it.")


def test_nothing_found_is_a_pass() -> None:
    assert summarize([]) == "PASS"


def test_warnings_and_notes_pass_and_are_shown() -> None:
    lines = summarize([finding(Severity.NOTE, "b"), finding(Severity.WARNING, "a")]).splitlines()
    assert lines[0] == "PASS (1 warning, 1 note)"
    assert lines[1] == "  warning: a: key is 1, wanted 2 in log.txt (a clause). Mend it."


def test_an_error_fails_and_comes_first() -> None:
    found = [finding(Severity.NOTE, "c"), finding(Severity.ERROR, "a"), finding(Severity.ERROR, "b")]
    lines = summarize(iter(found)).splitlines()
    assert lines[0] == "FAIL: a: key is 1, wanted 2 (2 errors, 1 note)"
    assert [line.split(":")[0].strip() for line in lines[1:]] == ["error", "error", "note"]

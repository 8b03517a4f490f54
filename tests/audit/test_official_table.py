"""The table of what the official checker does: rows are whole, faults find theirs, verdicts add up."""

from __future__ import annotations

from dataclasses import replace

import pytest

from audit import official
from audit.finding import Finding, Severity

TTFT = "result_first_token_99.00_percentile_latency_ns"
RUN = "closed/Acme/results/toybox/resnet50/{}/{}/mlperf_log_detail.txt"


def finding(
    check: str, key: str = "key", *, file: str = RUN.format("Offline", "performance/run_1"), found: str = "1"
) -> Finding:
    """A finding of one check."""
    return Finding(check, Severity.ERROR, file, key, found, "2", "clause", "fix")


def test_rows_are_whole() -> None:
    assert all(row.word in (official.ACCEPTS, official.REJECTS, official.CRASHES) for row in official.TABLE)
    assert all(row.why for row in official.TABLE)
    assert len({(r.check, r.key, r.found, r.file, r.part, r.division) for r in official.TABLE}) == len(official.TABLE)


WORDS = [
    (finding("validity", "result_validity"), "accepts"),
    (finding("seeds"), "rejects"),
    (finding("seeds", file=RUN.format("Offline", "accuracy")), "accepts"),
    (finding("seeds", file=RUN.format("Offline", "TEST01/performance/run_1")), "rejects"),
    (finding("seeds", file=RUN.format("Offline", "TEST01/performance/run_1").replace("closed", "open")), "accepts"),
    (finding("seeds", file=RUN.format("Offline", "TEST06/performance/run_1")), "accepts"),
    (finding("early-stopping"), "accepts"),
    (finding("early-stopping", file=RUN.format("Server", "performance/run_1")), "rejects"),
    (finding("loadgen-errors"), "accepts"),
    (finding("loadgen-errors", file=RUN.format("Offline", "accuracy")), "rejects"),
    (finding("latency", TTFT, file=RUN.format("Server", "performance")), "rejects"),
    (finding("latency", TTFT, file=RUN.format("Interactive", "performance")), "accepts"),
    (finding("samples-per-query"), "rejects"),
    (finding("samples-per-query", file=RUN.format("Offline", "performance").replace("closed", "open")), "accepts"),
    (finding("accuracy", "DLRM_NE", found="1.5"), "accepts"),
    (finding("accuracy", "DLRM_NE", found="missing"), "rejects"),
    (finding("accuracy", "acc", file="open/Acme/results/a/b/Offline/accuracy/accuracy.txt"), "accepts"),
    (finding("truncation", "hash", found="0"), "accepts"),
    (finding("truncation", "hash", found="no hash line"), "rejects"),
    (finding("structure", "file", found="missing"), "crashes"),
    (finding("structure", "results", file="tree"), "accepts"),
    (finding("system", "number_of_nodes", file="closed/Acme/systems/a.json", found="'N/A'"), "crashes"),
    (finding("system", "number_of_nodes", file="closed/Acme/systems/a.json", found="0"), "rejects"),
    (finding("duplicate", "log"), "accepts"),
    (finding("nothing of ours"), ""),
]  # fmt: skip


@pytest.mark.parametrize(("given", "word"), WORDS, ids=lambda value: str(value)[:70])
def test_the_word_for_one_fault(given: Finding, word: str) -> None:
    assert official.word(given) == word


def test_a_word_that_is_known_stays() -> None:
    assert official.judged([replace(finding("validity"), official="crashes")])[0].official == "crashes"


def test_rounds_that_the_checker_does_not_know_get_no_word() -> None:
    assert official.judged([finding("validity")], "mini")[0].official == ""
    assert official.judged([finding("validity")], "v5.1")[0].official == "accepts"


@pytest.mark.parametrize(
    ("words", "verdict"),
    [
        ((), "would accept"),
        (("accepts", ""), "would accept"),
        (("accepts", "rejects"), "would reject"),
        (("crashes", "rejects"), "would crash"),
    ],
)
def test_the_gravest_word_decides(words: tuple[str, ...], verdict: str) -> None:
    findings = [replace(finding("validity"), official=word) for word in words]
    assert official.verdicts(findings) == (("fail" if words else "pass"), verdict)


def test_notes_and_warnings_break_no_rule() -> None:
    note = replace(finding("overlap"), severity=Severity.NOTE, official="accepts")
    assert official.verdicts([note]) == ("pass", "would accept")

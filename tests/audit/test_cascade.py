"""What follows from what: only from damage of the same detail log, and only what says that something is not there."""

from __future__ import annotations

from audit.cascade import split
from audit.finding import Finding, Severity

LOG = "run/mlperf_log_detail.txt"
DAMAGED = Finding("readable", Severity.ERROR, LOG, "damaged", "line 3: torn", "a log", "c", "x")
UNFINISHED = Finding("validity", Severity.ERROR, LOG, "result_validity", "missing: no result", "VALID", "c", "x")
INVALID = Finding("validity", Severity.ERROR, LOG, "result_validity", "INVALID", "VALID", "c", "x")
STOPPING = Finding("early-stopping", Severity.ERROR, LOG, "early_stopping_met", "missing", "True", "c", "x")
SEEDS = Finding("seeds", Severity.ERROR, LOG, "effective_qsl_rng_seed", "0", "1", "c", "x")
DURATION = Finding("duration", Severity.ERROR, LOG, "power_end", "0.000 s", ">= 600 s", "c", "x")


def test_damage_explains_what_is_missing() -> None:
    own, following = split([SEEDS, STOPPING, UNFINISHED, DAMAGED, DURATION])
    assert own == [SEEDS, DAMAGED]
    assert following == {DAMAGED: [STOPPING, UNFINISHED, DURATION]}


def test_a_log_without_an_end_explains_it_likewise() -> None:
    assert split([UNFINISHED, STOPPING, SEEDS]) == ([UNFINISHED, SEEDS], {UNFINISHED: [STOPPING]})


def test_an_invalid_run_explains_nothing() -> None:
    assert split([INVALID, STOPPING]) == ([INVALID, STOPPING], {})


def test_other_files_are_judged_by_themselves() -> None:
    other = Finding("early-stopping", Severity.ERROR, f"other/{LOG}", "early_stopping_met", "missing", "True", "c", "x")
    assert split([DAMAGED, other]) == ([DAMAGED, other], {})
    summary = Finding("readable", Severity.ERROR, "run/mlperf_log_summary.txt", "damaged", "x", "y", "c", "x")
    assert split([summary, STOPPING])[1] == {}


def test_two_kinds_of_damage_stay_both() -> None:
    more = Finding("readable", Severity.ERROR, LOG, "damaged", "missing bytes", "a log", "c", "x")
    assert split([DAMAGED, more, STOPPING]) == ([DAMAGED, more], {DAMAGED: [STOPPING]})

"""What follows from what: of a damaged log what is not there, of copied and exchanged runs what they contradict."""

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


def test_a_damaged_line_explains_that_it_is_absent() -> None:
    absent = Finding("absent", Severity.WARNING, LOG, "requested_seed", "no requested_seed", "every line", "c", "x")
    assert split([DAMAGED, absent]) == ([DAMAGED], {DAMAGED: [absent]})


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


RESULT = "closed/A/results/s/b"


def error(check: str, file: str, key: str, found: str = "x", wanted: str = "y") -> Finding:
    """A finding of the result that stands above `file`."""
    return Finding(check, Severity.ERROR, f"{RESULT}/{file}", key, found, wanted, "c", "x")


def test_a_summary_of_another_run_explains_its_figures() -> None:
    summary = "Offline/performance/run_1/mlperf_log_summary.txt"
    lead, one = error("summary", summary, "figures"), error("summary", summary, "result_min_latency_ns")
    other = error("summary", "Server/performance/run_1/mlperf_log_summary.txt", "result_min_latency_ns")
    assert split([one, lead, other]) == ([lead, other], {lead: [one]})


def test_exchanged_runs_explain_what_either_of_them_contradicts() -> None:
    lead = error("test-settings", "Offline/performance/run_1/mlperf_log_detail.txt", "run")
    score = error("compliance", "Offline/TEST04/verify_performance.txt", "reference score")
    read = error("audit-config", "Offline/TEST01/performance/run_1/mlperf_log_detail.txt", "audit.config")
    seeds = error("seeds", "Offline/performance/run_1/mlperf_log_detail.txt", "effective_qsl_rng_seed")
    apart = error("compliance", "Server/TEST04/verify_performance.txt", "reference score")
    assert split([score, lead, read, seeds, apart]) == ([lead, seeds, apart], {lead: [score, read]})


def test_a_copied_run_explains_what_the_copy_contradicts_in_either_place() -> None:
    first, second = (f"{name}/performance/run_1/mlperf_log_detail.txt" for name in ("MultiStream", "SingleStream"))
    lead = error("duplicate", second, "log", f"the same run as {RESULT}/{first}")
    width = error("samples-per-query", first, "effective_samples_per_query", "1", "8")
    text = error("system", "systems/s.json", "cooling")
    assert split([width, lead, text]) == ([lead, text], {lead: [width]})


def test_copied_runs_explain_what_they_contradict_in_either_result() -> None:
    """Both ways to name where the first ones lie: what differs of two systems, or the whole of another result."""
    log = "b/MultiStream/performance/run_1/mlperf_log_detail.txt"
    for head, place in (("closed/A/results/first", "b/MultiStream"), (f"{RESULT}/Offline", "")):
        said = f"the same runs as in {head}: performance, accuracy"
        lead = Finding("duplicate", Severity.ERROR, f"closed/A/results/copy/{log}", "log", said, "y", "c", "x")
        text = f"{head}/{place}/TEST01/verify_performance.txt".replace("//", "/")
        score = Finding("compliance", Severity.ERROR, text, "reference score", "1", "2", "c", "x")
        assert split([score, lead]) == ([lead], {lead: [score]})


def test_an_end_before_the_beginning_explains_what_was_reckoned_with_it() -> None:
    log = "Offline/performance/run_1/mlperf_log_detail.txt"
    lead, rate = error("times", log, "power_end"), error("rates", log, "result_max_latency_ns", "1", "at most the -3 s")
    right = error("rates", log, "result_samples_per_second", "1", "at most 3")
    lasting = error("duration", log, "power_end", "-3 s")
    assert split([lasting, rate, right, lead]) == ([right, lead], {lead: [lasting, rate]})

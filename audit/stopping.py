"""LoadGen's verdict against its figures: early stopping, queries over the limit, flags, result_validity."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from audit.case import Case, Check
from audit.figures import CLAUSE, FIX, LATENCY, QUERY, Family, points, queries
from audit.finding import Finding
from loadgen_harness import metrics

MOST = 2_000_000  # queries over the limit past which the binomial sum is not worth its time
PROCESSED = re.compile(r"Processed at least \d{1,12} queries \((\d{1,12})\)\.\s+\* Would discard (\d{1,12}) highest")
ESTIMATE = re.compile(r"percentile estimate: (\d{1,18})")
# scenario -> the keys of the estimates in the order of early_stopping_result, and the latencies they are taken from
ESTIMATES = {
    "SingleStream": (("early_stopping_latency_ss", "early_stopping_latency_ms"), LATENCY),
    "MultiStream": (("early_stopping_latency_ms",), QUERY),
}
EARLY = "inference_rules.adoc, Early Stopping Criterion"
FLAGS = ("result_min_duration_met", "result_min_queries_met", "result_perf_constraints_met")


def estimates(case: Case) -> Iterator[Finding]:
    """SingleStream, MultiStream: the estimate is the latency that early stopping leaves, by counts and percentiles."""
    if case.run.scenario not in ESTIMATES or not case.timed or case.log.get("requested_use_token_latencies"):
        return
    keys, family = ESTIMATES[case.run.scenario]
    if case.number(keys[0]) == 0:
        return
    for faults in (_counted(case), _stated(case, keys), _between(case, keys[0], family)):
        first = next(faults, None)
        if first:
            yield first
            return


def missing(case: Case) -> Iterator[Finding]:
    """SingleStream, MultiStream: too few queries for an estimate, which LoadGen then writes as 0, are no result."""
    keys, _ = ESTIMATES.get(case.run.scenario, ((), LATENCY))
    if not keys or not case.timed or case.log.get("requested_use_token_latencies") or case.number(keys[0]) != 0:
        return
    fraction, count = case.number("effective_target_latency_percentile") or 0, queries(case)
    wanted = "an estimate above 0"
    if 0 < fraction < 1:
        wanted += f", for which p{100 * fraction:g} takes {metrics.early_stopping_minimum(1, fraction)} queries"
    found = f"0: no estimate from {count} queries" if count else "0: no estimate"
    fix = "Run longer: LoadGen has no result before early stopping has an estimate."
    yield replace(_finding(case, keys[0], wanted, found=found), check="early-stopping", fix=fix)


def _counted(case: Case) -> Iterator[Finding]:
    """The sentence counts LoadGen's queries, and discards as many of them as the criterion allows."""
    said, fraction = _said(case), case.number("effective_target_latency_percentile") or 0
    if said is None:
        return
    count, discarded = said
    if queries(case) and count != queries(case):
        yield _finding(case, "early_stopping_result", f"{queries(case)} queries, as result_query_count")
    elif 0 < fraction < 1 and discarded < min(count, MOST):
        allowed = metrics.early_stopping_passes(count, discarded + 1, fraction)
        if not allowed or metrics.early_stopping_passes(count, discarded + 2, fraction):
            wanted = f"the number that the criterion allows of {count} queries"
            yield _finding(case, "early_stopping_result", wanted, found=f"{discarded} discarded")


def _stated(case: Case, keys: tuple[str, ...]) -> Iterator[Finding]:
    """The estimates in the sentence are those of the keys."""
    for key, said in zip(keys, ESTIMATE.findall(str(case.log.get("early_stopping_result", ""))), strict=False):
        value = case.number(key)
        if value is not None and value != int(said):
            yield _finding(case, key, f"{said}, as early_stopping_result says")


def _between(case: Case, key: str, family: Family) -> Iterator[Finding]:
    """The estimate lies between the percentiles that its rank lies between; it is never below the official one."""
    estimate, count, said = case.number(key), queries(case), _said(case)
    if estimate is None or not count:
        return
    rank = count - said[1] - 1 if said else int(count * case.limits.percentile)
    for point in points(case, family):
        if int(count * point.fraction) <= rank and point.value > estimate:
            yield _finding(case, key, f">= {point.value:.0f}, as {point.key}")
        elif said and int(count * point.fraction) >= rank and point.value < estimate:
            yield _finding(case, key, f"<= {point.value:.0f}, as {point.key}")


def _said(case: Case) -> tuple[int, int] | None:
    """Queries processed and discarded, by LoadGen's sentence."""
    match = PROCESSED.search(str(case.log.get("early_stopping_result", "")))
    return (int(match[1]), int(match[2])) if match else None


def overlatency(case: Case) -> Iterator[Finding]:
    """Server: as many queries lie over the limit as the percentiles say, and early stopping was judged by them."""
    over, limit = case.number("result_overlatency_query_count"), case.number("effective_target_latency_ns")
    count = queries(case)
    if not case.server or over is None or limit is None or not 0 <= over <= count or not count:
        return
    for point in points(case, LATENCY):
        beyond = int(count * point.fraction) >= count - over
        if beyond != (point.value > limit):
            rank = count - int(count * point.fraction)
            wanted = f"{'fewer than' if beyond else 'at least'} {rank}, since {point.key} is {point.value:.0f}"
            yield _finding(case, "result_overlatency_query_count", wanted)
            return
    yield from _criterion(case, int(over), count)


def _criterion(case: Case, over: int, count: int) -> Iterator[Finding]:
    fraction, met = case.number("effective_target_latency_percentile") or 0, case.log.get("early_stopping_met")
    token_limits = case.log.get("requested_use_token_latencies")
    if token_limits or not 0 < fraction < 1 or over > MOST or met is not True:
        return
    if not metrics.early_stopping_passes(count, over, fraction):
        least = metrics.early_stopping_minimum(over, fraction)
        wanted = f"False: {over} queries over the limit need {least} in all, and {count} were processed"
        yield _finding(case, "early_stopping_met", wanted)


def verdict(case: Case) -> Iterator[Finding]:
    """VALID means that every condition is met, and a condition that is met agrees with its figure."""
    if not case.timed or case.log.get("result_validity") != "VALID":
        return
    for flag in FLAGS:
        if case.log.get(flag) is False:
            yield _verdict(case, flag, "True, since result_validity is VALID")
    least = case.number("effective_min_query_count")
    if case.log.get("result_min_queries_met") is True and least and queries(case) and queries(case) < least:
        yield _verdict(case, "result_min_queries_met", f"False, since {queries(case)} of {least:.0f} queries ran")
    for key, limit in _constraints(case):
        value, most = case.number(key), case.number(limit)
        if case.log.get("result_perf_constraints_met") is True and value and most and value > most:
            yield _verdict(case, "result_perf_constraints_met", f"False, since {key} is over {limit}")


def _constraints(case: Case) -> Iterator[tuple[str, str]]:
    """Server: the measured percentile and the limit that LoadGen held it to."""
    if not case.server:
        return
    tail = f"{(case.number('effective_target_latency_percentile') or 0) * 100:.2f}_percentile"
    if case.log.get("requested_use_token_latencies"):
        yield f"result_first_token_{tail}_latency_ns", "requested_server_ttft_latency"
        yield f"result_time_per_output_token_{tail}_ns", "requested_server_tpot_latency"
    else:
        yield f"result_{tail}_latency_ns", "effective_target_latency_ns"


def _finding(case: Case, key: str, wanted: str, **more: object) -> Finding:
    return case.finding("early-stopping-figures", key, wanted, clause=EARLY, fix=FIX, **more)


def _verdict(case: Case, key: str, wanted: str) -> Finding:
    return case.finding("verdict", key, wanted, clause=CLAUSE, fix=FIX)


CHECKS: tuple[Check, ...] = (missing, estimates, overlatency, verdict)

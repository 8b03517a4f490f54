"""What LoadGen's figures say of how long a run took, against its length from power_begin to power_end.

Both stamps come from one steady clock (LoadGen adds the time up to the last completion to the first), so they differ
from the figures by what LoadGen does between two queries and by rounding to a millisecond; setting the wall clock
changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from audit.case import ENDPOINTS, Case, Check
from audit.figures import CLAUSE, FIX, LATENCY, QUERY, queries
from audit.finding import Finding, Severity

SHARE = 0.001  # relative; in every published log the ends agree to a millisecond
ROUNDED_S = 0.05
BETWEEN_NS = 250_000  # LoadGen and harness between two queries: 82,600 ns at most in published logs
BETWEEN = 0.01  # and less than this share of the run is not worth a word
WALL = 0.01  # relative: LoadGen's stamps of its log lines are taken elsewhere
ONE_EDITED = "or one of the two was edited"
MEANS = {"SingleStream": LATENCY.mean, "MultiStream": QUERY.mean}


class Span(NamedTuple):
    """A figure and the seconds, at least and at most, that a run of it lasted."""

    key: str
    least: float
    most: float


def window(case: Case) -> Iterator[Finding]:
    """What LoadGen timed is as long as it says that the run was."""
    length = case.run.duration_s
    if not case.performance or length is None:
        return
    slack = length * SHARE + ROUNDED_S
    for span in _spans(case):
        wanted = f"the {length:.3f} s between power_begin and power_end, {ONE_EDITED}"
        if span.least > length + slack:
            found = f"{case.log.get(span.key)}, which takes {span.least:.3f} s"
            yield case.finding("rates", span.key, f"at most {wanted}", found=found, clause=CLAUSE, fix=FIX)
            return
        if case.timed and case.run.syntax != ENDPOINTS and span.most + slack < length:
            found = f"{case.log.get(span.key)}, which takes {span.most:.3f} s at most"
            yield case.finding("rates", span.key, wanted, found=found, clause=CLAUSE, fix=FIX)
            return


def between(case: Case) -> Iterator[Finding]:
    """Queries one after another fill the run: LoadGen issues the next as soon as one is done."""
    key = MEANS.get(case.run.scenario, "")
    mean, count, length = case.number(key), queries(case), case.run.duration_s
    if not case.timed or not mean or not count or length is None or not _streams(case):
        return
    rest = length * 1e9 - mean * count
    if rest > BETWEEN_NS * count and rest > BETWEEN * length * 1e9:
        yield case.finding(
            "rates",
            key,
            f"queries that fill the {length:.3f} s of the run but for {BETWEEN_NS / 1e6:g} ms each, {ONE_EDITED}",
            found=f"{case.log.get(key)}: {rest / count / 1e6:.3g} ms pass between two queries, "
            f"{rest / length / 1e9:.1%} of the run",
            clause=CLAUSE,
            fix=f"{FIX} Where it is so, the harness works on after it has reported a query complete.",
            severity=Severity.WARNING,
        )


def clock(case: Case) -> Iterator[Finding]:
    """The run lasted no longer by the wall clock than LoadGen's own time stamps of its log lines."""
    stamp, length = case.run.time_ms("power_end"), case.run.duration_s
    if case.performance and stamp and length is not None and length > stamp / 1000 * (1 + WALL) + ROUNDED_S:
        wanted = f"at most {stamp / 1000:.3f} s after power_begin, when LoadGen wrote the line"
        found = f"{length:.3f} s after power_begin"
        yield case.finding("times", "power_end", wanted, found=found, clause=CLAUSE, fix=FIX)


def _streams(case: Case) -> bool:
    """Whether queries followed each other at once, as LoadGen issues them: before 2.0 those of MultiStream did not."""
    if case.run.syntax == ENDPOINTS:
        return False
    return case.run.scenario == "SingleStream" or case.number("early_stopping_latency_ms") is not None


def _spans(case: Case) -> Iterator[Span]:
    """How long the run took, from its first query to the last completion, by each figure of the log that tells."""
    count, most = queries(case), (case.number(LATENCY.most) or 0) / 1e9
    if case.run.scenario == "Offline" and most > 0:
        yield Span(LATENCY.most, most, most)
    rates = {"SingleStream": "result_qps_with_loadgen_overhead", "Server": "result_scheduled_samples_per_sec"}
    key = rates.get(case.run.scenario, "")
    rate = case.number(key)
    if rate and rate > 0 and count > 1:  # until the last query was due, or issued; any of them may be done last
        yield Span(key, (count - 1) / rate, (count - 1) / rate + most if most else float("inf"))
    done = case.number("result_completed_samples_per_sec")
    if case.server and done and done > 0 and count > 1:
        yield Span("result_completed_samples_per_sec", (count - 1) / done, float("inf"))
    key = MEANS.get(case.run.scenario, "")
    mean = case.number(key)
    if mean and count and _streams(case):
        yield Span(key, mean * count / 1e9, float("inf"))


CHECKS: tuple[Check, ...] = (window, between, clock)

"""LoadGen's own figures against each other: a foreign log has nothing else, and an edited one contradicts itself.

LoadGen prints latencies to the nanosecond and rates with six digits; each bound here follows from how it computes them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

from audit.case import Case, Check
from audit.finding import Finding
from loadgen_harness.types import TestMode

PRINTED = 2e-5  # relative: one rate of six digits over another
PLACES = 0.0051  # old summaries state rates with two places, and old logs do not state them
SIGMAS = 5.0
SHOWN = 5  # keys named
WORDS = re.compile(r"_(scenario|test_mode|validity|reason|result)$")  # keys that hold a text
CLAUSE = "inference_rules.adoc, LoadGen Operation: LoadGen tracks the latency of queries and computes final metrics"
FIX = "Submit the log as LoadGen wrote it, or repeat the run."


class Family(NamedTuple):
    """The keys of one kind of latency; `between` matches its percentiles."""

    least: str
    mean: str
    most: str
    between: str


class Point(NamedTuple):
    """One percentile: the fraction of samples below it, its key, its ns."""

    fraction: float
    key: str
    value: float


LATENCY = Family(
    "result_min_latency_ns",
    "result_mean_latency_ns",
    "result_max_latency_ns",
    r"result_(\d{1,2}\.\d+)_percentile_latency_ns",
)
QUERY = Family(
    "result_min_query_latency_ns",
    "result_mean_query_latency_ns",
    "result_max_query_latency_ns",
    r"result_(\d{1,2}\.\d+)_percentile_per_query_latency_ns",
)
FIRST_TOKEN = Family(
    "result_first_token_min_latency_ns",
    "result_first_token_mean_latency_ns",
    "result_first_token_max_latency_ns",
    r"result_first_token_(\d{1,2}\.\d+)_percentile_latency_ns",
)
PER_TOKEN = Family(
    "result_time_to_output_token_min",
    "result_time_to_output_token_mean",
    "result_time_to_output_token_max",
    r"result_time_per_output_token_(\d{1,2}\.\d+)_percentile_ns",
)
FAMILIES = (LATENCY, QUERY, FIRST_TOKEN, PER_TOKEN)


def points(case: Case, family: Family) -> list[Point]:
    """The percentiles of a family in rising order."""
    found = []
    for key in (each for each in case.log if "_percentile_" in each):
        match, value = re.fullmatch(family.between, key), case.number(key)
        if match and value is not None:
            found.append(Point(float(match[1]) / 100, key, value))
    return sorted(found)


def queries(case: Case) -> int:
    """Queries that LoadGen counted, 0 where it did not say."""
    return int(case.number("result_query_count") or 0)


def samples(case: Case) -> int:
    """Samples behind the latencies, 0 where the log does not say."""
    width = 1.0
    if case.run.scenario in ("Offline", "MultiStream"):
        width = case.number("generated_samples_per_query") or case.number("effective_samples_per_query") or 0
    return int(queries(case) * width)


def repeated(case: Case) -> Iterator[Finding]:
    """Every setting and result stands in the log once: readers differ on which of several counts."""
    for key in sorted(case.run.repeated)[:SHOWN]:
        yield _finding(case, "repeated", key, "one line", found=f"several, the last {case.log.get(key)}")


def numbers(case: Case) -> Iterator[Finding]:
    """A figure is a number: readers differ on one in quotation marks."""
    for key, value in case.log.items():
        figure = key.startswith(("result_", "generated_", "effective_", "early_stopping_latency"))
        if figure and not isinstance(value, int | float) and not WORDS.search(key):
            yield _finding(case, "readable", key, "a number", found=repr(value)[:80])
            return


def positive(case: Case) -> Iterator[Finding]:
    """The result is more than nothing."""
    result = case.run.result
    if case.timed and result and result.value <= 0:
        yield _finding(case, "rates", result.key, "more than 0")


def rising(case: Case) -> Iterator[Finding]:
    """Least, percentiles and most never fall, and the mean lies between."""
    for family in FAMILIES:
        ladder = _ladder(case, family)
        for before, after in pairwise(ladder):
            if before.value > after.value:
                yield _finding(case, "percentiles", after.key, f">= {before.value:.0f}, as {before.key}")
                break
        mean = case.number(family.mean)
        if len(ladder) < 2 or mean is None or _wrapped(case, ladder):
            continue
        low, high = sorted((ladder[0].value, ladder[-1].value))  # the wrong way round they are told above
        if not low - 1 <= mean <= high:
            yield _finding(case, "percentiles", family.mean, f"{low:.0f} to {high:.0f}")


def means(case: Case) -> Iterator[Finding]:
    """The mean is possible beside the percentiles: between each two of them lie so many latencies."""
    for family, count in ((LATENCY, samples(case)), (QUERY, queries(case))):
        mean, ladder = case.number(family.mean), _ladder(case, family)
        if not count or mean is None or len(ladder) < 3 or ladder[0].key != family.least or _wrapped(case, ladder):
            continue
        if any(before.value > after.value for before, after in pairwise(ladder)):
            continue  # told by `rising`, and no bounds follow from it
        low, high = _bounds(ladder, count)
        if ladder[0].value <= mean <= ladder[-1].value and not low - 1 <= mean <= high + 1:
            yield _finding(case, "percentiles", family.mean, f"{low:.0f} to {high:.0f}, by the percentiles")


def _ladder(case: Case, family: Family) -> list[Point]:
    """Least, percentiles, most, as far as they are there."""
    ends = [(0.0, family.least), (1.0, family.most)]
    least, most = (
        [Point(fraction, key, value)] if (value := case.number(key)) is not None else [] for fraction, key in ends
    )
    return [*least, *points(case, family), *most]


def _wrapped(case: Case, ladder: list[Point]) -> bool:
    """Whether the sum of the latencies may be more than LoadGen's 64 bits hold: its mean is then no mean."""
    return ladder[-1].value * max(samples(case), 1) >= 2**63


def _bounds(ladder: list[Point], count: int) -> tuple[float, float]:
    """The smallest and largest mean of `count` sorted latencies through these points (LoadGen's rank: floor)."""
    ranks = [min(int(count * point.fraction), count - 1) for point in ladder]
    low = high = ladder[-1].value
    for (point, after), (rank, end) in zip(pairwise(ladder), pairwise(ranks), strict=True):
        low += (end - rank) * point.value
        high += (end - rank) * after.value
    return low / count, high / count


def single_stream(case: Case) -> Iterator[Finding]:
    """SingleStream: queries per second without overhead is 1 over the mean; with overhead it is no more than that."""
    without, with_, mean, most = map(
        case.number,
        ("result_qps_without_loadgen_overhead", "result_qps_with_loadgen_overhead", LATENCY.mean, LATENCY.most),
    )
    if case.run.scenario != "SingleStream" or not mean or mean <= 0:
        return
    places = PLACES if case.run.syntax == "plain" else 0.0
    if without and abs(without * mean / 1e9 - 1) > PRINTED + 1 / mean + places / without:
        yield _finding(case, "rates", "result_qps_without_loadgen_overhead", f"{1e9 / mean:.6g}, 1 over the mean")
    count = queries(case)
    if with_ and most and count > 1 and mean * count > most:
        fastest = (count - 1) * 1e9 / (mean * count - most)  # the last query is issued when all before it are done
        if with_ > fastest * (1 + PRINTED):
            yield _finding(case, "rates", "result_qps_with_loadgen_overhead", f"<= {fastest:.6g}")


def server(case: Case) -> Iterator[Finding]:
    """Server: completion lags the schedule by the latency of a query, and the schedule is that of the target rate."""
    keys = ("result_scheduled_samples_per_sec", "result_completed_samples_per_sec", LATENCY.least, LATENCY.most)
    scheduled, completed, least, most = map(case.number, keys)
    count = queries(case)
    if not case.server or count < 2 or not scheduled or not completed or min(scheduled, completed) <= 0:
        return
    done, due = (count - 1) / completed, (count - 1) / scheduled
    slack = PRINTED * done
    if not (least or 0) / 1e9 - slack <= done - due <= (most if most is not None else done * 1e9) / 1e9 + slack:
        wanted = f"{(count - 1) / (due + (least or 0) / 1e9):.6g} or less, as the schedule and the latencies have it"
        yield _finding(case, "rates", keys[1], wanted)
    target = case.number("effective_target_qps")
    if target and count >= 10 and abs(due * target / (count - 1) - 1) > SIGMAS / (count - 1) ** 0.5 + PRINTED:
        wanted = f"{target:.6g} within {SIGMAS / (count - 1) ** 0.5:.2%}, as a Poisson process of this target_qps has"
        yield _finding(case, "rates", keys[0], wanted)


def generated(case: Case) -> Iterator[Finding]:
    """Offline: LoadGen generates the samples that the settings ask for, whole data sets of them in equal issue."""
    keys = ("generated_samples_per_query", "effective_samples_per_query", "effective_sample_concatenate_permutation")
    made, asked, equal = map(case.number, keys)
    timed = case.run.scenario == "Offline" and case.run.mode != TestMode.ACCURACY.value
    if timed and made and asked and (made < asked if equal else made != asked):
        yield _finding(case, "rates", keys[1], f"{made:.0f}, as {keys[0]}")


def tokens(case: Case) -> Iterator[Finding]:
    """Both token rates stand for the same number of tokens."""
    keys = {"Server": "result_completed_tokens_per_second", "SingleStream": ""}
    if case.run.scenario not in keys or not case.log.get("requested_use_token_latencies"):
        return
    count, mean = queries(case), case.number(LATENCY.mean)
    rate, per_ns = case.number(keys[case.run.scenario]), case.number("result_token_throughput")
    completed = case.number("result_completed_samples_per_sec")
    if not (rate and per_ns and completed and mean and count > 1):
        return
    by_rate, by_latency = rate * (count - 1) / completed, per_ns * mean * count
    if abs(by_rate / by_latency - 1) > 2 * PRINTED + 1 / mean:
        wanted = f"{by_latency * completed / (count - 1):.6g}, the tokens of result_token_throughput"
        yield _finding(case, "tokens", keys["Server"], wanted)


def first_tokens(case: Case) -> Iterator[Finding]:
    """A first token never comes after the last, so no percentile of theirs lies above the same of whole latencies."""
    whole = {point.fraction: point for point in points(case, LATENCY)}
    for point in points(case, FIRST_TOKEN):
        last = whole.get(point.fraction)
        if last and point.value > last.value:
            yield _finding(case, "tokens", point.key, f"<= {last.value:.0f}, as {last.key}")
            return


def _finding(case: Case, check: str, key: str, wanted: str, **more: object) -> Finding:
    return case.finding(check, key, wanted, clause=CLAUSE, fix=FIX, **more)


CHECKS: tuple[Check, ...] = (
    repeated,
    numbers,
    positive,
    rising,
    means,
    single_stream,
    server,
    generated,
    tokens,
    first_tokens,
)

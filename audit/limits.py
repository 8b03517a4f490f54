"""Checks of the round's figures: seeds, durations, counts, percentile, latency limits, token latencies, equal issue."""

from __future__ import annotations

from collections.abc import Iterator

from audit.case import ENDPOINTS, Case, Check
from audit.finding import Finding, Severity
from loadgen_harness import rounds
from loadgen_harness.types import Division

ROUNDING = 1 + 1e-5  # LoadGen prints rates with six digits
CLOCK_S = 0.002  # power_begin and power_end are printed to the millisecond


def seeds(case: Case) -> Iterator[Finding]:
    """LoadGen's three seeds are the round's, in every division."""
    drawn = ("sample_index", "schedule") if case.run.syntax == ENDPOINTS else ("qsl", "sample_index", "schedule")
    for name in drawn:
        key, wanted = f"effective_{name}_rng_seed", getattr(case.round.seeds, name)
        if case.log.get(key) != wanted:
            yield case.finding(
                "seeds",
                key,
                wanted,
                clause=f"inference_rules.adoc, Non-determinism is restricted; seeds of {case.round.name}",
                fix=_seeds_fix(case.log.get(key), name),
            )


def _seeds_fix(found: object, name: str) -> str:
    """By what was found: what FromConfig leaves, another round's seed, or a number of nobody's."""
    if found == 0:
        return "Use one process per run: a second FromConfig call in a process leaves the seeds at 0."
    others = (rounds.load(each) for each in reversed(rounds.official()))
    theirs = next((each.name for each in others if getattr(each.seeds, name) == found), "")
    if theirs:
        return f"It is the seed of {theirs}: repeat the run with this round's LoadGen, whose mlperf.conf has its seeds."
    return "It is no round's: take seeds out of user.conf and repeat the run; an edited log cannot be mended."


def duration_setting(case: Case) -> Iterator[Finding]:
    """LoadGen was told to run at least the minimum duration, and not to stop before it."""
    if not case.timed:
        return
    wanted = case.limits.min_duration_ms
    if (case.number("effective_min_duration_ms") or 0) < wanted:
        fix = f"Set min_duration = {wanted} in user.conf."
        yield case.finding(
            "duration-setting", "effective_min_duration_ms", f">= {wanted}", clause=_RULE_DURATION, fix=fix
        )
    for key, least in (("max_duration_ms", wanted), ("max_query_count", case.limits.min_query_count)):
        if 0 < (case.number(f"effective_{key}") or 0) < least:
            fix = f"Remove {key.removesuffix('_ms')} from user.conf."
            yield case.finding(
                "duration-setting", f"effective_{key}", f"0 or >= {least}", clause=_RULE_DURATION, fix=fix
            )


def duration(case: Case) -> Iterator[Finding]:
    """The run really lasted the minimum duration, by every clock in the log."""
    wanted = case.limits.min_duration_ms / 1000
    if not case.timed or not wanted:
        return
    figures = list(_durations(case))
    short = [(key, seconds) for key, seconds in figures if seconds < wanted] or (
        [] if figures else [("power_end", 0.0)]
    )
    for key, seconds in short[:1]:
        yield case.finding(
            "duration",
            key,
            f">= {wanted:g} s",
            found=f"{seconds:.3f} s",
            clause=_RULE_DURATION,
            fix="Raise the expected rate (or lower the expected latency) so that LoadGen generates enough queries.",
        )


def _durations(case: Case) -> Iterator[tuple[str, float]]:
    """What the log says the run lasted: its power window, and the figure that LoadGen compares with the minimum."""
    if case.run.duration_s is not None:
        yield "power_end", case.run.duration_s + CLOCK_S
    if case.run.scenario == "Offline" and (latency := case.number("result_max_latency_ns")) is not None:
        yield "result_max_latency_ns", latency / 1e9
    rates = {"Server": "result_scheduled_samples_per_sec", "SingleStream": "result_qps_with_loadgen_overhead"}
    rate, queries = case.number(rates.get(case.run.scenario, "")), case.number("result_query_count")
    if rate and queries is not None:
        yield rates[case.run.scenario], (queries - 1) / rate * ROUNDING


def query_count(case: Case) -> Iterator[Finding]:
    """Enough queries were demanded and issued; Offline counts the samples of its one query instead."""
    wanted = case.test_settings.get("min_query_count", case.limits.min_query_count)
    if not case.performance or not wanted:
        return
    if case.run.scenario == "Offline":
        yield from _offline_samples(case, wanted)
        return
    for key in ("effective_min_query_count", "result_query_count"):
        if (case.number(key) or 0) < wanted:
            yield case.finding(
                "query-count",
                key,
                f">= {wanted:.0f}",
                clause="inference_rules.adoc, Scenarios: minimum query count, and Early Stopping Criterion",
                fix=f"Set min_query_count = {wanted:.0f} in user.conf and repeat the run.",
            )


def _offline_samples(case: Case, wanted: float) -> Iterator[Finding]:
    if (case.number("effective_samples_per_query") or 0) < wanted:
        relaxed = case.claim.division is Division.OPEN
        yield case.finding(
            "samples-per-query",
            "effective_samples_per_query",
            f">= {wanted:.0f}",
            severity=Severity.NOTE if relaxed else Severity.ERROR,
            clause="inference_rules.adoc, Scenarios: Offline samples per query"
            + (", relaxed in the open division" if relaxed else ""),
            fix=f"Set min_query_count = {wanted:.0f} or raise target_qps in user.conf.",
        )


def stream_width(case: Case) -> Iterator[Finding]:
    """MultiStream issues the round's number of samples with each query; SingleStream and Server one."""
    wanted = {"MultiStream": case.limits.samples_per_query, "SingleStream": 1, "Server": 1}.get(case.run.scenario, 0)
    if case.performance and wanted and case.number("effective_samples_per_query") != wanted:
        yield case.finding(
            "samples-per-query",
            "effective_samples_per_query",
            wanted,
            clause="inference_rules.adoc, Scenarios: samples per query",
            fix="Remove samples_per_query from user.conf.",
        )


def performance_samples(case: Case) -> Iterator[Finding]:
    """The performance sample set is at least the round's."""
    wanted = case.limits.performance_sample_count
    if case.performance and (case.number("effective_performance_sample_count") or 0) < wanted:
        yield case.finding(
            "performance-sample-count",
            "effective_performance_sample_count",
            f">= {wanted}",
            clause="inference_rules.adoc, Benchmarks: QSL size",
            fix="Give LoadGen the model name of its mlperf.conf: an unknown name is ignored and leaves a default.",
        )


def accuracy_samples(case: Case) -> Iterator[Finding]:
    """An accuracy run covers the whole data set, no more and no less."""
    wanted, key = case.limits.accuracy_sample_count, "effective_accuracy_sample_count"
    if key not in case.log:
        key = "qsl_reported_total_count"  # LoadGen logs the other since v6.0
    if not case.performance and wanted and case.number(key) != wanted:
        yield case.finding(
            "accuracy-sample-count",
            key,
            wanted,
            clause="inference_rules.adoc, LoadGen Operation: accuracy runs use each sample exactly once",
            fix="Run accuracy over the whole data set.",
        )


def percentile(case: Case) -> Iterator[Finding]:
    """The tail percentile is the round's."""
    wanted, key = case.limits.percentile, "effective_target_latency_percentile"
    if case.timed and wanted and case.run.scenario != "Offline" and abs((case.number(key) or 0) - wanted) > 1e-6:
        fix = "Remove target_latency_percentile from user.conf."
        yield case.finding("percentile", key, wanted, clause="inference_rules.adoc, Scenarios: tail latency", fix=fix)


def latency_limits(case: Case) -> Iterator[Finding]:
    """LoadGen judged Server and Interactive by a limit at most the round's: its logs call both Server."""
    for key, limit_ms in _limits(case, "effective_target_latency_ns", "requested_server_{}_latency"):
        found = case.number(key)
        if found is None or found > limit_ms * 1e6:
            yield case.finding(
                "latency-setting",
                key,
                f"<= {limit_ms * 1e6:.0f}",
                severity=_latency_severity(case),
                clause=_latency_clause(case),
                fix="Use LoadGen's model name for this scenario (…-interactive) and no latency in user.conf.",
            )


def latencies(case: Case) -> Iterator[Finding]:
    """The measured tail latency is within the limit; the official checker holds Interactive to Server's limits."""
    tail = f"{case.limits.percentile * 100:.2f}_percentile"
    keys = {"ttft": f"result_first_token_{tail}_latency_ns", "tpot": f"result_time_per_output_token_{tail}_ns"}
    for key, limit_ms in _limits(case, f"result_{tail}_latency_ns", "{}"):
        key = keys.get(key, key)
        if (case.number(key) or 0) > limit_ms * 1e6:
            yield case.finding(
                "latency",
                key,
                f"<= {limit_ms * 1e6:.0f}",
                severity=_latency_severity(case),
                clause=_latency_clause(case),
                fix="Lower target_qps until the limit is met.",
            )


def _latency_severity(case: Case) -> Severity:
    """The rules relax latency limits in the open division, whatever the official checker says there."""
    return Severity.NOTE if case.claim.division is Division.OPEN else Severity.ERROR


def _latency_clause(case: Case) -> str:
    if case.claim.division is Division.OPEN:
        return "inference_rules.adoc, Relaxed constraints for the Open division: latency constraints are reported"
    return f"inference_rules.adoc, Benchmarks: {case.claim.scenario} latency constraint"


def _limits(case: Case, whole: str, token: str) -> Iterator[tuple[str, float]]:
    """The latency limits in force as (key, ms): end to end, or first token and time per output token."""
    if not (case.server and case.timed):
        return
    if case.limits.target_latency_ms is not None:
        yield whole, case.limits.target_latency_ms
    for name, limit in (("ttft", case.limits.ttft_ms), ("tpot", case.limits.tpot_ms)):
        if limit is not None:
            yield token.format(name), limit


def token_latencies(case: Case) -> Iterator[Finding]:
    """Token latencies are measured where the round wants them, in every scenario."""
    key = "requested_use_token_latencies"
    if case.limits.token_latencies and not case.number(key):
        fix = "Set use_token_latencies = 1 or use LoadGen's model name."
        yield case.finding(
            "token-latencies", key, True, clause="inference_rules.adoc, Benchmarks: token latencies", fix=fix
        )


def equal_issue(case: Case) -> Iterator[Finding]:
    """Samples of unlike size are issued equally often, unless the test's audit.config switches that off."""
    key = "effective_sample_concatenate_permutation"
    wanted = case.limits.equal_issue and case.test_settings.get("sample_concatenate_permutation", 1)
    if wanted and not case.number(key):
        fix = "Set sample_concatenate_permutation = 1 or use LoadGen's model name."
        yield case.finding("equal-issue", key, True, clause="mlperf.conf: equal issue mode", fix=fix)


_RULE_DURATION = "inference_rules.adoc, Scenarios: minimum duration"
CHECKS: tuple[Check, ...] = (
    seeds,
    duration_setting,
    duration,
    query_count,
    stream_width,
    performance_samples,
    accuracy_samples,
    percentile,
    latency_limits,
    latencies,
    token_latencies,
    equal_issue,
)

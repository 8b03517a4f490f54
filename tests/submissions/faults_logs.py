"""Faults of the golden tree's logs: settings, verdicts, figures."""

from __future__ import annotations

from tests.submissions.mutations import (
    DETAIL,
    MULTI,
    OFFLINE,
    OPEN,
    RUN,
    SINGLE,
    SUMMARY,
    Change,
    Mutation,
    both,
    detail,
    edit,
    line,
    one,
    summary,
    together,
)

AUDIT = "Found Audit Config file (audit.config). Overriding TestSettings from audit.config file."
SHORT = 20 / 617.774520858  # a run of 20 s out of the Offline run


def _short_run() -> dict[str, object]:
    """The Offline run as it would be, were it over after 20 s."""
    latencies = {
        "result_min_latency_ns": 1346476307,
        "result_max_latency_ns": 617774520858,
        "result_mean_latency_ns": 309560428104,
        "result_50__00_percentile_latency_ns": 310184555737,
        "result_90__00_percentile_latency_ns": 556456871266,
        "result_95__00_percentile_latency_ns": 587074067040,
        "result_97__00_percentile_latency_ns": 600385985979,
        "result_99__00_percentile_latency_ns": 612367070309,
        "result_99__90_percentile_latency_ns": 617691509220,
    }
    shorter: dict[str, object] = {key: int(value * SHORT) for key, value in latencies.items()}
    return shorter | {
        "result_samples_per_second": 1485.0,
        "result_validity": "INVALID",
        "result_min_duration_met": False,
    }


def _faster() -> Change:
    """The Offline run 2.5 % faster in both logs and in the texts of its tests, but not in its length."""
    figures = {key: value for key, value in _short_run().items() if key.endswith("_latency_ns")}
    better: dict[str, object] = {key: int(float(str(value)) / SHORT / 1.02564) for key, value in figures.items()}
    texts = (OFFLINE / test / "verify_performance.txt" for test in ("TEST01", "TEST04"))
    edits = (edit(text, "48.0758", "49.3085") for text in texts)
    return together(both(OFFLINE / RUN, result_samples_per_second=49.3085, **better), *edits)


SETTINGS: dict[str, Mutation] = {
    "qsl seed": Mutation(both(OPEN / RUN, effective_qsl_rng_seed=0), one("seeds", "effective_qsl_rng_seed")),
    "sample index seed": Mutation(
        both(SINGLE / RUN, effective_sample_index_rng_seed=7), one("seeds", "effective_sample_index_rng_seed")
    ),
    "schedule seed of v6.0": Mutation(
        both(OFFLINE / RUN, effective_schedule_rng_seed=3936089224930324775),
        one("seeds", "effective_schedule_rng_seed"),
    ),
    "another seed asked for than in effect": Mutation(
        detail(SINGLE / RUN, requested_qsl_rng_seed=1), one("requested", "requested_qsl_rng_seed")
    ),
    "a short run asked for": Mutation(
        detail(OFFLINE / RUN, requested_min_duration_ms=60000), one("requested", "requested_min_duration_ms")
    ),
    "seed of the accuracy run": Mutation(
        detail(SINGLE / "accuracy", effective_qsl_rng_seed=0), one("seeds", "effective_qsl_rng_seed")
    ),
    "seed of a compliance test": Mutation(
        both(SINGLE / "TEST04" / RUN, effective_qsl_rng_seed=0), one("seeds", "effective_qsl_rng_seed")
    ),
    "duration of 60 s asked for": Mutation(
        both(OPEN / RUN, effective_min_duration_ms=60000), one("duration-setting", "effective_min_duration_ms")
    ),
    "duration of a test": Mutation(
        both(MULTI / "TEST01" / RUN, effective_min_duration_ms=60000),
        (
            *one("duration-setting", "effective_min_duration_ms"),
            *one("test-settings", "effective_min_duration_ms"),
            *one("responses", "seq_id"),  # which ones are logged follows from it too
            *one("verdict-text", "num_perf_log_entries"),
        ),
    ),
    "end after 20 s asked for": Mutation(
        both(OPEN / RUN, effective_max_duration_ms=20000), one("duration-setting", "effective_max_duration_ms")
    ),
    "fewest queries lowered": Mutation(
        both(MULTI / RUN, effective_min_query_count=100), one("query-count", "effective_min_query_count")
    ),
    "samples per Offline query": Mutation(
        both(OFFLINE / RUN, effective_samples_per_query=10000),
        (*one("samples-per-query", "effective_samples_per_query"), *one("rates", "effective_samples_per_query")),
    ),
    "samples per MultiStream query": Mutation(
        both(MULTI / RUN, effective_samples_per_query=4), one("samples-per-query", "effective_samples_per_query")
    ),
    "performance samples": Mutation(
        both(OPEN / RUN, effective_performance_sample_count=64),
        (
            *one("performance-sample-count", "effective_performance_sample_count"),
            *one("same-data", "effective_performance_sample_count"),
        ),
    ),
    "samples of the accuracy run": Mutation(
        detail(OFFLINE / "accuracy", effective_accuracy_sample_count=49999),
        one("accuracy-sample-count", "effective_accuracy_sample_count"),
    ),
    "several queries at once": Mutation(
        both(SINGLE / RUN, effective_max_async_queries=8), one("locked-setting", "effective_max_async_queries")
    ),
    "samples drawn in turn": Mutation(
        both(OFFLINE / RUN, effective_sample_concatenate_permutation=True),
        (
            *one("locked-setting", "effective_sample_concatenate_permutation"),
            *one("test-settings", "effective_sample_concatenate_permutation"),
            *one("test-settings", "effective_sample_concatenate_permutation"),
        ),
    ),
    "responses logged while timed": Mutation(
        both(SINGLE / RUN, effective_accuracy_log_sampling_target=128),
        one("audit-settings", "effective_accuracy_log_sampling_target"),
    ),
    "unique samples": Mutation(
        both(SINGLE / RUN, effective_performance_issue_unique=True),
        one("audit-settings", "effective_performance_issue_unique"),
    ),
}
VERDICTS: dict[str, Mutation] = {
    "INVALID run": Mutation(
        both(SINGLE / RUN, result_validity="INVALID", result_min_duration_met=False),
        one("validity", "result_validity"),
    ),
    "INVALID in the detail log alone": Mutation(
        detail(SINGLE / RUN, result_validity="INVALID"),
        (*one("validity", "result_validity"), *one("summary", "result_validity")),
    ),
    "INVALID in the summary alone": Mutation(
        summary(MULTI / RUN, result_validity="INVALID"), one("summary", "result_validity")
    ),
    "VALID although too short": Mutation(
        both(MULTI / RUN, result_min_duration_met=False), one("verdict", "result_min_duration_met")
    ),
    "early stopping not met": Mutation(
        both(MULTI / RUN, early_stopping_met=False, result_validity="INVALID"),
        (*one("validity", "result_validity"), *one("early-stopping", "early_stopping_met")),
    ),
    "early stopping not met in a test": Mutation(
        both(SINGLE / "TEST01" / RUN, early_stopping_met=False, result_validity="INVALID"),
        (*one("validity", "result_validity"), *one("early-stopping", "early_stopping_met")),
    ),
    "a run of 20 s, INVALID": Mutation(
        together(both(OPEN / RUN, **_short_run()), detail(OPEN / RUN, power_end="11-22-2026 05:02:53.411")),
        (*one("validity", "result_validity"), *one("duration", "power_end")),
    ),
    "error in a performance run": Mutation(
        together(
            line(SINGLE / RUN, "error_runtime", "something broke", error=True), detail(SINGLE / RUN, num_errors=1)
        ),
        one("loadgen-errors", "num_errors"),
    ),
    "error in an accuracy run": Mutation(
        line(SINGLE / "accuracy", "error_runtime", "something broke", error=True), one("loadgen-errors", "num_errors")
    ),
    "error that the summary does not count": Mutation(
        together(
            line(SINGLE / RUN, "error_runtime", "something broke", error=True),
            edit(
                SINGLE / RUN / SUMMARY, "1 ERRORS encountered. See detailed log.", "No errors encountered during test."
            ),
        ),
        (*one("loadgen-errors", "num_errors"), *one("summary", "errors")),
    ),
    "accuracy mode in a performance run": Mutation(
        both(SINGLE / RUN, effective_test_mode="AccuracyOnly"), one("mode", "effective_test_mode")
    ),
    "peak search in a performance run": Mutation(
        both(SINGLE / RUN, effective_test_mode="FindPeakPerformance"), one("mode", "effective_test_mode")
    ),
    "audit.config read in a performance run": Mutation(
        line(MULTI / RUN, "warning_generic_message", AUDIT), one("audit-config", "audit.config")
    ),
    "audit.config not read in a test": Mutation(
        edit(MULTI / "TEST01" / RUN / DETAIL, "audit.config", "user.conf"), one("audit-config", "audit.config")
    ),
    "TEST04 without the same sample": Mutation(
        both(SINGLE / "TEST04" / RUN, effective_performance_issue_same=False, effective_performance_issue_same_index=0),
        (
            *one("audit-settings", "effective_performance_issue_same"),
            *one("audit-settings", "effective_performance_issue_same_index"),
        ),
    ),
    "TEST01 with another seed": Mutation(
        both(OFFLINE / "TEST01" / RUN, effective_accuracy_log_rng_seed=1),
        (
            *one("audit-settings", "effective_accuracy_log_rng_seed"),
            *one("responses", "seq_id"),
            *one("verdict-text", "num_perf_log_entries"),
        ),
    ),
}
FIGURES: dict[str, Mutation] = {
    "faster in the detail log alone": Mutation(
        detail(OPEN / RUN, result_samples_per_second=4807.58),
        (*one("summary", "result_samples_per_second"), *one("consistency", "result_samples_per_second")),
    ),
    "faster in both logs": Mutation(
        both(OPEN / RUN, result_samples_per_second=4807.58), one("consistency", "result_samples_per_second")
    ),
    "first figure of the summary": Mutation(
        edit(
            SINGLE / RUN / SUMMARY,
            "90.0th percentile latency (ns) : 20332790",
            "90.0th percentile latency (ns) : 10332790",
        ),
        one("summary", "90.0th percentile latency (ns)"),
    ),
    "summary without a verdict": Mutation(
        edit(SINGLE / RUN / SUMMARY, "Result is : VALID", ""), one("summary", "Result is")
    ),
    "faster in the summary alone": Mutation(
        summary(OPEN / RUN, result_samples_per_second=4807.58), one("summary", "result_samples_per_second")
    ),
    "faster, and latencies with it": Mutation(
        both(OPEN / RUN, result_samples_per_second=480.758, result_max_latency_ns=61777452085),
        (
            *one("duration", "result_max_latency_ns"),
            *one("percentiles", "result_max_latency_ns"),
            *one("percentiles", "result_mean_latency_ns"),
            *one("rates", "result_max_latency_ns"),
        ),
    ),
    "a result of 0": Mutation(
        both(OPEN / RUN, result_samples_per_second=0.0), one("rates", "result_samples_per_second")
    ),
    "no estimate of so few queries": Mutation(
        together(
            both(MULTI / RUN, early_stopping_latency_ms=0),
            edit(MULTI / RUN / SUMMARY, "99.0th percentile estimate: 101531046", "99.0th percentile estimate: 0"),
        ),
        (*one("early-stopping", "early_stopping_latency_ms"), *(("compliance", "reference score"),) * 2),
    ),
    "a second, better result": Mutation(
        line(OPEN / RUN, "result_samples_per_second", 48.0759), one("repeated", "result_samples_per_second")
    ),
    "percentiles out of order": Mutation(
        both(SINGLE / RUN, result_95__00_percentile_latency_ns=20300000),
        (
            *one("percentiles", "result_95.00_percentile_latency_ns"),
            *one("early-stopping-figures", "early_stopping_latency_ss"),
        ),
    ),
    "mean below what percentiles allow": Mutation(
        both(MULTI / RUN, result_mean_query_latency_ns=100100000),
        one("percentiles", "result_mean_query_latency_ns"),
    ),
    "estimate lowered": Mutation(
        detail(MULTI / RUN, early_stopping_latency_ms=1531046),
        (
            *one("early-stopping-figures", "early_stopping_latency_ms"),
            *one("compliance", "reference score"),
            *one("compliance", "reference score"),
            *one("summary", "early_stopping_latency_ms"),
        ),
    ),
    "estimate lowered in the sentence too": Mutation(
        together(
            edit(MULTI / RUN / DETAIL, "101531046", "99531046"),
            edit(MULTI / RUN / SUMMARY, "101531046", "99531046"),
        ),
        (
            *one("early-stopping-figures", "early_stopping_latency_ms"),
            *one("compliance", "reference score"),
            *one("compliance", "reference score"),
        ),
    ),
    "more discarded than early stopping allows": Mutation(
        together(
            edit(MULTI / RUN / DETAIL, "Would discard 41 highest", "Would discard 59 highest"),
            edit(MULTI / RUN / SUMMARY, "Would discard 41 highest", "Would discard 59 highest"),
        ),
        one("early-stopping-figures", "early_stopping_result"),
    ),
    "fewer queries than needed": Mutation(
        detail(MULTI / RUN, result_query_count=661),
        (
            *one("query-count", "result_query_count"),
            *one("early-stopping-figures", "early_stopping_result"),
            *one("verdict", "result_min_queries_met"),
            *one("rates", "result_mean_query_latency_ns"),
        ),
    ),
    "queries per second against the mean": Mutation(
        both(SINGLE / RUN, result_qps_without_loadgen_overhead=60.0),
        one("rates", "result_qps_without_loadgen_overhead"),
    ),
    "queries per second against the clock": Mutation(
        both(SINGLE / RUN, result_qps_with_loadgen_overhead=49.5),
        (*one("duration", "result_qps_with_loadgen_overhead"), *one("rates", "result_qps_with_loadgen_overhead") * 2),
    ),
    "latencies shorter in every place": Mutation(_faster(), one("rates", "result_max_latency_ns")),
    "over before it began": Mutation(
        detail(MULTI / RUN, power_end="11-22-2026 04:49:55.278"),
        (*one("duration", "power_end"), *one("rates", "result_mean_query_latency_ns"), *one("times", "power_end")),
    ),
    "longer by the wall clock than by LoadGen's": Mutation(
        detail(MULTI / RUN, power_end="11-22-2026 05:29:55.278"),
        (*one("rates", "result_mean_query_latency_ns"), *one("times", "power_end")),
    ),
    "accuracy run of another year": Mutation(
        edit(MULTI / "accuracy" / DETAIL, '"11-22-2026 ', '"11-22-2025 '),
        (*one("times", "power_end"), *one("times", "test_datetime")),
    ),
}

"""Result folders of MLPerf Endpoints, which measures HTTP servers without LoadGen, read under LoadGen's keys.

`<Scenario>/config.yaml`, `performance/result_summary.json`, `accuracy/accuracy_results.json`; also with a `run_1` below
`performance`, as its publishing script writes them. Times are nanoseconds, percentiles stand under strings ("99.0").

Keys that LoadGen has keep LoadGen's meaning: `result_99.00_percentile_latency_ns` is the measured percentile, as in a
detail log. What the official checker reads in its place, the early-stopping estimate, stands beside it under
`early_stopping_99.00_percentile_latency_ns`. `num_errors` counts failed requests. Keys without a twin in LoadGen:

    endpoints_version, endpoints_git_sha     the measuring program
    endpoints_state, endpoints_complete      "complete", "interrupted", …; whether nothing was lost at the end
    endpoints_type, load_pattern, streaming  words of config.yaml ("online", "poisson", "on")
    target_concurrency                       requests in flight, where that is the load pattern
    failed_query_count                       requests that got no answer
    mean_output_tokens, min_, max_           lengths of answers
    accuracy_score, accuracy_scores          mean over the data sets; name to score
    accuracy_missing_count, _empty_count     accuracy samples without an answer, with an empty one

`result_validity` is this reader's: VALID where the run is complete, has a rate and no request failed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from loadgen_harness import yaml_text
from loadgen_harness.inside import Absent, Damaged, Folder, parsed
from loadgen_harness.log_record import Log

CONFIG = ("config.yaml", "config.yml", "performance/run_1/config.yaml", "accuracy/config.yaml")
SUMMARY = ("performance/result_summary.json", "performance/run_1/result_summary.json", "result_summary.json")
ACCURACY = ("accuracy/accuracy_results.json", "accuracy_results.json")
PERCENTILES = (50.0, 90.0, 95.0, 97.0, 99.0, 99.9)
Table = Mapping[str, Any]

_SUMMARY_KEYS = {
    "version": "endpoints_version",
    "git_sha": "endpoints_git_sha",
    "state": "endpoints_state",
    "complete": "endpoints_complete",
    "n_samples_issued": "generated_query_count",
    "n_samples_completed": "result_query_count",
    "n_samples_failed": "failed_query_count",
    "duration_ns": "generated_query_duration",
    "latency.min": "result_min_latency_ns",
    "latency.max": "result_max_latency_ns",
    "latency.avg": "result_mean_latency_ns",
    "ttft.min": "result_first_token_min_latency_ns",
    "ttft.max": "result_first_token_max_latency_ns",
    "ttft.avg": "result_first_token_mean_latency_ns",
    "tpot.min": "result_time_to_output_token_min",
    "tpot.max": "result_time_to_output_token_max",
    "tpot.avg": "result_time_to_output_token_mean",
    "output_sequence_lengths.min": "min_output_tokens",
    "output_sequence_lengths.max": "max_output_tokens",
    "output_sequence_lengths.avg": "mean_output_tokens",
}
_CONFIG_KEYS = {
    "type": "endpoints_type",
    "model_params.name": "endpoints_model",
    "model_params.streaming": "streaming",
    "settings.load_pattern.type": "load_pattern",
    "settings.load_pattern.target_qps": "effective_target_qps",
    "settings.load_pattern.target_concurrency": "target_concurrency",
    "settings.runtime.min_duration_ms": "effective_min_duration_ms",
    "settings.runtime.max_duration_ms": "effective_max_duration_ms",
    "settings.runtime.n_samples_to_issue": "effective_min_query_count",
    "settings.runtime.dataloader_random_seed": "effective_sample_index_rng_seed",
    "settings.runtime.scheduler_random_seed": "effective_schedule_rng_seed",
}
_SERIES = {
    "latency": "{}_{}_percentile_latency_ns",
    "ttft": "{}_first_token_{}_percentile_latency_ns",
    "tpot": "{}_time_per_output_token_{}_percentile_ns",
}


def found(folder: Folder) -> bool:
    """Whether a folder holds a result of MLPerf Endpoints."""
    return any(_there(folder, name) for name in (*SUMMARY, *ACCURACY, *CONFIG[:2]))


def read(folder: Folder) -> Log:
    """The folder as a log; raises MissingDependency without PyYAML, and never for what stands in the files."""
    log = Log(syntax="endpoints")
    files = _Files(folder, log)
    config, accuracy = files.read(CONFIG), files.read(ACCURACY, needed=False)
    summary = files.read(SUMMARY, needed=not accuracy)
    _take(log, config, _CONFIG_KEYS)
    _take(log, summary, _SUMMARY_KEYS)
    scenario = _scenario(log.values, config)
    if scenario:
        log.set("effective_scenario", scenario)
    if summary:
        _performance(log, summary, scenario)
        count = _samples(config)
        if count:
            log.set("effective_performance_sample_count", count)
    if accuracy:
        _accuracy(log, accuracy)
    if summary or accuracy:
        log.set("effective_test_mode", "PerformanceOnly" if summary else "AccuracyOnly")
        log.set("num_errors", log.error_count)
    return log


@dataclass(frozen=True)
class _Files:
    """Finds and reads the files of a folder; what cannot be read becomes damage."""

    folder: Folder
    log: Log

    def read(self, names: tuple[str, ...], needed: bool = True) -> Table:
        """The first of `names` that is there; empty where none is or it holds no mapping."""
        for name in names:
            try:
                content = self._content(name)
            except Absent:
                continue
            except Damaged as error:
                self.log.damage.add(f"{name}: {error}")
                return {}
            if not isinstance(content, Mapping):
                self.log.damage.add(f"{name}: not a mapping")
                return {}
            return content
        if needed:
            self.log.damage.add(f"{names[0]}: No such file or directory")
        return {}

    def _content(self, name: str) -> Any:
        if not name.endswith(".json"):
            return yaml_text.parsed(self.folder.read(name, yaml_text.BYTES))
        try:
            return parsed(self.folder.read(name).decode("utf-8"))
        except (ValueError, RecursionError) as error:
            raise Damaged(str(error)[:200]) from None


def _there(folder: Folder, name: str) -> bool:
    try:
        folder.real(name)
    except Damaged as error:
        return not isinstance(error, Absent)
    return True


def _take(log: Log, table: Table, keys: Mapping[str, str]) -> None:
    for path, key in keys.items():
        value = _at(table, path)
        if isinstance(value, str | bool) or _number(value) is not None:
            log.set(key, value)


def _at(table: Any, path: str) -> Any:
    for name in path.split("."):
        table = table.get(name) if isinstance(table, Mapping) else None
    return table


def _number(value: Any) -> float | int | None:
    """A number as JSON has it; None for any other value and for what is not finite."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if abs(value) < 1e300 else None


def _scenario(values: Table, config: Table) -> str:
    """LoadGen's word: one request in flight is SingleStream, everything else online is Server."""
    kind = values.get("endpoints_type")
    if kind in ("submission", "eval"):
        alike = "offline" if values.get("load_pattern") == "max_throughput" else "online"
        kind = config.get("benchmark_mode") or alike
    if kind == "offline":
        return "Offline"
    if kind != "online":
        return ""
    alone = values.get("load_pattern") == "concurrency" and values.get("target_concurrency") == 1
    return "SingleStream" if alone else "Server"


def _samples(config: Table) -> int:
    """Samples of the performance data sets, 0 where config.yaml does not limit them."""
    listed = config.get("datasets")
    sets = [each for each in listed if isinstance(each, Mapping)] if isinstance(listed, list) else []
    counts = [_number(each.get("samples")) for each in sets if each.get("type") != "accuracy"]
    return sum(count for count in counts if isinstance(count, int) and count > 0)


def _performance(log: Log, summary: Table, scenario: str) -> None:
    """Rates, percentiles, and what makes the run worthless: failed requests, an interruption, a lost end."""
    offline = scenario == "Offline"
    rate, tokens = _number(summary.get("qps")), _number(summary.get("tps"))
    if rate is not None:
        log.set("result_samples_per_second" if offline else "result_completed_samples_per_sec", rate)
    if tokens is not None:
        log.set("result_tokens_per_second" if offline else "result_completed_tokens_per_second", tokens)
    log.set("requested_use_token_latencies", tokens is not None)
    for series, pattern in _SERIES.items():
        for key, value in _percentiles(summary.get(series), pattern):
            log.set(key, value)
    for percentile, key in (("90.00", "early_stopping_latency_ss"), ("99.00", "early_stopping_latency_ms")):
        estimate = log.values.get(f"early_stopping_{percentile}_percentile_latency_ns")
        if scenario == "SingleStream" and estimate is not None:
            log.set(key, estimate)
    for text, count in _faults(summary):
        log.complain(text, error=True)
        log.error_count += count - 1
    if rate is None:
        log.set("result_invalid_reason", "there is no rate")
        log.keep("result_invalid_reason", "there is no rate")
    log.set("result_validity", "INVALID" if log.error_count or rate is None else "VALID")


def _faults(summary: Table) -> Iterator[tuple[str, int]]:
    """Sentence and number of errors for everything that went wrong."""
    failed, issued = _number(summary.get("n_samples_failed")), summary.get("n_samples_issued")
    if failed is None or failed < 0 or math.trunc(failed) != failed:
        yield "failed_query_count: the number of failed requests is not stated", 1
    elif failed:
        yield f"failed_query_count: {failed:.0f} of {issued} requests failed", int(failed)
    if summary.get("state") != "complete":
        yield f"endpoints_state: the run is {str(summary.get('state', 'of unknown state'))[:40]}, not complete", 1
    elif summary.get("complete") is not True:
        yield "endpoints_complete: measurements were lost at the end of the run", 1


def _percentiles(series: Any, pattern: str) -> Iterator[tuple[str, float]]:
    """Measured percentiles and early-stopping estimates, where they are there."""
    for name, kind in (("percentiles", "result"), ("early_stopping_percentiles", "early_stopping")):
        table = _at(series, name)
        for text, value in table.items() if isinstance(table, Mapping) else ():
            number = _number(value)
            try:
                percentile = float(text)
            except ValueError:
                continue
            if percentile in PERCENTILES and number is not None:
                yield pattern.format(kind, f"{percentile:.2f}"), number


def _accuracy(log: Log, accuracy: Table) -> None:
    """Scores and counts of the accuracy data sets; an answer that is missing is an error."""
    scores = accuracy.get("accuracy_scores")
    sets = [each for each in scores if isinstance(each, Mapping)] if isinstance(scores, list) else []
    sets = [each for each in sets if each.get("dataset_type", "accuracy") == "accuracy"]
    if not sets:
        log.damage.add(f"{ACCURACY[0]}: no accuracy data set")
        return
    named = {str(each.get("dataset_name", number))[:200]: each.get("score") for number, each in enumerate(sets)}
    log.set("accuracy_scores", named)
    numbers = [number for number in map(_number, named.values()) if number is not None]
    if numbers:
        log.set("accuracy_score", sum(numbers) / len(numbers))
    counts = [_number(each.get("total_samples")) or _number(_at(each, "response_counts.issued")) for each in sets]
    log.set("effective_accuracy_sample_count", int(sum(count for count in counts if count)))
    for word in ("missing", "empty"):
        log.set(f"accuracy_{word}_count", int(sum(_number(_at(each, f"response_counts.{word}")) or 0 for each in sets)))
    if log.values["accuracy_missing_count"]:
        log.complain(f"accuracy_missing_count: {log.values['accuracy_missing_count']} answers are missing", error=True)
    for name, each in zip(named, sets, strict=False):
        if each.get("complete") is False:
            log.complain(f"accuracy_scores: {name} was scored in part only", error=True)

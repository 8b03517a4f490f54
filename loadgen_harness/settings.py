"""LoadGen's test settings, made from Benchmark x scenario x mode x round x user.conf, under the division's locks."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from loadgen_harness import conf
from loadgen_harness.errors import BadInput
from loadgen_harness.types import Benchmark, Division, Limits, Round, RunSpec, Scenario, Seeds, TestMode

MS = 1_000_000


@dataclass(frozen=True)
class TestSettings:
    """The settings of one run, under the names of LoadGen's own struct (`test_settings.h`)."""

    __test__ = False

    scenario: str
    mode: str
    single_stream_expected_latency_ns: int = 1_000_000
    single_stream_target_latency_percentile: float = 0.90
    multi_stream_expected_latency_ns: int = 8_000_000
    multi_stream_target_latency_percentile: float = 0.99
    multi_stream_samples_per_query: int = 8
    server_target_qps: float = 1.0
    server_target_latency_ns: int = 100_000_000
    server_target_latency_percentile: float = 0.99
    server_coalesce_queries: bool = False
    server_max_async_queries: int = 0
    server_num_issue_query_threads: int = 0
    offline_expected_qps: float = 1.0
    sample_concatenate_permutation: bool = False
    min_duration_ms: int = 10_000
    max_duration_ms: int = 0
    min_query_count: int = 100
    max_query_count: int = 0
    qsl_rng_seed: int = 0
    sample_index_rng_seed: int = 0
    schedule_rng_seed: int = 0
    performance_issue_unique: bool = False
    performance_issue_same: bool = False
    performance_issue_same_index: int = 0
    performance_sample_count_override: int = 0
    accuracy_sample_count_override: int = 0
    use_token_latencies: bool = False
    ttft_latency: int = 100_000_000
    tpot_latency: int = 100_000_000


@dataclass(frozen=True)
class Plan:
    """Settings of a run, the user.conf that states them, and what the division did not allow."""

    settings: TestSettings
    model_name: str
    user_conf: str
    locked: tuple[str, ...] = field(default=())
    given: frozenset[str] = frozenset()  # user.conf keys that the user named: in a file or on the command line
    reseeded: bool = False  # whether the seeds are an audit's own, not the round's


FLOORS = {  # user.conf keys that closed may raise but not lower below the round's value
    "min_duration": "min_duration_ms",
    "min_query_count": "min_query_count",
    "performance_sample_count_override": "performance_sample_count",
}
LOCKED = (  # user.conf keys whose value the round alone decides in closed and network
    "target_latency_percentile",
    "samples_per_query",
    "sample_concatenate_permutation",
    "use_token_latencies",
    "ttft_latency",
    "tpot_latency",
    "performance_issue_same",
    "performance_issue_same_index",
    "performance_issue_unique",
    "accuracy_sample_count_override",
    "max_duration",
    "max_query_count",
)


def plan(spec: RunSpec, benchmark: Benchmark, round_: Round) -> Plan:
    """Everything that LoadGen is told for `spec`; raises BadInput or UnknownName for what cannot be run."""
    if spec.mode is TestMode.FIND_PEAK and spec.scenario.loadgen != "Server":
        raise BadInput(f"FindPeakPerformance searches a Server rate: use --scenario Server, not {spec.scenario}.")
    variant = benchmark.variant(spec.scenario, spec.mode, spec.test, round_)
    limits = round_.limits(benchmark.name, spec.scenario)
    demanded = _demanded(limits, spec.scenario)
    given = _given(spec, variant.model_name)
    wanted = {**round_.rules(benchmark.name).user_conf.get(spec.scenario, {}), **given}
    locked: list[str] = []
    if spec.division is not Division.OPEN:
        wanted = _lock(wanted, demanded, spec.scenario, locked)
    values = {**demanded, **wanted}
    if spec.mode is TestMode.FIND_PEAK:
        values["min_query_count"] = max(values.get("min_query_count", 0), 1)
    seeds = seeds_of(spec.seed) if spec.seed else round_.seeds
    base = TestSettings(
        scenario=spec.scenario.loadgen,
        mode=spec.mode.value,
        qsl_rng_seed=seeds.qsl,
        sample_index_rng_seed=seeds.sample_index,
        schedule_rng_seed=seeds.schedule,
    )
    stated = wanted if round_.checker_version and benchmark.checker_name != benchmark.name else values
    text = conf.write(stated, spec.scenario)
    chosen = _apply(base, values, spec.scenario)
    return Plan(chosen, variant.model_name, text, tuple(locked), frozenset(given), reseeded=bool(spec.seed))


def seeds_of(seed: int) -> Seeds:
    """The three seeds that an audit's one seed stands for."""
    draw = random.Random(seed)
    return Seeds(*(draw.getrandbits(64) for _ in range(3)))


def _demanded(limits: Limits, scenario: Scenario) -> dict[str, float]:
    """The round's demands as user.conf keys."""
    values: dict[str, float] = {
        "min_duration": limits.min_duration_ms,
        "min_query_count": max(limits.min_query_count, 1),
        "performance_sample_count_override": limits.performance_sample_count,
        "sample_concatenate_permutation": limits.equal_issue,
        "use_token_latencies": limits.token_latencies,
    }
    if limits.percentile and scenario is not Scenario.OFFLINE:
        values["target_latency_percentile"] = limits.percentile * 100
    if scenario is Scenario.MULTI_STREAM and limits.samples_per_query:
        values["samples_per_query"] = limits.samples_per_query
    if scenario.loadgen == "Server":
        bounds = (limits.target_latency_ms, limits.ttft_ms, limits.tpot_ms)
        named = zip(("target_latency", "ttft_latency", "tpot_latency"), bounds, strict=True)
        values.update({key: value for key, value in named if value is not None})
        if limits.token_latencies and limits.target_latency_ms is None:
            values["target_latency"] = 0
    return values


def _given(spec: RunSpec, model: str) -> dict[str, float]:
    """What the user asks for: the file, then the command line."""
    for key, value in spec.overrides.items():
        conf.check(key, value, "settings of the run")
    file = conf.select(conf.read(spec.user_conf), model, spec.scenario) if spec.user_conf else {}
    return {**file, **spec.overrides}


def _lock(
    wanted: Mapping[str, float], demanded: Mapping[str, float], scenario: Scenario, locked: list[str]
) -> dict[str, float]:
    """What of `wanted` the closed division allows; notes the rest in `locked`."""
    kept: dict[str, float] = {}
    for key, value in wanted.items():
        fixed = key in LOCKED or (key == "target_latency" and scenario.loadgen == "Server")
        low = key in FLOORS and value < demanded.get(key, 0)
        if (fixed and value != demanded.get(key, 0)) or low:
            allowed = conf.number(demanded.get(key, 0))
            refused = f"{key} = {conf.number(value)}"
            locked.append(f"{refused} is not allowed in this division: the round's {allowed} is used")
        else:
            kept[key] = value
    return kept


def _apply(base: TestSettings, values: Mapping[str, float], scenario: Scenario) -> TestSettings:
    """user.conf keys turned into LoadGen's fields and units."""
    prefix = {"SingleStream": "single_stream", "MultiStream": "multi_stream", "Server": "server"}.get(scenario.loadgen)
    changed: dict[str, float] = {}
    for key, value in values.items():
        name, scale = _field(key, prefix, scenario)
        if name:
            changed[name] = value * scale
    kinds = {f.name: type(getattr(base, f.name)) for f in fields(base)}
    typed: dict[str, Any] = {name: kinds[name](round(value, 9)) for name, value in changed.items()}
    return replace(base, **typed)


def _field(key: str, prefix: str | None, scenario: Scenario) -> tuple[str, float]:
    """LoadGen's field for a user.conf key and the factor between their units; no field where it does not apply."""
    if key == "target_qps":
        return ("offline_expected_qps" if scenario is Scenario.OFFLINE else "server_target_qps"), 1
    if key == "target_latency":
        names = {"server": "server_target_latency_ns", None: ""}
        return names.get(prefix, f"{prefix}_expected_latency_ns"), MS
    if key == "target_latency_percentile":
        return (f"{prefix}_target_latency_percentile" if prefix else ""), 0.01
    if key == "samples_per_query":
        return "multi_stream_samples_per_query", 1
    if key in ("min_duration", "max_duration"):
        return f"{key}_ms", 1
    if key in ("ttft_latency", "tpot_latency"):
        return key, MS
    if key in ("coalesce_queries", "max_async_queries", "num_issue_query_threads"):
        return f"server_{key}", 1
    return key, 1

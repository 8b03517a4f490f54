"""What a compliance test's audit.config says: the official defaults under the round's own figures."""

from __future__ import annotations

from collections.abc import Mapping

from loadgen_harness import conf, rounds
from loadgen_harness.errors import SuiteError
from loadgen_harness.run import Run
from loadgen_harness.types import Benchmark, Round, Rules, Scenario

# mode 2 is PerformanceOnly; the sampling seed has been the same in every round's audit.config files.
SAMPLED: Mapping[str, float] = {
    "mode": 2,
    "accuracy_log_rng_seed": 720381539243781796,
    "accuracy_log_sampling_target": 4096,
}
# A test of token outputs logs every response of a short run; how many those are differs between benchmarks.
LOGGED: Mapping[str, float] = {**SAMPLED, "min_duration": 0, "sample_concatenate_permutation": 0}
DEFAULTS: Mapping[str, Mapping[str, float]] = {
    "TEST01": SAMPLED,
    "TEST04": {
        "mode": 2,
        "performance_issue_unique": 0,
        "performance_issue_same": 1,
        "performance_issue_same_index": 3,
    },
    "TEST06": {**LOGGED, "accuracy_log_sampling_target": 100, "min_query_count": 100},
    "TEST07": LOGGED,
    "TEST08": SAMPLED,
    "TEST09": {**LOGGED, "accuracy_log_sampling_target": 10000},
}
LOADGEN_KEYS = (
    "mode",
    "accuracy_log_rng_seed",
    "accuracy_log_sampling_target",
    "min_query_count",
    "min_duration",
    "performance_issue_unique",
    "performance_issue_same",
    "performance_issue_same_index",
    "sample_concatenate_permutation",
)
# What the official scripts, not LoadGen, read in audit.config; there the test's name stands before the key.
SCRIPT_KEYS = ("accuracy_threshold", "min_output_tokens", "max_output_tokens")


def merged(test: str, rules: Rules) -> dict[str, float]:
    """The settings of one test under a round's rules for one benchmark; empty for no test."""
    return {**DEFAULTS.get(test, {}), **rules.test_settings.get(test, {})} if test else {}


def of_run(test: str, run: Run) -> dict[str, float]:
    """The settings of the round that a run says it obeys; the official defaults for a foreign folder."""
    try:
        return merged(test, rounds.load(str(run.spec["round"])).rules(str(run.spec["benchmark"])))
    except (KeyError, SuiteError):
        return dict(DEFAULTS[test])


def config(test: str, benchmark: Benchmark, round_: Round) -> str:
    """audit.config for every model and scenario: what LoadGen reads, then what the official script reads."""
    settings = merged(test, round_.rules(benchmark.name))
    lines = {key: settings[key] for key in LOADGEN_KEYS if key in settings}
    lines |= {f"{test.lower()}_{key}": settings[key] for key in SCRIPT_KEYS if key in settings}
    return "".join(f"*.*.{key} = {conf.number(value)}\n" for key, value in lines.items())


def demanded(test: str, benchmark: Benchmark, scenario: Scenario, round_: Round) -> bool:
    """Whether the round demands the test here; a round that names its accuracy scenarios wants it only in those."""
    if benchmark.name not in round_.benchmarks:
        return False
    everywhere = not round_.accuracy_scenarios
    return test in round_.rules(benchmark.name).tests and (everywhere or scenario in round_.accuracy_scenarios)

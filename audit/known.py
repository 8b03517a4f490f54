"""The round's official benchmarks as values, made of its file alone, so that foreign results need no task package."""

from __future__ import annotations

from collections.abc import Mapping

from audit.accuracy import metrics_of
from loadgen_harness import rounds
from loadgen_harness.types import Benchmark, Round, Rules, Variant


def benchmarks(round_: Round) -> Mapping[str, Benchmark]:
    """Every official benchmark of a round by the official checker's name for it; this suite's own are left out."""
    own = rounds.load(rounds.OWN).benchmarks
    found = (_benchmark(name, rules) for name, rules in round_.benchmarks.items() if name not in own)
    return {benchmark.checker_name: benchmark for benchmark in found}


def _benchmark(name: str, rules: Rules) -> Benchmark:
    streams = any(limits.token_latencies for limits in rules.limits.values())
    return Benchmark(
        name=name,
        title=rules.title or name,
        checker_name=rules.checker_name or name,
        variants={key: Variant(model) for key, model in (rules.model_names or {"": name}).items()},
        metrics=metrics_of(rules),
        sample="one sample",
        response_dtype="",
        backends=(),
        precisions=(),
        token="token" if streams else "",
    )

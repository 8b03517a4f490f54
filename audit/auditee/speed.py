"""How fast a run was, in figures that two runs of one system share whatever the samples that they drew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from audit import tax
from audit.auditee.statistics import Ratio, ratio
from loadgen_harness import metrics
from loadgen_harness.errors import BadInput
from loadgen_harness.run import Result, Run
from loadgen_harness.types import Scenario

SIMILAR = 1.10  # what compliance tests TEST01 and TEST04 still take for the same speed
FASTEST = 0.25
LATENCY, COMPUTE = "latency (p25)", "compute time per sample (p25)"
TTFT, TPOT = "time to first token (p25)", "time per output token (p25)"
MATERIAL = 1.02  # "materially different" by the Audit Guidelines, Compare results


def figures(run: Run) -> dict[str, float]:
    """Speeds by name, a higher one being faster; raises BadInput for a run without a record of its samples.

    All are of the fastest quarter, which other work on the machine moves least: latency of a query, in Offline the
    compute time per sample. Generation: time to the first token and per output token after it, which do not depend on
    how long answers are; in Offline, where prompts wait for each other, the latter alone.
    """
    samples = run.samples
    if samples is None or not len(samples):
        raise BadInput(f"{run.path} has no samples.npy with samples in it: audit a run of this suite.")
    offline = run.scenario == Scenario.OFFLINE
    if not samples["first_token"].any():
        each = (samples["computed"] - samples["started"]) / samples["batch"]
        times = {COMPUTE: each} if offline else {LATENCY: tax.latencies(samples, run.scenario, waits=True)}
    else:
        tokens = metrics.token_times(samples)
        if not len(tokens.tokens):
            raise BadInput(f"{run.path} generated no answer of two tokens: nothing of it can be timed.")
        times = {TPOT: tokens.tpot_ns} if offline else {TTFT: tokens.ttft_ns, TPOT: tokens.tpot_ns}
    return {name: 1e9 / max(float(np.quantile(spans, FASTEST)), 1.0) for name, spans in times.items()}


def ratios(pairs: Sequence[tuple[Run, Run]]) -> dict[str, Ratio]:
    """How much faster the first of each pair was than the second, by figure; formed within pairs."""
    measured = [(figures(first), figures(second)) for first, second in pairs]
    names = [name for name in measured[0][0] if all(name in each for pair in measured for each in pair)]
    return {name: ratio([_quotient(pair, name) for pair in measured]) for name in names}


def as_speed(result: Result) -> float:
    """An official result as a speed: latencies, in ms, are inverted."""
    return 1 / result.value if result.unit == "ms" else result.value


def _quotient(pair: tuple[Mapping[str, float], Mapping[str, float]], name: str) -> float:
    return pair[0][name] / pair[1][name]

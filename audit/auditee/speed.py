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
MATERIAL = 1.02  # "materially different" by the Audit Guidelines, Compare results
QUARTER, HALF = 0.25, 0.50  # other work on the machine moves the fastest quarter least
LATENCY, COMPUTE, TTFT, TPOT = "latency", "compute time per sample", "time to first token", "time per output token"


def figures(run: Run, shares: Sequence[float] = (QUARTER,)) -> dict[str, float]:
    """Speeds by name, a higher one being faster, at quantiles; raises BadInput for a run without a record of samples.

    The latency of a query, in Offline the compute time per sample. Generation: time to the first token and per output
    token after it, which do not depend on how long answers are; in Offline, where prompts wait, the latter alone.
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
    return {at(what, q): 1e9 / max(float(np.quantile(each, q)), 1.0) for what, each in times.items() for q in shares}


def at(what: str, share: float = QUARTER) -> str:
    """The name of a figure at a quantile."""
    return f"{what} (p{100 * share:.0f})"


def ratios(pairs: Sequence[tuple[Run, Run]], shares: Sequence[float] = (QUARTER,)) -> dict[str, Ratio]:
    """How much faster the first of each pair was than the second, by figure; formed within pairs.

    Raises BadInput where there is none that all runs have.
    """
    measured = [(figures(first, shares), figures(second, shares)) for first, second in pairs]
    names = [name for name in measured[0][0] if all(name in each for pair in measured for each in pair)]
    if not names:
        raise BadInput("the runs have no speed in common: repeat the audit into another --output.")
    return {name: ratio([_quotient(pair, name) for pair in measured]) for name in names}


def as_speed(result: Result) -> float:
    """An official result as a speed: latencies, in ms, are inverted."""
    return 1 / result.value if result.unit == "ms" else result.value


def _quotient(pair: tuple[Mapping[str, float], Mapping[str, float]], name: str) -> float:
    return pair[0][name] / pair[1][name]

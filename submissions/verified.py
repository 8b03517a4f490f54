"""verify_performance.txt against the logs: the scores that it compares are those of the two runs that lie there."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from audit.finding import Finding
from loadgen_harness.run import Run
from submissions import layout
from submissions.structure import error
from submissions.subject import Subject

SCORE = re.compile(r"^(reference|test) score = (\d[\d.eE+]{0,30})\s*$", re.IGNORECASE | re.MULTILINE)
PRINTED = 2e-5  # LoadGen's six digits, once more turned into a rate
MOST_BYTES = 1_000_000
# what the official scripts of all rounds compare, some of them as 1e9 over it
KEYS = (
    "early_stopping_latency_ss",
    "early_stopping_latency_ms",
    "result_samples_per_second",
    "result_completed_samples_per_sec",
    "result_scheduled_samples_per_sec",
    "result_90.00_percentile_latency_ns",
    "result_99.00_percentile_latency_ns",
    "result_99.00_percentile_per_query_latency_ns",
    "result_mean_latency_ns",
    "result_mean_query_latency_ns",
    "result_qps_with_loadgen_overhead",
    "result_qps_without_loadgen_overhead",
    "result_tokens_per_second",
    "result_completed_tokens_per_second",
    "effective_samples_per_query",
)


def scores(place: layout.TestFolder, subject: Subject) -> Iterator[Finding]:
    """A finding for each score in verify_performance.txt that is none of its run's figures."""
    path = place.path / layout.VERIFY_PERFORMANCE
    if not subject.readable(path):
        return
    runs = {"reference": subject.performance, "test": subject.run(place.performance)}
    text = path.read_bytes()[:MOST_BYTES].decode("utf-8", errors="replace")
    for match in SCORE.finditer(text):
        kind = match[1].lower()
        run, score = runs[kind], _number(match[2])
        if (
            run
            and score
            and _figures(run)
            and not any(math.isclose(score, each, rel_tol=PRINTED) for each in _figures(run))
        ):
            what = (f"{kind} score", match[2], f"a figure of the {kind} run that lies here")
            clause = f"compliance test {place.name}: the submission's own performance run is verified"
            yield error("compliance", subject.name(path), what, clause, f"verify {place.name} again with these logs")


def _figures(run: Run) -> list[float]:
    """What a script may have compared, as it stands and as a rate."""
    values = [run.log.get(key) for key in KEYS]
    found = [float(value) for value in values if isinstance(value, int | float) and value > 0]
    return found + [1e9 / value for value in found]


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0

"""The texts of compliance tests and accuracy.txt against the logs beside them, and against themselves."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from audit import accuracy_counts, verdict_text
from audit.case import DETAIL
from audit.compliance import _settings
from audit.compliance._performance import RESULTS
from audit.finding import Finding
from audit.sampling import Sampling
from loadgen_harness.run import Run
from submissions import layout
from submissions.structure import error
from submissions.subject import Subject

SCORE = re.compile(r"^(reference|test) score = (\d[\d.eE+]{0,30})\s*$", re.IGNORECASE | re.MULTILINE)
LOGGED = re.compile(r"^num_perf_log_entries = (\d{1,15})\s*$", re.MULTILINE)
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


def accuracy(logs: layout.Logs, subject: Subject, *, subset: bool = False) -> Iterator[Finding]:
    """Whether the figures of accuracy.txt agree with each other and with the samples of the accuracy run."""
    if subject.readable(logs.accuracy_text):
        for finding in accuracy_counts.check(_text(logs.accuracy_text), _samples(subject), subset=subset):
            yield replace(finding, file=subject.name(logs.accuracy_text))


def test(place: layout.TestFolder, subject: Subject) -> Iterator[Finding]:
    """Whether the verdict of a compliance test follows from what its texts counted, and these from the logs."""
    reference, audit = subject.performance, subject.run(place.performance)
    for file in (verdict_text.ACCURACY, verdict_text.PERFORMANCE, verdict_text.LENGTHS):
        path = place.path / file
        if not subject.readable(path):
            continue
        said = verdict_text.Said(
            test=place.name,
            file=subject.name(path),
            name=file,
            text=_text(path),
            scenario=subject.scenario.loadgen,
            reference=reference,
            audit=audit,
            samples=_samples(subject),
            settings=_settings.merged(place.name, subject.rules),
        )
        yield from verdict_text.check(said)
    if subject.known:  # what older scripts compared differs from release to release
        yield from scores(place, subject)
    impossible = list(accuracy(place.accuracy, subject, subset=True))
    yield from impossible or _drawn(place, subject, audit)


def _drawn(place: layout.TestFolder, subject: Subject, audit: Run | None) -> Iterator[Finding]:
    """Whether the accuracy of TEST01's sampled responses can be what it states."""
    own, whole = place.accuracy.accuracy_text, subject.place.accuracy.accuracy_text
    loaded = audit.log.get("effective_performance_sample_count") if audit else None
    logged = _logged(place, subject, audit)
    if place.name != "TEST01" or not logged or not isinstance(loaded, int) or loaded < 1 or not subject.readable(own):
        return
    percent = accuracy_counts.percent(_text(whole)) if subject.readable(whole) else None
    for finding in accuracy_counts.part(_text(own), accuracy_counts.Drawn(logged, loaded, percent)):
        yield replace(finding, file=subject.name(own))


def _logged(place: layout.TestFolder, subject: Subject, audit: Run | None) -> float:
    """How many responses the test's run logged, by its settings, else by the text; 0 where neither says."""
    sampling = Sampling.of(audit) if audit else None
    least, most = sampling.bounds() if sampling and sampling.issued else (0, 0)
    path = place.path / verdict_text.ACCURACY
    said = LOGGED.search(_text(path)) if subject.readable(path) else None
    logged = float(said[1]) if said else 0.0
    return logged if not most or least <= logged <= most else 0.0  # else the count is the fault


def scores(place: layout.TestFolder, subject: Subject) -> Iterator[Finding]:
    """A finding for each score in verify_performance.txt that is none of its run's figures."""
    path = place.path / layout.VERIFY_PERFORMANCE
    if not subject.readable(path):
        return
    runs = {"reference": subject.performance, "test": subject.run(place.performance)}
    for match in SCORE.finditer(_text(path)):
        kind = match[1].lower()
        run, score = runs[kind], _number(match[2])
        if (
            run
            and not _refused(run)
            and score
            and _figures(run)
            and not any(math.isclose(score, each, rel_tol=PRINTED) for each in _figures(run))
        ):
            what = (f"{kind} score", match[2], f"{_nearest(run, score)} of the {kind} run that lies here")
            clause = f"compliance test {place.name}: the submission's own performance run is verified"
            yield error("compliance", subject.name(path), what, clause, f"verify {place.name} again with these logs")


def _refused(run: Run) -> bool:
    """Whether the log has a Finding for a line or figure that is none: what was compared may have stood there."""
    odd = any(key in run.log and not isinstance(run.log[key], int | float) for key in KEYS)
    return odd or any(text.startswith(DETAIL) for text in run.damage)


def _samples(subject: Subject) -> float | None:
    """How many samples the result's accuracy run answered."""
    return accuracy_counts.answered(subject.run(subject.place.accuracy))


def _text(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(MOST_BYTES).decode("utf-8", errors="replace")


def _nearest(run: Run, score: float) -> str:
    """The scenario's result as the log has it, or as the rate that it makes where the score is nearer to that."""
    key = RESULTS.get(run.scenario, "")
    value = run.log.get(key)
    if not isinstance(value, int | float) or not value > 0:
        return "a figure"
    apart = [abs(math.log(each / score)) for each in (value, 1e9 / value)]
    shown = f"{value:.12g}" if apart[0] <= apart[1] else f"{1e9 / value:.10g} = 1e9 / {value:.12g}"
    return f"{shown}, {key}"


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

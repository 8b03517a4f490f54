"""The report for programs: JSON with everything, CSV with a line for each result; base units, named so.

The meaning of every column is in COLUMNS; FORMAT changes when one of them does.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from audit import tax
from audit.finding import Severity
from loadgen_harness import __version__
from loadgen_harness.metrics import anatomy, percentile
from loadgen_harness.run import Run
from loadgen_harness.types import Score, Target
from power import energy
from submissions import anatomy as spans
from submissions import latencies
from submissions.record import RunResult
from submissions.steadiness import steadiness

FORMAT = 1
KIND = "loadgen-harness report"
KINDS = {"time to first token": "time_to_first_token_s", "time per output token": "time_per_output_token_s"}
SHARES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99_9": 0.999}
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")  # a spreadsheet computes a text that begins so: an apostrophe stops it
SECONDS = {"ms": 1e-3}  # units that LoadGen's metric may have and that are no base units
COLUMNS = (  # name, where in a result of the JSON, meaning
    ("format", "", "version of these columns, 1"),
    ("run", "run", "the run's folder, below what all runs of the report share"),
    ("benchmark", "benchmark", "the benchmark's name in this suite, or the folder's where it is not known"),
    ("scenario", "scenario", "SingleStream, MultiStream, Server, Interactive, Offline"),
    ("mode", "mode", "PerformanceOnly, AccuracyOnly, SubmissionRun"),
    ("division", "division", "closed, open or network"),
    ("round", "round", "the round whose rules the run obeys"),
    ("backend", "backend", "what computed"),
    ("device", "device", "where it computed"),
    ("precision", "precision", "of the model"),
    ("started", "started", "UTC, ISO 8601"),
    ("valid", "valid", "true or false: LoadGen's verdict"),
    ("invalid_reasons", "invalid_reasons", 'why not, in LoadGen\'s words, joined by "; "'),
    ("metric", "metric.name", "name of the official metric"),
    ("metric_value", "metric.value", "the official metric, latencies in seconds"),
    ("metric_unit", "metric.unit", "s, queries/s, samples/s or tokens/s"),
    ("duration_s", "duration_s", "the timed part, power_begin to power_end"),
    ("samples", "latency_s.count", "latencies in the record: of samples, in MultiStream of queries"),
    ("throughput_samples_per_s", "throughput_samples_per_s", "samples from the first issue to the last completion"),
    ("latency_mean_s", "latency_s.mean", "mean latency; in Offline the time until a sample is done"),
    ("latency_p50_s", "latency_s.p50", "percentiles as LoadGen takes them; empty for too few samples"),
    ("latency_p90_s", "latency_s.p90", "a tenth of the samples took longer"),
    ("latency_p99_s", "latency_s.p99", "a hundredth took longer; needs 100 samples"),
    ("latency_p99_9_s", "latency_s.p99_9", "a thousandth took longer; needs 1,000 samples"),
    ("latency_max_s", "latency_s.max", "the slowest"),
    ("first_token_p99_s", "time_to_first_token_s.p99", "time to first token"),
    ("output_token_p99_s", "time_per_output_token_s.p99", "time per output token after the first"),
    (
        "warm_up_share",
        "steadiness.warm_up",
        "how much slower the first twentieth is (0.2: 20 %); 0: not told from noise",
    ),
    (
        "drift_share",
        "steadiness.drift",
        "how much slower the end is than the part after the warm-up; 0: not told from noise",
    ),
    ("outliers", "steadiness.outliers", "samples far slower than all others"),
    ("queueing_mean_s", "anatomy_s.queueing.mean", "from issue until a worker takes the sample"),
    ("compute_mean_s", "anatomy_s.compute.mean", "until the response is ready"),
    ("energy_kind", "energy.kind", "measured, estimated or replayed; not an official MLPerf power result"),
    ("energy_meter", "energy.meter", "the power meter"),
    ("energy_scope", "energy.scope", "what it sees: board, package, node, wall"),
    ("energy_j", "energy.energy_j", "energy of the timed part; an estimate has its two ends alone"),
    ("energy_low_j", "energy.energy_low_j", "lower end of its 95 % interval"),
    ("energy_high_j", "energy.energy_high_j", "and its upper end"),
    ("energy_per_sample_j", "energy.per_sample_j", "energy_j by the samples done"),
    ("power_mean_w", "energy.mean_w", "mean power of the timed part"),
    ("accuracy_metric", "accuracy.0.metric", "the first accuracy metric; the JSON has all"),
    ("accuracy_value", "accuracy.0.value", "in the metric's own unit"),
    ("accuracy_low", "accuracy.0.low", "lower end of its 95 % interval"),
    ("accuracy_high", "accuracy.0.high", "and its upper end"),
    ("accuracy_target", "accuracy.0.target", "what the round demands"),
    ("accuracy_met", "accuracy.0.met", "true or false; empty without a target"),
    ("compliance_failed", "compliance_failed", 'compliance tests that failed, joined by "; "'),
    ("tax_mean_s", "tax.mean_s", "latency that the harness adds"),
    ("tax_p99_s", "tax.p99_s", "and its 99th percentile"),
    ("tax_share", "tax.share", "of the latency limit, or of the run's own latency"),
    ("errors", "errors", "findings for which the rules reject the result"),
    ("warnings", "warnings", "findings that are worth a look"),
    ("host_peak_bytes", "memory.host_peak_bytes", "peak memory of the host"),
    ("device_peak_bytes", "memory.device_peak_bytes", "peak memory of the device"),
)


def result(shown: RunResult, name: str) -> dict[str, Any]:
    """One result as plain values; `name` is its run's."""
    run, spec = shown.run, shown.run.spec
    metric = run.result
    scale = SECONDS.get(metric.unit, 1.0) if metric else 1.0
    return {
        "run": name,
        "benchmark": shown.benchmark.name,
        "title": shown.benchmark.title,
        "scenario": shown.scenario,
        "mode": run.mode,
        **{key: spec.get(key) or None for key in ("division", "round", "backend", "device", "precision")},
        "started": run.meta.get("started"),
        "valid": run.valid,
        "invalid_reasons": list(run.invalid_reasons),
        "metric": metric
        and {"name": metric.name, "value": metric.value * scale, "unit": "s" if scale != 1 else metric.unit},
        "duration_s": run.duration_s,
        "throughput_samples_per_s": latencies.throughput(run),
        **{KINDS.get(kind, "latency_s"): _spread(values) for kind, values in latencies.kinds(run)},
        "steadiness": _steadiness(run),
        "anatomy_s": _anatomy(run),
        "energy": _energy(run),
        "accuracy": [_accuracy(score, shown.targets) for score in shown.scores],
        "compliance": dict(sorted(shown.verdicts.items())),
        "compliance_failed": sorted(test for test, passed in shown.verdicts.items() if not passed),
        "tax": _tax(run),
        "errors": sum(each.severity is Severity.ERROR for each in shown.findings),
        "warnings": sum(each.severity is Severity.WARNING for each in shown.findings),
        "findings": [asdict(each) for each in shown.findings],
        "memory": dict(run.meta.get("memory") or {}),
        "settings": dict(run.meta.get("settings") or {}),
        "locked": list(run.meta.get("locked") or ()),
        "digests": dict(run.meta.get("digests") or {}),
    }


def document(results: Sequence[Mapping[str, Any]], more: Mapping[str, Any]) -> str:
    """The JSON file: results, and whatever `more` says of all of them."""
    whole = {"format": FORMAT, "kind": KIND, "suite": __version__, **more, "results": results}
    return json.dumps(_finite(whole), indent=1, ensure_ascii=False, default=str) + "\n"


def written(path: Path) -> bool:
    """Whether a file is the JSON of a report that this suite wrote."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(found, dict) and found.get("kind") == KIND


def table(results: Sequence[Mapping[str, Any]]) -> str:
    """The CSV file (RFC 4180): a line for each result, empty where nothing is known."""
    text = io.StringIO()
    lines = csv.writer(text)
    lines.writerow([name for name, _, _ in COLUMNS])
    for each in results:
        lines.writerow([FORMAT if not place else _cell(_at(_finite(each), place)) for _, place, _ in COLUMNS])
    return text.getvalue()


def _at(value: Any, place: str) -> Any:
    for key in place.split("."):
        if isinstance(value, list):
            value = value[int(key)] if int(key) < len(value) else None
        else:
            value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    text = "; ".join(map(str, value)) if isinstance(value, list) else str(value)
    return f"'{text}" if text.startswith(FORMULA) else text


def _finite(value: Any) -> Any:
    """The value with null for numbers that JSON does not know, and Python's own types for numpy's."""
    if isinstance(value, Mapping):
        return {str(key): _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _spread(values_ns: np.ndarray) -> dict[str, float | int] | None:
    """Count, mean, percentiles (where there are samples enough to tell one from the maximum) and maximum, in s."""
    if not len(values_ns):
        return None
    told = {key: share for key, share in SHARES.items() if round(len(values_ns) * (1 - share), 6) >= 1}
    return {
        "count": len(values_ns),
        "mean": float(np.mean(values_ns)) / 1e9,
        **{key: percentile(values_ns, share) / 1e9 for key, share in told.items()},
        "max": float(np.max(values_ns)) / 1e9,
    }


def _steadiness(run: Run) -> dict[str, Any] | None:
    paces = latencies.paces(run)
    if not len(paces):
        return None
    found = steadiness(paces)
    far = None if run.scenario == "Offline" else found.outliers
    judged = found.judged
    return {
        "warm_up": found.warm_up if judged else None,
        "drift": found.drift if judged else None,
        "outliers": far,
    }


def _anatomy(run: Run) -> dict[str, dict[str, float]]:
    """Mean and p99 of each span that the record knows; the p99 of spans do not add up."""
    told = spans.told(run)
    if told is None:
        return {}
    found = anatomy(told)
    seen = {name: field for name, field, _ in spans.SPANS if field not in spans.unseen(told)}
    pairs = {name.replace(" ", "_"): getattr(found, field) for name, field in seen.items()}
    return {name: {"mean": mean / 1e9, "p99": p99 / 1e9} for name, (mean, p99) in pairs.items()}


def _energy(run: Run) -> dict[str, Any] | None:
    """Joules and watts of a run; an estimate has its ends alone, so that nobody takes a middle for a figure."""
    found = energy.summarize(run)
    if found is None:
        return None
    middles = {
        "energy_j": found.joules,
        "mean_w": found.mean_w,
        "max_w": found.max_w,
        "idle_w": found.idle_w,
        "per_query_j": found.per_query_j,
        "per_sample_j": found.per_sample_j,
        "per_token_j": found.per_token_j,
    }
    return {
        "kind": "replayed" if found.replay else "estimated" if found.estimated else "measured",
        "official": False,
        "meter": found.meter,
        "scope": found.scope,
        "parts": list(found.parts),
        "energy_low_j": found.joules_low,
        "energy_high_j": found.joules_high,
        **(dict.fromkeys(middles) if found.estimated else middles),
    }


def _accuracy(score: Score, targets: Sequence[Target]) -> dict[str, Any]:
    target = next((each for each in targets if each.metric == score.metric), None)
    return {
        **asdict(score),
        "target": target.target if target else None,
        "upper": target.upper if target else None,
        "higher_is_better": target.higher_is_better if target else None,
        "met": met(score, target) if target else None,
    }


def met(score: Score, target: Target) -> bool:
    """Whether a score is on the right side of its target, and of its upper bound where there is one."""
    reached = score.value >= target.target if target.higher_is_better else score.value <= target.target
    return reached and (target.upper is None or score.value <= target.upper)


def _tax(run: Run) -> dict[str, Any] | None:
    found = tax.of(run)
    if found is None:
        return None
    judged = None if found.error else tax.share(run, found)
    return {
        "layout": found.layout,
        "samples": found.samples,
        "mean_s": None if found.mean_ns is None else found.mean_ns / 1e9,
        "p99_s": None if found.p99_ns is None else found.p99_ns / 1e9,
        "share": judged.part if judged else None,
        "share_of": judged.whole if judged else None,
        "ceiling_samples_per_s": found.ceiling,
        "error": found.error,
    }


def names(runs: Sequence[Run]) -> Iterator[str]:
    """A name for each run: its folder below the folder that all of them share; for one run, its own name."""
    parts = [run.path.resolve().parts for run in runs]
    shared = 0
    while parts and all(len(each) > shared + 1 and each[shared] == parts[0][shared] for each in parts):
        shared += 1
    for each in parts:
        yield "/".join(each[shared:])

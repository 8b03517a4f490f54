"""A result of MLPerf Endpoints: what its folder holds beside the run, which is judged as any other run is."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from audit.accuracy import judge
from audit.finding import Finding
from loadgen_harness.types import Metric, Score
from submissions import layout, structure
from submissions.structure import error
from submissions.subject import Subject

AUDIT = "audit"
# Test -> its name in the endpoints harness; the round's other tests have no counterpart that is demanded.
TESTS = {"TEST04": "output_caching_test"}
RANGED = "TEST09"
# Checks of what LoadGen alone has.
LOADGENS = {
    "audit-config", "audit-settings", "early-stopping", "equal-issue", "latency-setting", "loadgen-version",
    "percentile", "samples-per-query", "token-latencies",
}  # fmt: skip
LOADGENS_KEYS = {"effective_qsl_rng_seed"}
CLAUSE = "mlcommons/inference, tools/submission: endpoints submissions"


def check(subject: Subject) -> Iterator[Finding]:
    """Its files are there, its accuracy reaches the target, its audits passed."""
    for name in layout.ENDPOINT_FILES:
        path = subject.place.path / name
        if not subject.readable(path) or not path.stat().st_size:
            what = ("file", "empty" if path.is_file() else "missing", "a file of the endpoints harness")
            yield error("structure", subject.name(path), what, CLAUSE, "copy it from the run")
    if subject.closed:
        yield from _accuracy(subject)
        yield from _tests(subject)


def judged(findings: Iterable[Finding], subject: Subject) -> Iterator[Finding]:
    """What is found in the run itself, without what LoadGen alone has, under the names of the harness's files."""
    config, summary, scores = (subject.name(subject.place.path / name) for name in layout.ENDPOINT_FILES)
    for finding in findings:
        if finding.check not in LOADGENS and finding.key not in LOADGENS_KEYS:
            settings = finding.key.startswith(("effective_", "requested_"))
            place = scores if "accuracy" in finding.key else config if settings else summary
            known = {Path(name).name: name for name in (config, summary, scores)}
            yield replace(finding, file=known.get(Path(finding.file).name, place), line=0)


def _accuracy(subject: Subject) -> Iterator[Finding]:
    """The one score against the one target that asks for quality; the official checker compares few of them."""
    run = subject.performance
    score = run.log.get("accuracy_score") if run else None
    limits = subject.rules.limits.get(subject.scenario)
    count = run.log.get("effective_accuracy_sample_count") if run else None
    file = subject.name(subject.place.path / layout.ENDPOINT_FILES[-1])
    if limits and count is not None and count != limits.accuracy_sample_count:
        what = ("total_samples", str(count), str(limits.accuracy_sample_count))
        yield error("accuracy-sample-count", file, what, f"{CLAUSE}: the whole data set", "score all samples")
    wanted = [metric for metric in subject.benchmark.metrics if _asks(metric, subject)]
    if not isinstance(score, int | float) or len(wanted) != 1:
        return
    share = 100 if wanted[0].unit == "%" and 0 <= score <= 1 else 1  # harnesses state shares and percent alike
    value = float(score) * share
    only = replace(subject.rules, targets=tuple(t for t in subject.rules.targets if t.metric == wanted[0].name))
    scores = [Score(wanted[0].name, value, value, value, 0, layout.ENDPOINT_FILES[-1])]
    for finding in judge(scores, only, division=subject.division, scenario=subject.scenario):
        yield replace(finding, file=file)


def _asks(metric: Metric, subject: Subject) -> bool:
    """Whether a target demands quality of the metric, not only a length."""
    return any(target.metric == metric.name and target.target > 0 for target in subject.rules.targets)


def _tests(subject: Subject) -> Iterator[Finding]:
    """Demanded audits are there; every audit that is there passed; answers are as long as TEST09 wants."""
    folder = subject.place.path / AUDIT
    demanded = {f"audit_{TESTS[test]}.json" for test in subject.rules.tests if test in TESTS}
    present = {path.name for path in folder.glob("audit_*.json")} if layout.inside(folder, subject.tree) else set()
    for name in sorted(demanded | present):
        yield from _audit(folder / name, subject)
    settings = subject.rules.test_settings.get(RANGED, {})
    low, high = settings.get("min_output_tokens"), settings.get("max_output_tokens")
    mean = subject.performance.log.get("mean_output_tokens") if subject.performance else None
    if low is not None and high is not None and not (isinstance(mean, int | float) and low <= mean <= high):
        what = ("mean_output_tokens", str(mean or "missing"), f"{low} to {high}")
        file = subject.name(subject.place.path / layout.ENDPOINT_FILES[1])
        yield error("compliance", file, what, f"{CLAUSE}: {RANGED}", "repeat the run with the round's output lengths")


def _audit(path: Path, subject: Subject) -> Iterator[Finding]:
    found, fault = structure.document(path, subject.tree)
    passed = (found or {}).get("passed")
    named = path.name == f"audit_{(found or {}).get('test')}.json"
    if passed is not True or not named:
        shown = fault or json.dumps({key: (found or {}).get(key) for key in ("test", "passed")})
        what = (path.stem, shown, "its own name and passed = true")
        yield error("compliance", subject.name(path), what, f"{CLAUSE}: audits", "run the audit again")

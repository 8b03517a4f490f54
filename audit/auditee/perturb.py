"""Does the system run the model? A slightly broken one must be as fast and clearly worse.

The Audit Guidelines (Rule Violation) ask for "bad accuracy, but similar performance". As good as before: the answers
come from elsewhere, such as labels or a cache of an earlier run. Not as fast: the speed depends on the weights.
"""

from __future__ import annotations

from pathlib import Path

from audit.auditee import answers, speed
from audit.auditee.models import Broken
from audit.auditee.report import GUIDELINES, Report, Ruling, between, faults, gravest
from audit.auditee.subject import Plan, Runs, Subject, interleaved, numbered
from audit.finding import Finding, Severity
from loadgen_harness.run import Run
from loadgen_harness.types import RunSpec, TestMode

AUDIT = "perturb"
CLAUSE = f"{GUIDELINES}, Rule Violation"
OWN, BROKEN = "own", "broken"
WORSE = "a clearly worse accuracy"
UNCHANGED = 0.5  # of the answers: shuffled weights change nearly all of them; where fewer stay, the break was too mild
ACCURACY = {
    Ruling.PASS: "the system runs the model, which broken is clearly worse",
    Ruling.OPEN: "the break was too mild to tell whether the system runs the model",
    Ruling.FAIL: "the system does not run the model, which broken answers as before",
}
SPEED = {
    Ruling.PASS: "and as fast",
    Ruling.OPEN: "but whether it is as fast is undecided",
    Ruling.FAIL: "but its speed is another",
}


def plan(subject: Subject, model: Path) -> Plan:
    """An accuracy run of either model, then pairs of performance runs, interleaved; `model` is the broken one."""
    found: dict[str, RunSpec] = {}
    models = {OWN: subject.spec(OWN).model, BROKEN: model}
    for which, file in models.items():
        name = f"accuracy-{which}"
        found[name] = subject.spec(name, mode=TestMode.ACCURACY, model=file)
    for number, which in interleaved(OWN, BROKEN, subject.runs):
        name = numbered(which, number)
        found[name] = subject.spec(name, mode=TestMode.PERFORMANCE, model=models[which])
    return found


def judge(subject: Subject, runs: Runs, model: Broken) -> Report:
    """Compare the runs of the two models."""
    numbers = range(1, subject.runs + 1)
    pairs = [(runs[numbered(BROKEN, number)], runs[numbered(OWN, number)]) for number in numbers]
    low, high = 1 / speed.SIMILAR, speed.SIMILAR
    rows = [between(name, found, low, high) for name, found in speed.ratios(pairs).items()]
    fix = "Ask what in the system depends on weights (Inference Rules, Benchmark detection is not allowed)."
    findings = faults(AUDIT, rows, clause=CLAUSE, wanted="a speed like the intact model's", fix=fix)
    ruling, more = _accuracy(subject, runs[f"accuracy-{OWN}"], runs[f"accuracy-{BROKEN}"], model)
    timed = gravest(row.ruling for row in rows)
    sentence = f"{ACCURACY[ruling]}, {SPEED[timed]} ({model.said})"
    return Report(AUDIT, gravest([ruling, timed]), sentence, tuple(rows), (*more, *findings))


def _accuracy(subject: Subject, own: Run, broken: Run, model: Broken) -> tuple[Ruling, list[Finding]]:
    """Whether breaking the model made the answers worse; where not, whether it changed them at all."""
    before, fault = answers.scores(subject.score, own.responses)
    if fault:
        return Ruling.FAIL, [_finding(Severity.ERROR, f"intact model: {fault}", "answers that can be scored")]
    after, unscored = answers.scores(subject.score, broken.responses)
    if unscored or answers.fell(before, after, subject.benchmark):
        return Ruling.PASS, []
    same = 1 - answers.likeness(own, broken, subject.benchmark.response_dtype).share
    values = {each.metric: each.value for each in after}
    figures = ", ".join(f"{each.metric} {each.value:.5g} -> {values.get(each.metric, 0):.5g}" for each in before)
    found = f"{figures}; {same:.0%} of the answers unchanged, with {model.said}"
    if same == 1 or (same > UNCHANGED and not model.mild):
        return Ruling.FAIL, [_finding(Severity.ERROR, found, WORSE)]
    return Ruling.OPEN, [_finding(Severity.WARNING, found, WORSE)]


def _finding(severity: Severity, found: str, wanted: str) -> Finding:
    fix = "Ask where the answers come from, if not from the model."
    if severity is Severity.WARNING:
        fix = "Break the model otherwise (--how weights, another --seed): this changed answers, but made them no worse."
    return Finding(AUDIT, severity, "mlperf_log_accuracy.json", "accuracy", found, wanted, CLAUSE, fix)

"""Does the system know LoadGen's order? Other seeds must be as fast, and an answer must not depend on its place.

A round's seeds are public, so a system could know which sample comes next, and when. Pairs of performance runs, under
the round's seeds and under others, log some of their answers (as in TEST01); an accuracy run under either says what the
answers should be, in every order and in both modes.
"""

from __future__ import annotations

from audit.auditee import answers, speed
from audit.auditee.report import GUIDELINES, Report, Ruling, at_most, faults, gravest
from audit.auditee.subject import Plan, Runs, Subject, interleaved, numbered
from audit.finding import Finding, Severity, errors
from loadgen_harness.run import Run
from loadgen_harness.types import Division, RunSpec, TestMode

AUDIT = "order"
OFFICIAL, OTHER = "official", "other"
SAMPLED = "TEST01"  # its audit.config has LoadGen log answers in performance mode
SPEED_CLAUSE = (
    f"{GUIDELINES}, Rule Violation; Inference Rules, Model Equivalence: knowledge of LoadGen to predict lulls or spikes"
)
ORDER_CLAUSE = f"{GUIDELINES}, Rule Violation; Inference Rules, Input-based optimization is not allowed"
MODE_CLAUSE = f"{GUIDELINES}, Rule Violation; Inference Rules, LoadGen Operation: the same output in both modes"
FIRST_SEED = 1
LOG = "mlperf_log_accuracy.json"
ORDER, MODE, UNSCORED = "another order", "performance mode", "scoring"
WORDS = {
    ORDER: "answers depend on the order of samples",
    MODE: "answers differ in performance mode",
    UNSCORED: "answers cannot be scored",
}
QUICKER = "the round's own seeds are faster than others"


def plan(subject: Subject) -> Plan:
    """Two accuracy runs in different order, then pairs of performance runs; each pair has other seeds of its own."""
    found: dict[str, RunSpec] = {}
    for which, seed in ((OFFICIAL, 0), (OTHER, FIRST_SEED)):
        name = f"accuracy-{which}"
        found[name] = subject.spec(name, mode=TestMode.ACCURACY, division=Division.OPEN, seed=seed)
    for number, which in interleaved(OFFICIAL, OTHER, subject.runs):
        name = numbered(which, number)
        seed = FIRST_SEED + number if which == OTHER else 0
        found[name] = subject.spec(name, mode=TestMode.PERFORMANCE, division=Division.OPEN, seed=seed, test=SAMPLED)
    return found


def judge(subject: Subject, runs: Runs) -> Report:
    """Compare speeds within pairs, and every answer with the accuracy run's under the round's seeds."""
    numbers = range(1, subject.runs + 1)
    pairs = [(runs[numbered(OFFICIAL, number)], runs[numbered(OTHER, number)]) for number in numbers]
    found = speed.ratios(pairs, (speed.QUARTER, speed.HALF))  # a system that is surprised is so by most queries
    rows = [at_most(name, each, accused=speed.MATERIAL, cleared=speed.SIMILAR) for name, each in found.items()]
    fix = "Ask what the system knows of the round's seeds, schedule or sample order, and remove it."
    findings = faults(AUDIT, rows, clause=SPEED_CLAUSE, wanted="the speed under other seeds", fix=fix)
    findings += _answers(subject, runs)
    ruling = gravest([_weight(finding) for finding in findings])
    return Report(AUDIT, ruling, _sentence(ruling, findings), tuple(rows), tuple(findings))


def _sentence(ruling: Ruling, findings: list[Finding]) -> str:
    if ruling is Ruling.PASS:
        return "speed and answers do not depend on seeds, order or mode"
    if ruling is Ruling.OPEN:
        return "undecided whether the round's own seeds are faster than others"
    return "; ".join(dict.fromkeys(WORDS.get(each.key, QUICKER) for each in errors(findings)))


def _answers(subject: Subject, runs: Runs) -> list[Finding]:
    """What is wrong with the answers of all runs, the accuracy run under the round's seeds being the reference."""
    reference = runs[f"accuracy-{OFFICIAL}"]
    _, fault = answers.scores(subject.score, reference.responses)
    if fault:
        fix = "Mend the system's answers: this run would be rejected without any audit."
        wanted = "answers that can be scored"
        return [Finding(AUDIT, Severity.ERROR, LOG, UNSCORED, fault, wanted, ORDER_CLAUSE, fix)]
    found = _compared(subject, reference, runs[f"accuracy-{OTHER}"], ORDER)
    for number in range(1, subject.runs + 1):
        for which in (OFFICIAL, OTHER):
            found += _compared(subject, reference, runs[numbered(which, number)], MODE)
    return found


def _compared(subject: Subject, reference: Run, other: Run, key: str) -> list[Finding]:
    """An error where answers differ more than rounding explains, a note where a few do and are as accurate."""
    likeness = answers.likeness(reference, other, subject.benchmark.response_dtype)
    if not likeness.share:
        return []
    few = likeness.share <= answers.tolerated(subject.benchmark)
    harmless = few and not likeness.unknown and answers.agree(subject.score, reference, other)
    severity = Severity.NOTE if harmless else Severity.ERROR
    found = f"{likeness.text()} in {other.path.name}" + ("; the accuracy agrees" if harmless else "")
    fix = "Run the same code in every mode and for every order of samples."
    if harmless:
        fix = "Nothing, where floating-point rounding explains it (Inference Rules, Non-determinism is restricted)."
    clause = ORDER_CLAUSE if key == ORDER else MODE_CLAUSE
    return [Finding(AUDIT, severity, LOG, key, found, "the accuracy run's answers", clause, fix)]


def _weight(finding: Finding) -> Ruling:
    return {Severity.ERROR: Ruling.FAIL, Severity.WARNING: Ruling.OPEN}.get(finding.severity, Ruling.PASS)

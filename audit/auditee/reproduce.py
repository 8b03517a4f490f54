"""Is a result reproduced? The same run again, several times, against what was claimed.

By convention 2 % is "materially different" (Audit Guidelines, Compare results). Two intervals answer. The claim stands
where the mean of the repetitions lies, with its whole interval, above the claim less 2 %. It falls only where the claim
is better than a further repetition could be: a claim is a single run, and on a restless machine a lucky one proves
nothing. Between the two the audit is open, and says how many repetitions would decide. Where other processes took more
of the machine than beside the claim it accuses nobody.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from audit.auditee.report import GUIDELINES, Report, Row, Ruling, decided_by, gravest
from audit.auditee.speed import as_speed
from audit.auditee.statistics import Ratio, ratio
from audit.auditee.subject import Plan, Runs, Subject, numbered
from audit.finding import Finding, Severity
from audit.runtime import others
from loadgen_harness.errors import BadInput
from loadgen_harness.run import Result, Run

AUDIT = "reproduce"
CLAUSE = f"{GUIDELINES}, Compare results; Inference Rules, Replicability is mandatory"
SYSTEM_CLAUSE = f"{GUIDELINES}, System Under Test: the audited system is the one of the submission"
FIX = "Have the submitter reproduce the result; what cannot be replicated is no valid result."
BESIDE = 0.03  # of the processors, taken by others: as much slower may an honest system be
OTHERS = "other processes"
RESTED = "Repeat the audit on a machine that does nothing else:"
WORDS = {Ruling.PASS: "reproduced", Ruling.FAIL: "not reproduced", Ruling.OPEN: "undecided"}


def plan(subject: Subject) -> Plan:
    """The run again and again, at the rates that were calibrated for it."""
    names = [numbered("repeat", number) for number in range(1, subject.runs + 1)]
    return {name: subject.spec(name) for name in names}


def judge(subject: Subject, runs: Runs, within: float = 2.0) -> Report:
    """Compare the repetitions' results with the claimed one, `within` so many percent; raises BadInput without one."""
    claimed = subject.run.result
    if claimed is None or claimed.value <= 0:  # too few queries for early stopping's estimate give a latency of 0
        raise BadInput(f"{subject.run.path} holds no result: there is nothing to reproduce.")
    speeds = [_quotient(run, claimed) for run in runs.values()]
    row = compared(speeds, claimed, within / 100)
    validity = list(_validity(subject.run, list(runs.values())))
    beside = disturbed(subject.run, list(runs.values()))
    if beside:  # an honest system is slower then
        row = replace(row, ruling=Ruling.OPEN, more=beside) if row.ruling is Ruling.FAIL else row
        validity = [replace(finding, severity=Severity.WARNING, fix=f"{RESTED} {beside}.") for finding in validity]
    ruling = gravest([row.ruling, *(_weight(finding) for finding in validity)])
    findings = [*_findings(row, claimed, within), *validity, *unlike(subject.run, list(runs.values()))]
    figures = f"{claimed.value:.6g} {claimed.unit} claimed, repetitions at {row.ratio.text()} of its speed"
    sentence = f"{WORDS[ruling]}: {figures}"
    return Report(AUDIT, ruling, f"{sentence}{row.more and f'; {row.more}'}", (row,), tuple(findings))


def compared(speeds: Sequence[float], claimed: Result, share: float) -> Row:
    """The repetitions' speeds, the claimed one being 1, against the share by which they may be worse."""
    slowest = 1 / (1 + share) if claimed.unit == "ms" else 1 - share
    mean, single = ratio(speeds), ratio(speeds, one_more=True)
    ruling, more = Ruling.OPEN, ""
    if mean.low >= slowest:
        ruling = Ruling.PASS
    elif single.high < slowest:
        ruling = Ruling.FAIL
    else:
        more = decided_by(mean, slowest, one_more=mean.mean < slowest)
    return Row(claimed.name, mean, f">= {slowest:.1%}", ruling, more)


def disturbed(claimed: Run, runs: Sequence[Run]) -> str:
    """What other processes took of the machine, where that is clearly more than beside the claim; else nothing.

    A backend that is a server counts among the others, then as now.
    """
    before, now = others(claimed), [taken for run in runs if (taken := others(run))]
    usual = before.share if before else 0.0
    share = sum(taken.share for taken in now) / len(now) if now else 0.0
    if share - usual <= BESIDE:
        return ""
    return f"{OTHERS} took {share:.0%} of the processors meanwhile" + (f", {usual:.0%} before" if before else "")


def _quotient(run: Run, claimed: Result) -> float:
    if run.result is None or run.result.key != claimed.key or run.result.value <= 0:
        raise BadInput(f"{run.path} came to no {claimed.key}: its queries are too few, so audit a longer run.")
    return as_speed(run.result) / as_speed(claimed)


def _findings(row: Row, claimed: Result, within: float) -> list[Finding]:
    """What the comparison says: slower, open, or materially faster, which is no fault of the claim."""
    if row.ruling is Ruling.PASS and row.ratio.low <= 1 + within / 100:
        return []
    severity = Severity.ERROR if row.ruling is Ruling.FAIL else Severity.WARNING
    fix = FIX
    if row.ruling is Ruling.OPEN:
        fix = f"{RESTED} {row.more}." if row.more.startswith(OTHERS) else f"Repeat with more --runs: {row.more}."
    elif row.ruling is Ruling.PASS:
        fix = "The claim stands; ask what made the repetitions faster."
    wanted = f"{claimed.value:.6g} {claimed.unit} within {within:g} %"
    return [Finding(AUDIT, severity, "run.json", claimed.key, _found(row.ratio), wanted, CLAUSE, fix)]


def _found(found: Ratio) -> str:
    return f"speed {found.text()} of the claimed"


def _validity(claimed: Run, runs: Sequence[Run]) -> list[Finding]:
    """Repetitions of a VALID run are VALID: where all fail, so does the claim; where some do, it is in doubt."""
    failed = [run for run in runs if not run.valid]
    if not claimed.valid or not failed:
        return []
    severity = Severity.ERROR if len(failed) == len(runs) else Severity.WARNING
    found = f"{len(failed)} of {len(runs)} INVALID: {failed[0].invalid_reasons[0]}"
    fix = FIX if severity is Severity.ERROR else "Repeat with more --runs, or ask for a rate that the system holds."
    return [Finding(AUDIT, severity, "mlperf_log_detail.txt", "result_validity", found, "VALID", CLAUSE, fix)]


def unlike(claimed: Run, runs: Sequence[Run]) -> list[Finding]:
    """What of machine, software and model is not what the claim was made on."""
    before, changed = _made_on(claimed), dict[str, str]()
    for now in map(_made_on, runs):
        pairs = ((key, before.get(key, "nothing"), now.get(key, "nothing")) for key in before.keys() | now.keys())
        changed |= {key: f"{key} {found}, was {wanted}" for key, wanted, found in pairs if wanted != found}
    if not changed:
        return []
    fix = "Repeat on the audited system, or have the difference explained."
    found = "; ".join(changed[key] for key in sorted(changed))
    return [Finding(AUDIT, Severity.WARNING, "run.json", "system", found, "the claim's system", SYSTEM_CLAUSE, fix)]


def _made_on(run: Run) -> dict[str, str]:
    """What run.json says of the system behind a run."""
    parts = (run.meta.get(key) for key in ("system", "versions", "suite"))
    known = {str(key): str(value) for part in parts if isinstance(part, dict) for key, value in part.items()}
    return {**known, "model": str(run.meta.get("model_sha256", ""))[:16]}


def _weight(finding: Finding) -> Ruling:
    return Ruling.FAIL if finding.severity is Severity.ERROR else Ruling.OPEN

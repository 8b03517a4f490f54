"""TEST01: accuracy in performance mode. Sampled responses of a performance run equal those of the accuracy run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from audit import accuracy as accuracy_file
from audit.case import ACCURACY_LOG
from audit.compliance._performance import Comparison, failed, settings_in_force
from audit.finding import Finding, Severity, errors
from audit.verdict import ComplianceTest, Scorer, Trial, Verdict
from loadgen_harness.run import Run


@dataclass(frozen=True)
class Match:
    """What comparing the accuracy log with the sampled responses of a performance run counted."""

    accuracy_entries: int
    repeated: int
    contradicting: int
    sampled: int
    found: int
    different: int
    missing: int

    @property
    def passed(self) -> bool:
        """Every sampled response is that of the accuracy run, bit by bit."""
        return self.found > 0 and not self.different and not self.missing

    def text(self, passed: bool) -> str:
        """verify_accuracy.txt: the figures under the names that the official script prints them by."""
        return (
            "Verifying accuracy. This might take a while...\n"
            "Reading accuracy mode results...\nReading performance mode results...\n"
            f"num_acc_log_entries = {self.accuracy_entries}\nnum_acc_log_duplicate_keys = {self.repeated}\n"
            f"num_acc_log_data_mismatch = {self.contradicting}\nnum_perf_log_entries = {self.sampled}\n"
            f"num_perf_log_qsl_idx_match = {self.found}\nnum_perf_log_data_mismatch = {self.different}\n"
            f"num_missing_qsl_idxs = {self.missing}\nTEST {'PASS' if passed else 'FAIL'}\n\n"
        )


class Test01(ComplianceTest):
    """A performance run that logs a sample of its responses, compared bit by bit, and in speed within 10 %."""

    name = "TEST01"
    needs = ("reference", "accuracy")

    def judge(self, trial: Trial) -> Verdict:
        """Compare responses and speed; with a scorer, unequal responses pass if the accuracy agrees within 1 %."""
        match = compare(trial.accuracy, trial.audit)
        findings = list(settings_in_force(self.name, trial))
        files = {"verify_accuracy.txt": match.text(match.passed and not findings)}
        if not match.passed:
            files |= _baseline(trial, trial.score) if trial.score and match.found else {}
            findings += _unequal(match, trial)
        files["verify_performance.txt"], slower = _performance(Comparison.of(self.name, trial))
        findings += slower
        return Verdict(not errors(findings), files, tuple(findings))


def compare(accuracy: Run | None, audit: Run) -> Match:
    """Count how the sampled responses of `audit` agree with the accuracy run's first response to each sample."""
    entries = accuracy.response_entries if accuracy else ()
    first: dict[int, bytes] = {}
    for entry in entries:
        first.setdefault(entry.qsl_idx, entry.data)
    sampled = audit.response_entries
    known = [entry for entry in sampled if entry.qsl_idx in first]
    return Match(
        accuracy_entries=len(entries),
        repeated=len(entries) - len(first),
        contradicting=sum(first[entry.qsl_idx] != entry.data for entry in entries),
        sampled=len(sampled),
        found=len(known),
        different=sum(first[entry.qsl_idx] != entry.data for entry in known),
        missing=len(sampled) - len(known),
    )


def _subsets(trial: Trial) -> tuple[dict[int, bytes], Mapping[int, bytes]]:
    """The accuracy run's responses to the sampled samples, and the performance run's."""
    whole, sampled = trial.accuracy.responses if trial.accuracy else {}, trial.audit.responses
    return {index: whole[index] for index in sampled if index in whole}, sampled


def _baseline(trial: Trial, score: Scorer) -> dict[str, str]:
    """The two accuracy texts that the official checker compares where responses are unequal."""
    baseline, sampled = _subsets(trial)
    return {
        "accuracy/baseline_accuracy.txt": accuracy_file.text(score(baseline)),
        "accuracy/compliance_accuracy.txt": accuracy_file.text(score(sampled)),
    }


def _unequal(match: Match, trial: Trial) -> Iterator[Finding]:
    """Findings for unequal responses: an error, or a warning where the accuracy of both agrees."""
    found = f"{match.different} different and {match.missing} unknown of {match.sampled} sampled responses"
    if not trial.score or not match.found or match.missing:
        yield _finding(Severity.ERROR, found)
        return
    apart = list(_apart(trial, trial.score))
    for each in apart:
        yield _finding(Severity.ERROR, f"{found}; {each}")
    if not apart:
        yield _finding(Severity.WARNING, f"{found}; accuracy agrees")


def _apart(trial: Trial, score: Scorer) -> Iterator[str]:
    """Metrics by which the two sets of responses differ more than the round allows (1 %, 0.1 % for 99.9 tasks)."""
    baseline, sampled = _subsets(trial)
    before = {each.metric: each.value for each in score(baseline)}
    general = trial.settings.get("accuracy_delta_percent", 1)
    after = score(sampled)
    if not after:
        yield "no metric was computed"
    for each in after:
        allowed = trial.settings.get(f"accuracy_delta_percent_{each.metric}", general)
        known = before.get(each.metric, 0)
        delta = abs(1 - known / each.value) * 100 if each.value and known else float("inf")
        if not delta <= allowed:
            yield f"{each.metric} differs by {delta:.3g} %, allowed are {allowed:g} %"


def _performance(comparison: Comparison) -> tuple[str, list[Finding]]:
    """verify_performance.txt and what is wrong with the speed: it stays within the tolerance on both sides."""
    findings = list(comparison.unlike())
    lines = ["Verifying performance."]
    if not findings:
        before, after = (float(comparison.score(run) or 0) for run in (comparison.reference, comparison.audit))
        share = comparison.tolerance()
        lines += [f"Reference score = {before}", f"Test score = {after}"]
        if not before * (1 - share) <= after <= before * (1 + share):
            clause = "compliance/TEST01/README.md, Introduction: the performance matches the submission's within 10 %"
            wanted = f"{before:.6g} within {share:.0%}"
            findings.append(comparison.finding("score", f"{after:.6g}", wanted, clause))
    lines.append(failed(findings[0]) if findings else "TEST PASS")
    return "\n".join(lines) + "\n", findings


def _finding(severity: Severity, found: str) -> Finding:
    return Finding(
        check="TEST01",
        severity=severity,
        file=ACCURACY_LOG,
        key="data",
        found=found,
        wanted="the accuracy run's responses, bit by bit",
        clause="compliance/TEST01/README.md, Introduction: results match those of accuracy mode; Non-determinism",
        fix="Verify before truncation; where outputs may differ between runs, show that the accuracy agrees.",
    )


TEST = Test01()

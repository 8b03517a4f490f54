"""TEST01: accuracy in performance mode. Sampled responses of a performance run equal those of the accuracy run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from audit import accuracy as accuracy_file
from audit.case import ACCURACY_LOG
from audit.compliance import _settings
from audit.compliance._performance import Comparison, settings_in_force
from audit.finding import Finding, Severity, errors
from audit.verdict import Scorer, Verdict
from loadgen_harness.run import Run
from loadgen_harness.types import Benchmark, Round, Scenario


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

    def text(self) -> str:
        """verify_accuracy.txt in the official wording."""
        return (
            "Verifying accuracy. This might take a while...\n"
            "Reading accuracy mode results...\nReading performance mode results...\n"
            f"num_acc_log_entries = {self.accuracy_entries}\nnum_acc_log_duplicate_keys = {self.repeated}\n"
            f"num_acc_log_data_mismatch = {self.contradicting}\nnum_perf_log_entries = {self.sampled}\n"
            f"num_perf_log_qsl_idx_match = {self.found}\nnum_perf_log_data_mismatch = {self.different}\n"
            f"num_missing_qsl_idxs = {self.missing}\nTEST {'PASS' if self.passed else 'FAIL'}\n\n"
        )


class Test01:
    """A performance run that logs a sample of its responses, compared bit by bit, and in speed within 10 %."""

    __test__ = False
    name = "TEST01"

    def applies(self, benchmark: Benchmark, scenario: Scenario, round_: Round) -> bool:
        """Whether the round demands this test here."""
        return _settings.demanded(self.name, benchmark, scenario, round_)

    def config(self, benchmark: Benchmark, round_: Round) -> str:
        """audit.config that samples the round's number of responses into the accuracy log."""
        return _settings.config(self.name, benchmark, round_)

    def verify(
        self,
        reference: Run,
        accuracy: Run | None,
        audit: Run,
        *,
        settings: Mapping[str, float] | None = None,
        score: Scorer | None = None,
    ) -> Verdict:
        """Compare responses and speed; with `score`, unequal responses pass if the accuracy agrees within 1 %.

        `accuracy` needs its whole accuracy log: verify before truncation.
        """
        chosen = _settings.of_run(self.name, audit) if settings is None else settings
        match = compare(accuracy, audit)
        files = {"verify_accuracy.txt": match.text()}
        findings = list(settings_in_force(self.name, audit, chosen))
        if not match.passed:
            files |= _baseline(accuracy, audit, score) if score and match.found else {}
            findings += _unequal(match, accuracy, audit, chosen, score)
        files["verify_performance.txt"], slower = _performance(Comparison(self.name, reference, audit, chosen))
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


def _subsets(accuracy: Run | None, audit: Run) -> tuple[dict[int, bytes], Mapping[int, bytes]]:
    """The accuracy run's responses to the sampled samples, and the performance run's."""
    whole = accuracy.responses if accuracy else {}
    return {index: whole[index] for index in audit.responses if index in whole}, audit.responses


def _baseline(accuracy: Run | None, audit: Run, score: Scorer) -> dict[str, str]:
    """The two accuracy texts that the official checker compares where responses are unequal."""
    baseline, sampled = _subsets(accuracy, audit)
    return {
        "accuracy/baseline_accuracy.txt": accuracy_file.text(score(baseline)),
        "accuracy/compliance_accuracy.txt": accuracy_file.text(score(sampled)),
    }


def _unequal(
    match: Match, accuracy: Run | None, audit: Run, settings: Mapping[str, float], score: Scorer | None
) -> Iterator[Finding]:
    """Findings for unequal responses: an error, or a warning where the accuracy of both agrees."""
    found = f"{match.different} different and {match.missing} unknown of {match.sampled} sampled responses"
    apart = (
        list(_apart(accuracy, audit, settings, score)) if score and match.found and not match.missing else ["unscored"]
    )
    severity = Severity.ERROR if apart else Severity.WARNING
    shown = [f"{found}; {each}" if each != "unscored" else found for each in apart] or [f"{found}; accuracy agrees"]
    for each in shown:
        yield _finding(severity, each)


def _apart(accuracy: Run | None, audit: Run, settings: Mapping[str, float], score: Scorer | None) -> Iterator[str]:
    """Metrics by which the two sets of responses differ more than the round allows (1 %, 0.1 % for 99.9 tasks)."""
    if score is None:
        return
    baseline, sampled = _subsets(accuracy, audit)
    before = {each.metric: each.value for each in score(baseline)}
    for each in score(sampled):
        general = settings.get("accuracy_delta_percent", 1)
        allowed = settings.get(f"accuracy_delta_percent_{each.metric}", general)
        known = before.get(each.metric, 0)
        delta = abs(1 - known / each.value) * 100 if each.value and known else float("inf")
        if delta > allowed:
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
            wanted = f"{before:.6g} within {share:.0%}"
            findings.append(
                comparison.finding("score", f"{after:.6g}", wanted, "TEST01: performance as in the submission")
            )
    lines.append("TEST FAIL: " + findings[0].clause if findings else "TEST PASS")
    return "\n".join(lines) + "\n", findings


def _finding(severity: Severity, found: str) -> Finding:
    return Finding(
        check="TEST01",
        severity=severity,
        file=ACCURACY_LOG,
        key="data",
        found=found,
        wanted="the accuracy run's responses, bit by bit",
        clause="TEST01: responses in performance mode match the accuracy run",
        fix="Verify before truncation; where outputs may differ between runs, show that the accuracy agrees.",
    )


TEST = Test01()

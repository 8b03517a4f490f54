"""TEST07: accuracy in performance mode. The responses of a performance run over the compliance set score enough.

For benchmarks whose performance data have no labels: the run uses a labelled set of its own, every response is logged,
and the benchmark's accuracy must reach a threshold of the round.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from audit.compliance._logged import fault, incomplete
from audit.compliance._performance import settings_in_force
from audit.finding import Finding
from audit.verdict import ComplianceTest, Trial, Verdict
from loadgen_harness.types import Score

RULE = "=" * 80


class Test07(ComplianceTest):
    """A run over the compliance set, scored as an accuracy run is; the benchmark's first metric counts."""

    name = "TEST07"
    needs = ("score",)

    def judge(self, trial: Trial) -> Verdict:
        """Score what the run logged; the submission's other runs play no part."""
        responses = trial.audit.responses
        scores = trial.score(responses) if trial.score and responses else ()
        low = list(_low(scores, trial.settings.get("accuracy_threshold")))
        findings = [*settings_in_force(self.name, trial), *incomplete(self.name, trial), *low]
        text = _text(scores, trial.settings.get("accuracy_threshold"), not low, not findings)
        return Verdict(not findings, {"verify_accuracy.txt": text}, tuple(findings))


def _low(scores: Sequence[Score], threshold: float | None) -> Iterator[Finding]:
    if threshold is None:
        fix = "State accuracy_threshold in the round's test_settings of this benchmark."
        yield fault("TEST07", "accuracy_threshold", "missing", "a threshold", fix)
    elif not scores:
        fix = "Verify before truncation, with the labels of the compliance set."
        yield fault("TEST07", "accuracy", "no response could be scored", f">= {threshold:g}", fix)
    elif not scores[0].value >= threshold:
        found = f"{scores[0].metric} {scores[0].value:.6g} of {scores[0].n} responses"
        fix = "The run in performance mode must compute what the accuracy run does: see what differs."
        yield fault("TEST07", "accuracy", found, f">= {threshold:g}", fix)


def _text(scores: Sequence[Score], threshold: float | None, reached: bool, passed: bool) -> str:
    """verify_accuracy.txt: every metric in the form that the official script looks for, then its own summary."""
    lines = [f"'{score.metric}': {score.value:.4f}" for score in scores]
    lines += ["", RULE, "TEST07 Verification Summary", RULE]
    if scores:
        lines += [f"Accuracy score: {scores[0].value}", f"Accuracy threshold: {threshold}"]
        lines += [f"Accuracy check pass: {reached}"]
    lines.append("TEST PASS" if passed else "TEST FAIL")
    return "\n".join(lines) + "\n"


TEST = Test07()

"""TEST04: no caching. One sample issued over and over may not be faster than the submission's mix of samples."""

from __future__ import annotations

from audit.compliance._performance import SHARE, Comparison, failed, settings_in_force
from audit.verdict import ComplianceTest, Trial, Verdict
from loadgen_harness.run import Run

LATENCIES = ("SingleStream", "MultiStream")
# The official script holds its limit for short latencies (200,000 ns) against a rate: past so many queries per second
# it allows 10 % alone, below them 20 % to every latency, where the test's own pass criterion says 10 %.
FASTEST = {"SingleStream": 200_000, "MultiStream": 1_600_000}


class Test04(ComplianceTest):
    """A run with performance_issue_same; it may be faster than the reference by at most 10 %."""

    name = "TEST04"
    needs = ("reference",)

    def judge(self, trial: Trial) -> Verdict:
        """Compare the two performance runs; accuracy and scores play no part."""
        comparison = Comparison.of(self.name, trial)
        findings = [*settings_in_force(self.name, trial), *comparison.unlike(summaries=True)]
        lines = ["Verifying performance."]
        if not findings:
            before, after = rate(comparison, trial.reference), rate(comparison, trial.audit)
            most = before * (1 + tolerance(comparison, before))
            lines += [f"reference score = {before}", f"test score = {after}"]
            if not after < most:
                wanted = f"< {most:.6g} (reference {before:.6g})"
                clause = "compliance/TEST04/README.md, Pass Criteria: at most 10 % faster than the performance run"
                findings.append(comparison.finding("score", f"{after:.6g}", wanted, clause))
        lines.append(failed(findings[0]) if findings else "TEST PASS")
        return Verdict(not findings, {"verify_performance.txt": "\n".join(lines) + "\n"}, tuple(findings))


def rate(comparison: Comparison, run: Run | None) -> float:
    """The score as a rate, higher is faster: latencies are turned into queries per second."""
    score = comparison.score(run) or 0
    return 1e9 / score if run and run.scenario in LATENCIES and score else score


def tolerance(comparison: Comparison, before: float) -> float:
    """The comparison's, but never more than the official script allows at the reference's `before` per second."""
    stated = comparison.settings.get("performance_tolerance_percent", 0) / 100
    strict = before > FASTEST.get(comparison.scenario, float("inf"))
    return max(stated, SHARE) if strict else comparison.tolerance()


TEST = Test04()

"""TEST04: no caching. One sample issued over and over may not be faster than the submission's mix of samples."""

from __future__ import annotations

from collections.abc import Mapping

from audit.compliance import _settings
from audit.compliance._performance import Comparison, settings_in_force
from audit.verdict import Scorer, Verdict
from loadgen_harness.run import Run
from loadgen_harness.types import Benchmark, Round, Scenario


class Test04:
    """A run with performance_issue_same; its score may exceed the reference by at most 10 %."""

    __test__ = False
    name = "TEST04"

    def applies(self, benchmark: Benchmark, scenario: Scenario, round_: Round) -> bool:
        """Whether the round demands this test here."""
        return _settings.demanded(self.name, benchmark, scenario, round_)

    def config(self, benchmark: Benchmark, round_: Round) -> str:
        """audit.config with performance_issue_same at index 3."""
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
        """Compare the two performance runs; accuracy and scores play no part."""
        chosen = _settings.of_run(self.name, audit) if settings is None else settings
        comparison = Comparison(self.name, reference, audit, chosen)
        findings = [*settings_in_force(self.name, audit, chosen), *comparison.unlike()]
        lines = ["Verifying performance."]
        if not findings:
            before, after, most = rate(comparison, reference), rate(comparison, audit), 1 + comparison.tolerance()
            lines += [f"reference score = {before}", f"test score = {after}"]
            if after >= before * most:
                wanted = f"< {before * most:.6g} (reference {before:.6g})"
                clause = "TEST04: not faster than the reference by the tolerance or more"
                findings.append(comparison.finding("score", f"{after:.6g}", wanted, clause))
        lines.append("TEST FAIL: " + findings[0].clause if findings else "TEST PASS")
        return Verdict(not findings, {"verify_performance.txt": "\n".join(lines) + "\n"}, tuple(findings))


def rate(comparison: Comparison, run: Run) -> float:
    """The score as a rate, higher is faster: latencies are turned into queries per second."""
    score = comparison.score(run) or 0
    return 1e9 / score if run.scenario in ("SingleStream", "MultiStream") and score else score


TEST = Test04()

"""TEST09: output length in performance mode. Answers may be cut short or padded in no run that is timed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from audit.compliance._logged import fault, incomplete
from audit.compliance._performance import settings_in_force
from audit.finding import Finding
from audit.verdict import ComplianceTest, Trial, Verdict
from loadgen_harness.run import Run

TOKEN_BYTES = 4  # the official script counts int32 whatever the benchmark; a rest of fewer bytes is no token
RULE = "=" * 80


@dataclass(frozen=True)
class Lengths:
    """Tokens per logged response, and the range that their mean must lie in."""

    tokens: np.ndarray
    least: float | None
    most: float | None

    @property
    def mean(self) -> float:
        """Mean tokens per response, 0 without any."""
        return float(self.tokens.mean()) if len(self.tokens) else 0.0

    @property
    def long_enough(self) -> bool:
        """Whether the mean reaches the least."""
        return self.least is not None and self.mean >= self.least

    @property
    def short_enough(self) -> bool:
        """Whether the mean stays within the most."""
        return self.most is not None and self.mean <= self.most

    def text(self, passed: bool) -> str:
        """verify_output_len.txt: the figures under the names that the official script prints them by."""
        head = [RULE, "TEST09: Verify Output Token Length in Performance Mode", RULE, ""]
        head += ["Output Token Length Statistics"]
        shown = [f"Total samples: {len(self.tokens)}", f"Mean output tokens: {self.mean:.2f}"]
        if len(self.tokens):
            shown += [f"Min output tokens: {self.tokens.min()}", f"Max output tokens: {self.tokens.max()}"]
            shown += [f"Std deviation: {self.tokens.std():.2f}"]
        judged = [f"Min threshold: {self.least}", f"Max threshold: {self.most}"]
        judged += [f"Min check pass: {self.long_enough}", f"Max check pass: {self.short_enough}"]
        last = ["", "TEST PASS" if passed else "TEST FAIL"]
        return "\n".join([*head, "-" * 40, *shown, "", RULE, "Verification Results", RULE, *judged, *last]) + "\n"


class Test09(ComplianceTest):
    """A run that logs every response; their mean length lies in the round's range."""

    name = "TEST09"

    def judge(self, trial: Trial) -> Verdict:
        """Measure what the run logged; the submission's other runs play no part."""
        lengths = measure(trial.audit, trial.settings.get("min_output_tokens"), trial.settings.get("max_output_tokens"))
        findings = [*settings_in_force(self.name, trial), *incomplete(self.name, trial), *_outside(lengths)]
        return Verdict(not findings, {"verify_output_len.txt": lengths.text(not findings)}, tuple(findings))


def measure(run: Run, least: float | None, most: float | None) -> Lengths:
    """How many tokens each logged response has."""
    counts = [len(entry.data) // TOKEN_BYTES for entry in run.response_entries]
    return Lengths(np.array(counts, dtype=np.int64), least, most)


def _outside(lengths: Lengths) -> Iterator[Finding]:
    if lengths.least is None or lengths.most is None:
        fix = "State min_output_tokens and max_output_tokens in the round's test_settings of this benchmark."
        yield fault("TEST09", "output_tokens", "no range", "a range", fix)
    elif not (lengths.long_enough and lengths.short_enough):
        found = f"mean of {lengths.mean:.2f} tokens in {len(lengths.tokens)} responses"
        fix = "Generate in performance mode as in accuracy mode: neither cut answers short nor pad them."
        yield fault("TEST09", "output_tokens", found, f"{lengths.least:g} to {lengths.most:g}", fix)


TEST = Test09()

"""TEST06: token outputs are consistent. First token, end of sequence and token count of about a hundred responses."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from audit.case import ACCURACY_LOG
from audit.compliance import _settings
from audit.compliance._performance import settings_in_force
from audit.finding import Finding, Severity
from audit.verdict import Scorer, Verdict
from loadgen_harness.run import Response, Run
from loadgen_harness.types import Benchmark, Round, Scenario

EOS = 2  # the official script's default; a round states another as eos_token_id
Judge = Callable[[Response], bool]


class Test06:
    """A short run whose token responses are logged and looked at one by one."""

    __test__ = False
    name = "TEST06"

    def applies(self, benchmark: Benchmark, scenario: Scenario, round_: Round) -> bool:
        """Whether the round demands this test here."""
        return _settings.demanded(self.name, benchmark, scenario, round_)

    def config(self, benchmark: Benchmark, round_: Round) -> str:
        """audit.config for a short run that logs its responses, equal issue switched off."""
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
        """Look at the test's own responses; the other runs play no part. A first token is not logged in Offline."""
        chosen = _settings.of_run(self.name, audit) if settings is None else settings
        eos = int(chosen.get("eos_token_id", EOS))
        checks: dict[str, Judge | None] = {
            "First token check": None if audit.scenario == "Offline" else first_token_agrees,
            "EOS check": lambda response: ends_once(response, eos),
            "Sample length check": length_agrees,
        }
        entries = audit.response_entries
        findings = [*settings_in_force(self.name, audit, chosen), *_judged(checks, entries)]
        failed = {finding.key for finding in findings}
        lines = [f"{name} pass: {'Skipped' if judge is None else name not in failed}" for name, judge in checks.items()]
        lines.append(f"TEST06 verification {'failed' if findings else 'complete'}")
        return Verdict(not findings, {"verify_accuracy.txt": "\n".join(lines) + "\n"}, tuple(findings))


def tokens(data: bytes) -> np.ndarray | None:
    """Token ids as little-endian int32, None where the bytes are no whole number of them."""
    return np.frombuffer(data, dtype="<i4") if len(data) % 4 == 0 else None


def first_token_agrees(response: Response) -> bool:
    """The first token was reported and is what the whole output begins with."""
    reported = tokens(response.token_data or b"")
    whole = tokens(response.data)
    if reported is None or whole is None or not len(reported) or len(reported) > len(whole):
        return False
    return bool((whole[: len(reported)] == reported).all())


def ends_once(response: Response, eos: int) -> bool:
    """The output ends with at most one end-of-sequence token."""
    whole = tokens(response.data)
    return whole is not None and not (len(whole) > 1 and whole[-1] == eos and whole[-2] == eos)


def length_agrees(response: Response) -> bool:
    """The output has as many tokens as were reported."""
    whole = tokens(response.data)
    return whole is not None and len(whole) == response.token_count


def _judged(checks: Mapping[str, Judge | None], entries: Sequence[Response]) -> Iterator[Finding]:
    for name, judge in checks.items():
        if judge is None:
            continue
        bad = [entry.qsl_idx for entry in entries if not judge(entry)]
        if bad or not entries:
            found = f"{len(bad)} of {len(entries)} responses fail" + (f", first sample {bad[0]}" if bad else "")
            yield Finding(
                check="TEST06",
                severity=Severity.ERROR,
                file=ACCURACY_LOG,
                key=name,
                found=found,
                wanted="every response passes",
                clause="TEST06: first token, one end-of-sequence token, token count",
                fix="Report token ids as int32, the true count, and the first token that the output begins with.",
            )


TEST = Test06()

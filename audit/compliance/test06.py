"""TEST06: token outputs are consistent. First token, end of sequence and token count of about a hundred responses."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from audit.case import ACCURACY_LOG
from audit.compliance._performance import settings_in_force
from audit.finding import Finding, Severity
from audit.verdict import ComplianceTest, Trial, Verdict
from loadgen_harness.run import Response

EOS = 2  # the official script's default; a round states another as eos_token_id
DTYPES = {"int16": "<i2", "int32": "<i4", "int64": "<i8", "float32": "<f4"}
Judge = Callable[[Response], bool]


class Test06(ComplianceTest):
    """A short run whose token responses are logged and looked at one by one."""

    name = "TEST06"

    def judge(self, trial: Trial) -> Verdict:
        """Look at the test's own responses; the other runs play no part. A first token is not logged in Offline."""
        eos, dtype = int(trial.settings.get("eos_token_id", EOS)), DTYPES[trial.dtype]
        streamed = trial.audit.scenario != "Offline"
        checks: dict[str, Judge | None] = {
            "First token check": (lambda response: first_token_agrees(response, dtype)) if streamed else None,
            "EOS check": lambda response: ends_once(response, eos, dtype),
            "Sample length check": lambda response: length_agrees(response, dtype),
        }
        entries = trial.audit.response_entries
        other = list(settings_in_force(self.name, trial))
        findings = [*other, *_judged(checks, entries)]
        failed = {finding.key for finding in findings}
        told = {name: "Skipped" if judge is None else str(name not in failed) for name, judge in checks.items()}
        lines = [f"{name} pass: {f'not judged, {other[0].key}' if other else told[name]}" for name in checks]
        lines.append(f"TEST06 verification {'failed' if findings else 'complete'}")
        return Verdict(not findings, {"verify_accuracy.txt": "\n".join(lines) + "\n"}, tuple(findings))


def tokens(data: bytes, dtype: str = "<i4") -> np.ndarray | None:
    """Token ids in NumPy's little-endian `dtype`, None where the bytes are no whole number of them."""
    return np.frombuffer(data, dtype=dtype) if len(data) % np.dtype(dtype).itemsize == 0 else None


def first_token_agrees(response: Response, dtype: str = "<i4") -> bool:
    """The first token was reported and is what the whole output begins with."""
    reported = tokens(response.token_data or b"", dtype)
    whole = tokens(response.data, dtype)
    if reported is None or whole is None or not len(reported) or len(reported) > len(whole):
        return False
    return bool((whole[: len(reported)] == reported).all())


def ends_once(response: Response, eos: int, dtype: str = "<i4") -> bool:
    """The output ends with at most one end-of-sequence token."""
    whole = tokens(response.data, dtype)
    return whole is not None and not (len(whole) > 1 and whole[-1] == eos and whole[-2] == eos)


def length_agrees(response: Response, dtype: str = "<i4") -> bool:
    """The output has as many tokens as were reported."""
    whole = tokens(response.data, dtype)
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
                clause="compliance/TEST06/README.md, Introduction: the three criteria of a passing result",
                fix="Report token ids in the type that is stated, their true count, and the first token of the output.",
            )


TEST = Test06()

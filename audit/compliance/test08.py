"""TEST08: accuracy of streamed recommendations. Sampled responses are worth what the accuracy run's are.

For dlrm-v3 alone, whose samples LoadGen's indices do not name: every response says itself which request it answers.
This suite has no benchmark of that kind, so the test was only ever run on synthetic logs, beside the official script.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from audit.case import ACCURACY_LOG
from audit.compliance._performance import settings_in_force
from audit.finding import Finding, Severity
from audit.verdict import ComplianceTest, Trial, Verdict
from loadgen_harness.run import Response

TOLERANCE = 0.001
EPSILON = 1e-7
LABELLED, BARE = 3, 2  # numbers beside the candidates' in a response: time step, request, (with labels) their count
Key = tuple[int, int]


@dataclass(frozen=True)
class Request:
    """The candidates of one request as the accuracy run logged them, float32, all of one length."""

    predictions: np.ndarray
    labels: np.ndarray
    weights: np.ndarray


@dataclass(frozen=True)
class Count:
    """What comparing the two logs counted; `apart` holds a line for each request whose entropies differ."""

    accuracy_entries: int
    sampled: int
    matched: int
    unmatched: int
    unreadable: int
    apart: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Every sampled response belongs to a request of the accuracy run and is as good as there."""
        return self.matched > 0 and not (self.unmatched or self.unreadable or self.apart)


class Test08(ComplianceTest):
    """A performance run that logs a sample of its responses, compared by what they are worth."""

    name = "TEST08"
    needs = ("accuracy",)

    def judge(self, trial: Trial) -> Verdict:
        """Compare the sampled responses with the accuracy run's; the performance run plays no part."""
        tolerance = trial.settings.get("tolerance", TOLERANCE)
        accuracy = trial.accuracy.response_entries if trial.accuracy else ()
        count = compare(accuracy, trial.audit.response_entries, tolerance)
        findings = [*settings_in_force(self.name, trial), *_faults(count, tolerance)]
        text = _text(count, tolerance, not findings)
        return Verdict(not findings, {"verify_accuracy.txt": text}, tuple(findings))


def compare(accuracy: Sequence[Response], sampled: Sequence[Response], tolerance: float) -> Count:
    """Match both logs by time step and request; of a request answered twice in the accuracy run the last counts."""
    requests: dict[Key, Request] = {}
    unreadable = matched = unmatched = 0
    for entry in accuracy:
        known = labelled(entry.data)
        if known is None:
            unreadable += 1
        else:
            requests[known[0]] = known[1]
    apart: list[str] = []
    for entry in sampled:
        answer = bare(entry.data)
        if answer is None:
            unreadable += 1
        elif answer[0] not in requests:
            unmatched += 1
        else:
            matched += 1
            apart += _apart(answer[0], requests[answer[0]], answer[1], tolerance)
    return Count(len(accuracy), len(sampled), matched, unmatched, unreadable, tuple(apart))


def labelled(data: bytes) -> tuple[Key, Request] | None:
    """A response of the accuracy run: time step, request, n predictions, n labels, n weights, n; None if it is none."""
    numbers = _floats(data, LABELLED)
    if numbers is None or not np.isfinite(numbers[-1]) or len(numbers) != LABELLED + 3 * int(numbers[-1]):
        return None
    predictions, labels, weights = np.split(numbers[BARE:-1], 3)
    return _key(numbers), Request(predictions, labels, weights)


def bare(data: bytes) -> tuple[Key, np.ndarray] | None:
    """A response of the performance run: time step, request, predictions; None for bytes that are none."""
    numbers = _floats(data, BARE)
    return None if numbers is None else (_key(numbers), numbers[BARE:])


def _floats(data: bytes, least: int) -> np.ndarray | None:
    numbers = np.frombuffer(data, dtype="<f4") if len(data) % 4 == 0 else np.empty(0, dtype="<f4")
    return numbers if len(numbers) >= least and np.isfinite(numbers[:BARE]).all() else None


def _key(numbers: np.ndarray) -> Key:
    return int(numbers[0]), int(numbers[1])


def normalised_entropy(predictions: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> float:
    """Weighted cross entropy over the entropy of always predicting the mean label; 0 where that is undefined.

    In float32, as the official script computes it: near 0 and 1 the clipping shows in the result.
    """
    chance, truth = (np.clip(each, EPSILON, 1 - EPSILON) for each in (predictions, labels))
    with np.errstate(over="ignore", invalid="ignore"):  # hostile weights; a result that is no number is never equal
        total = weights.sum()
        if total == 0:
            return 0.0
        mean = np.clip((weights * truth).sum() / total, EPSILON, 1 - EPSILON)
        base = -(mean * np.log(mean) + (1 - mean) * np.log(1 - mean))
        cross = -(weights * (truth * np.log(chance) + (1 - truth) * np.log(1 - chance))).sum()
        return float(cross / (base * total))


def _apart(key: Key, request: Request, predictions: np.ndarray, tolerance: float) -> Iterator[str]:
    """A line where the entropies differ by more than the tolerance; one that is no number always does."""
    if len(predictions) != len(request.labels):
        yield f"  NE mismatch at {key}: {len(request.labels)} candidates, {len(predictions)} predictions"
        return
    before = normalised_entropy(request.predictions, request.labels, request.weights)
    after = normalised_entropy(predictions, request.labels, request.weights)
    if before == after:
        return
    share = abs(after - before) / abs(before) if before and after else float("inf")
    if not share <= tolerance:
        yield f"  NE mismatch at {key}: acc_ne={before:.6f}, perf_ne={after:.6f}, diff={share * 100:.4f}%"


def _faults(count: Count, tolerance: float) -> Iterator[Finding]:
    faults: Mapping[str, int] = {
        "unreadable": count.unreadable,
        "num_unmatched": count.unmatched,
        "num_ne_mismatch": len(count.apart),
        "num_matched": int(not count.matched),
    }
    for key in (key for key, number in faults.items() if number):
        found = "0 responses" if key == "num_matched" else f"{faults[key]} of {count.sampled} sampled responses"
        yield Finding(
            check="TEST08",
            severity=Severity.ERROR,
            file=ACCURACY_LOG,
            key=key,
            found=found + (f", first{count.apart[0]}" if key == "num_ne_mismatch" else ""),
            wanted=f"each belongs to the accuracy run, with the same normalised entropy within {tolerance:.2%}",
            clause="compliance/TEST08/README.md, Pass Criteria: all samples matched, NE values within tolerance",
            fix="Answer in performance mode as in accuracy mode, and verify before truncation.",
        )


def _text(count: Count, tolerance: float, passed: bool) -> str:
    """verify_accuracy.txt: the figures under the names that the official script prints them by."""
    lines = ["Verifying accuracy. This might take a while...", "Reading accuracy mode results..."]
    lines += ["Reading performance mode results...", *count.apart, ""]
    lines += [f"num_acc_log_entries = {count.accuracy_entries}", f"num_perf_log_entries = {count.sampled}"]
    lines += [f"num_matched = {count.matched}", f"num_unmatched = {count.unmatched}"]
    lines += [f"num_ne_mismatch = {len(count.apart)}", f"tolerance = {tolerance:.2%}"]
    lines += ["", "TEST PASS" if passed else "TEST FAIL", "TEST08 verification complete"]
    return "\n".join(lines) + "\n"


TEST = Test08()

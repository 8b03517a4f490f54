"""Do the counts in a compliance test's verify_*.txt bear out the verdict below them?

The official checker looks for the line with the verdict alone; the scripts print above it what they counted.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from audit.compliance._performance import Comparison
from audit.finding import Finding, Severity
from audit.sampling import Sampling
from loadgen_harness.run import Run

CHECK = "verdict-text"
ACCURACY, PERFORMANCE, LENGTHS = "verify_accuracy.txt", "verify_performance.txt", "verify_output_len.txt"
PASSED, FAILED = re.compile(r"\bTEST PASS\b"), re.compile(r"\bTEST FAIL\b")
PAIR = re.compile(r"^\s*([A-Za-z][\w ]{0,60}?)\s*[=:]\s*(-?\d{1,18}(?:\.\d{1,18})?(?:[eE][+-]?\d{1,3})?)\s*(%?)\s*$")
FLAG = re.compile(r"^\s*([A-Za-z][\w ]{0,60} pass): (True|False|Skipped)\b")
TOLERANCE = 0.001  # TEST08, where the round states none
PART = 1e-6


@dataclass(frozen=True)
class Said:
    """One text of a test and what it is held against: the runs that lie there, the round's settings of the test."""

    test: str
    file: str  # as findings name it
    text: str
    name: str  # its own name
    scenario: str = ""  # the result's, in LoadGen's words
    reference: Run | None = None
    audit: Run | None = None
    samples: float | None = None  # of the accuracy run
    settings: Mapping[str, float] = field(default_factory=dict)

    @property
    def numbers(self) -> dict[str, float]:
        """Every "name = number" and "name: number" by its name in lower case; the last one counts."""
        return {match[1].lower(): float(match[2]) for _, match in self._matches(PAIR)}

    @property
    def flags(self) -> list[tuple[int, str, str]]:
        """Line, name and word of every "… pass: True"."""
        return [(number, match[1], match[2]) for number, match in self._matches(FLAG)]

    def line(self, name: str) -> int:
        """The line of a number."""
        return next((number for number, match in self._matches(PAIR) if match[1].lower() == name.lower()), 0)

    def _matches(self, pattern: re.Pattern[str]) -> Iterator[tuple[int, re.Match[str]]]:
        for number, line in enumerate(self.text.splitlines(), start=1):
            if match := pattern.match(line):
                yield number, match


Doubt = tuple[str, str, str]  # key, found, wanted
Judge = Callable[[Said], Iterator[Doubt]]


def check(said: Said) -> Iterator[Finding]:
    """A Finding for every figure of a passing text that contradicts its verdict; a failed one has its own Finding."""
    if FAILED.search(said.text) and PASSED.search(said.text):
        yield _finding(said, ("verdict", "TEST PASS and TEST FAIL", "one verdict"))
    judge = JUDGES.get((said.test, said.name))
    if judge is None or not (PASSED.search(said.text) or said.flags):
        return
    if not said.numbers and not said.flags:
        doubt = ("counts", "a verdict alone", "what the script counted, above its verdict")
        yield _finding(said, doubt, Severity.WARNING)
        return
    yield from (_finding(said, doubt) for doubt in judge(said))


def _test01(said: Said) -> Iterator[Doubt]:
    counted = said.numbers
    entries = counted.get("num_perf_log_entries", math.nan)
    missing = counted.get("num_missing_qsl_idxs", 0.0)
    yield from _none(counted, "num_perf_log_data_mismatch", "num_missing_qsl_idxs")
    matched = counted.get("num_perf_log_qsl_idx_match", entries)
    if entries == 0:
        yield "num_perf_log_entries", "0", "the responses that the test's run logged, 1 at least"
    elif not matched > 0 or matched + missing != entries:
        yield "num_perf_log_qsl_idx_match", _shown(matched), f"{_shown(entries)}, as num_perf_log_entries"
    answered = counted.get("num_acc_log_entries", math.nan) - counted.get("num_acc_log_duplicate_keys", 0.0)
    if said.samples and answered != said.samples:
        yield "num_acc_log_entries", _shown(answered), f"{said.samples:.0f}, the samples of the accuracy run"
    yield from _sampled(said, entries)


def _sampled(said: Said, entries: float) -> Iterator[Doubt]:
    """As many responses were logged as the settings, the seed and the length of the test's run make of it."""
    sampling = Sampling.of(said.audit) if said.audit else None
    if sampling and sampling.issued:
        least, most = sampling.bounds()
        if not least <= entries <= most and entries:
            wanted = f"{least}" if least == most else f"{least} to {most}"
            yield "num_perf_log_entries", _shown(entries), f"{wanted}, as the run's sampling target and length make it"
        return
    issued = _issued(said.audit)
    if issued and entries > issued:
        yield "num_perf_log_entries", _shown(entries), f"{issued:.0f} at most, the samples of the test's run"


def _speed(said: Said) -> Iterator[Doubt]:
    """The scores stated lie as near to each other as the test demands."""
    before, after = (said.numbers.get(f"{kind} score") for kind in ("reference", "test"))
    if before is None or after is None or said.audit is None:
        return
    share = Comparison(said.test, said.reference, said.audit, said.settings).tolerance()
    least = before * (1 - share) if said.test == "TEST01" else -math.inf
    most = before * (1 + share)
    if not least * (1 - PART) <= after <= most * (1 + PART):
        between = f"{least:.6g} to {most:.6g}" if least > 0 else f"{most:.6g} at most"
        yield "test score", _shown(after), f"{between}, within {share:.0%} of the reference score"


def _test06(said: Said) -> Iterator[Doubt]:
    yield from _flags(said)
    words = {name: word for _, name, word in said.flags}
    if words.get("First token check pass") == "Skipped" and said.scenario not in ("", "Offline"):
        yield "First token check pass", "Skipped", f"True: it is skipped in Offline alone, not in {said.scenario}"
    if "TEST06 verification failed" in said.text:
        yield "verdict", "TEST06 verification failed", "TEST06 verification complete"


def _test07(said: Said) -> Iterator[Doubt]:
    yield from _flags(said)
    counted, wanted = said.numbers, said.settings.get("accuracy_threshold")
    score, limit = counted.get("accuracy score", math.nan), counted.get("accuracy threshold", math.nan)
    if score < limit:
        yield "Accuracy score", _shown(score), f"{_shown(limit)} at least, the threshold stated"
    if wanted is not None and limit < wanted * (1 - PART):
        yield "Accuracy threshold", _shown(limit), f"{wanted:g}, the round's"


def _test08(said: Said) -> Iterator[Doubt]:
    counted, allowed = said.numbers, 100 * said.settings.get("tolerance", TOLERANCE)
    yield from _none(counted, "num_unmatched", "num_ne_mismatch")
    matched, entries = (counted.get(name, math.nan) for name in ("num_matched", "num_perf_log_entries"))
    if matched == 0 or matched + counted.get("num_unmatched", 0.0) > entries:
        yield "num_matched", _shown(matched), f"1 to {_shown(entries)}, the entries of the performance log"
    if counted.get("tolerance", 0.0) > allowed * (1 + PART):
        yield "tolerance", f"{counted['tolerance']:g} %", f"{allowed:g} %"


def _test09(said: Said) -> Iterator[Doubt]:
    yield from _flags(said)
    counted = said.numbers
    mean = counted.get("mean output tokens", math.nan)
    least, most = (counted.get(f"{end} threshold", math.nan) for end in ("min", "max"))
    if mean < least or mean > most:
        yield "Mean output tokens", _shown(mean), f"{_shown(least)} to {_shown(most)}, the thresholds stated"
    for end, limit, sign in (("min", least, 1), ("max", most, -1)):
        wanted = said.settings.get(f"{end}_output_tokens")
        if wanted is not None and sign * limit < sign * wanted - PART * wanted:
            yield f"{end.capitalize()} threshold", _shown(limit), f"{wanted:g}, the round's"
    wanted = said.settings.get("min_query_count")
    if wanted and counted.get("total samples", math.nan) < wanted:
        yield "Total samples", _shown(counted["total samples"]), f"{wanted:.0f} at least"


JUDGES: Mapping[tuple[str, str], Judge] = {
    ("TEST01", ACCURACY): _test01,
    ("TEST01", PERFORMANCE): _speed,
    ("TEST04", PERFORMANCE): _speed,
    ("TEST06", ACCURACY): _test06,
    ("TEST07", ACCURACY): _test07,
    ("TEST08", ACCURACY): _test08,
    ("TEST09", LENGTHS): _test09,
}


def _none(counted: Mapping[str, float], *names: str) -> Iterator[Doubt]:
    yield from ((name, _shown(counted[name]), "0") for name in names if counted.get(name))


def _flags(said: Said) -> Iterator[Doubt]:
    yield from ((name, word, "True") for _, name, word in said.flags if word == "False")


def _issued(run: Run | None) -> float:
    """How many samples a run had answered, 0 where its log does not say."""
    if run is None:
        return 0.0
    queries, width = (run.log.get(key) for key in ("result_query_count", "effective_samples_per_query"))
    known = isinstance(queries, int | float) and isinstance(width, int | float)
    return float(queries) * float(width) if known else 0.0  # type: ignore[arg-type]


def _shown(value: float) -> str:
    return "missing" if math.isnan(value) else f"{value:.10g}"


def _finding(said: Said, doubt: Doubt, severity: Severity = Severity.ERROR) -> Finding:
    key, found, wanted = doubt
    flagged = next((number for number, name, word in said.flags if (name, word) == (key, found)), 0)
    return Finding(
        check=CHECK,
        severity=severity,
        file=said.file,
        key=key,
        found=found,
        wanted=wanted,
        clause=f"compliance/{said.test}/README.md: the script's verdict follows from what it counted",
        fix=f"Verify {said.test} again: lgh audit verify {said.test} RUN, or the official run_verification.py.",
        line=flagged or said.line(key),
    )

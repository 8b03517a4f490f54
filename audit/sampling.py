"""Which responses a performance run with a sampling target logs: LoadGen draws a number for each sample it issues.

The numbers come from a generator that is never seeded, moved on by an offset that the audit.config's seed gives, and a
response is logged where its own lies below a share that follows from the settings. So the count of responses and which
of them there are follow from the detail log; all published TEST01 runs from v0.7 to v6.0 agree to the last response.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from audit.case import ACCURACY_LOG
from audit.evidence import CrossCheck, Evidence
from audit.finding import Finding, Severity
from loadgen_harness.run import Run

UNSEEDED = 5489  # what std::mt19937 begins with
WORD = 2.0**32
MOST_DRAWN = 2_000_000  # samples whose numbers are drawn; of more the count is only bounded
DEVIATIONS = 6.0
VISIBLE_BYTES = 10240  # of a truncated log
GAP = b"\n...\n"
SEQUENCE, INDEX = (re.compile(rf'"{key}"\s*:\s*(\d{{1,18}})') for key in ("seq_id", "qsl_idx"))
IN_ORDER = ("SingleStream", "MultiStream")  # one query at a time: the log is in the order of issue, but for its queries
CLAUSE = "compliance/TEST01/README.md: LoadGen logs a random sample of the responses; accuracy_log_sampling_target"
FIX = "Put back the log and the texts of this run, or repeat the test."
NEEDED = ("effective_accuracy_log_sampling_target", "effective_target_qps", "effective_min_duration_ms")


@dataclass(frozen=True)
class Sampling:
    """How a run chose the responses that it logs; `issued` is 0 where the log does not say."""

    share: float
    offset: float
    width: int
    issued: int

    @classmethod
    def of(cls, run: Run) -> Sampling | None:
        """What the detail log says of it; None where there was no sampling target, or too little stands in the log."""
        target, rate, duration = (_number(run, key) for key in NEEDED)
        seed, width = (_number(run, f"effective_{key}") for key in ("accuracy_log_rng_seed", "samples_per_query"))
        if not target or not rate or duration is None or seed is None or not width:
            return None
        expected = float(int(rate * duration / 1000))
        if run.scenario == "Offline":
            expected, issued = max(expected, width), width
        else:
            least = _number(run, "effective_min_query_count") or 0.0
            expected, issued = max(expected, least) * width, (_number(run, "result_query_count") or 0.0) * width
        known = issued if _number(run, "result_query_count") else 0.0
        return cls(target / max(expected, 1.0), float(_numbers(int(seed), 1)[0]), int(width), int(known))

    def logged(self, below: int) -> np.ndarray:
        """Ascending numbers of the samples up to `below` whose responses are logged."""
        moved = _numbers(UNSEEDED, below) + self.offset
        found: np.ndarray = np.nonzero(np.where(moved < 1.0, moved, moved - 1.0) <= self.share)[0]
        return found

    def bounds(self) -> tuple[int, int]:
        """Least and most responses that the run logged; (0, 0) where it is not known how many samples it had."""
        if self.issued <= MOST_DRAWN:
            count = len(self.logged(self.issued))
            return count, count
        mean = self.share * self.issued
        return max(int(mean - DEVIATIONS * math.sqrt(mean)), 0), int(mean + DEVIATIONS * math.sqrt(mean)) + 1


@functools.lru_cache(maxsize=4)
def _numbers(seed: int, count: int) -> np.ndarray:
    """The first numbers from 0 to 1 of std::mt19937 with a seed, as libstdc++ makes them of two words each."""
    state = np.random.RandomState(seed & 0xFFFFFFFF)  # the seed is one word, as std::mt19937's is
    words = state.randint(0, 1 << 32, size=2 * count, dtype=np.uint32).astype(np.float64)
    made: np.ndarray = (words[0::2] + words[1::2] * WORD) / WORD**2
    return made


def of_test(evidence: Evidence) -> Iterator[Finding]:
    """The visible part of TEST01's accuracy log holds the responses that its run had to log, and no others."""
    kept, run = evidence.test_accuracy.get("TEST01"), evidence.tests.get("TEST01")
    sampling = Sampling.of(run) if run else None
    if kept is None or run is None or sampling is None:
        return
    head, _ = visible(kept)
    numbers = [number for number, _ in head if number < MOST_DRAWN]
    if not numbers:
        return
    chosen = sampling.logged(max(numbers) + 1)
    strange = sorted(set(numbers) - set(chosen.tolist()))
    before = chosen[chosen < max(numbers) - sampling.width].tolist() if run.scenario in IN_ORDER else []
    lacking = sorted(set(before) - set(numbers))
    for what, which in (("not to be logged", strange), ("not there", lacking)):
        if which:
            named = ", ".join(map(str, which[:5])) + (", …" if len(which) > 5 else "")
            found = f"{len(which)} of the first {len(numbers)} responses {what}: seq_id {named}"
            yield _finding(evidence, kept, ("seq_id", found, "those that its run's settings and seed choose"), CLAUSE)
            return  # one cause


def of_accuracy(evidence: Evidence) -> Iterator[Finding]:
    """The visible part of the accuracy run's log: each response once, of samples that the library has."""
    run = evidence.accuracy
    if run is None:
        return
    head, tail = visible(run)
    clause = "inference_rules.adoc, LoadGen Operation: the accuracy run uses each sample of the library exactly once"
    total = _number(run, "qsl_reported_total_count")
    beyond = [index for _, index in (*head, *tail) if total and index >= total]
    if beyond:
        found = f"sample {beyond[0]}" + (f" and {len(beyond) - 1} more" if beyond[1:] else "")
        yield _finding(evidence, run, ("qsl_idx", found, f"below {total:.0f}, the samples of the library"), clause)
    indices = [] if run.scenario == "MultiStream" else [each[1] for each in head]  # its queries are filled up
    for key, values in (("seq_id", [each[0] for each in head]), ("qsl_idx", indices)):
        if twice := sorted({value for value in values if values.count(value) > 1}):
            found = f"{twice[0]} twice" + (f", and {len(twice) - 1} more" if twice[1:] else "")
            yield _finding(evidence, run, (key, f"{found} in the first {len(values)} responses", "each once"), clause)
            return  # a line that stands twice repeats both


def visible(run: Run) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """(seq_id, qsl_idx) of the responses before and after the gap of a truncated log; of a whole one only a head."""
    content = run.read(ACCURACY_LOG, VISIBLE_BYTES)
    head, gap, tail = content.partition(GAP)
    if not gap:
        return ([] if b'"' not in head else _entries(head.rpartition(b"}")[0]), [])
    return _entries(head), _entries(tail.partition(b"{")[2])


def _entries(part: bytes) -> list[tuple[int, int]]:
    """Responses of which both numbers are there: keys stand in any order, an entry may be cut."""
    found = []
    for entry in part.decode("latin-1").split("{"):
        sequence, index = SEQUENCE.search(entry), INDEX.search(entry)
        if sequence and index:
            found.append((int(sequence[1]), int(index[1])))
    return found


def _number(run: Run, key: str) -> float | None:
    value = run.log.get(key)
    return value if isinstance(value, int | float) and 0 <= value < 2**64 else None


def _finding(evidence: Evidence, run: Run, what: tuple[str, str, str], clause: str) -> Finding:
    key, found, wanted = what
    file = evidence.name(run.file(ACCURACY_LOG))
    return Finding("responses", Severity.ERROR, file, key, found, wanted, clause, FIX)


CHECKS: tuple[CrossCheck, ...] = (of_test, of_accuracy)

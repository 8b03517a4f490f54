"""What a whole test of requests to a server came to: retries, ends, the server's own times."""

from __future__ import annotations

import statistics
from collections import Counter

from loadgen_harness.backends.openai.answer import Answer, Timing


class Tally:
    """Counts what went over the wire; filled in the loop's thread, read after the test."""

    def __init__(self) -> None:
        """Nothing happened yet."""
        self.timings: list[Timing] = []
        self.retries: dict[int, int] = {}  # request -> how often it was sent again
        self._ends: Counter[str] = Counter()
        self._cached: Counter[bool | None] = Counter()  # whether a cache was used, None where nobody says
        self._differ = self._without_id = 0

    def add(self, answer: Answer) -> None:
        """An answer is whole."""
        self._ends[answer.reason] += 1
        self._cached[answer.cached if answer.cached is None else answer.cached > 0] += 1
        self._differ += answer.usage is not None and answer.usage != answer.count
        self._without_id += answer.without_id
        if timing := answer.timing:
            self.timings.append(timing)

    def retried(self, id: int) -> None:
        """A request is sent again."""
        self.retries[id] = self.retries.get(id, 0) + 1

    def cache(self, known: str) -> str:
        """What is known of the prompt cache, when every answer has spoken."""
        if self._cached[True]:
            return f"on: used for {self._cached[True]} answers"
        if known.startswith("unknown") and self._cached[False] and not self._cached[None]:
            return "off: the server counted no cached token in any answer"
        return known

    def describe(self) -> dict[str, str]:
        """In words, for the record."""
        found = {"finished": ", ".join(f"{reason} {count}" for reason, count in sorted(self._ends.items()))}
        if self.retries:
            found["retries"] = str(sum(self.retries.values()))
            found["retried_requests"] = str(len(self.retries))
        if self._without_id:
            found["tokens_without_id"] = str(self._without_id)
        if self._differ:
            found["usage_differs"] = f"in {self._differ} answers (a stop token counts there)"
        return {**found, **self._times()}

    def _times(self) -> dict[str, str]:
        if not self.timings:
            return {}
        per_token = [each.decode_ms / (each.generated - 1) for each in self.timings if each.generated > 1]
        first = [each.prompt_ms for each in self.timings]
        found = {"engine_requests": str(len(first)), "engine_ttft_ms_median": f"{statistics.median(first):.3f}"}
        found["engine_ttft_ms_mean"] = f"{statistics.fmean(first):.3f}"
        if per_token:
            found["engine_tpot_ms_median"] = f"{statistics.median(per_token):.3f}"
            found["engine_tpot_ms_mean"] = f"{statistics.fmean(per_token):.3f}"
        return found

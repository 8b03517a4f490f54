"""What a whole measurement shares: how much of it there is, a folder that is emptied, progress with the time left."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from loadgen_harness.errors import RunFailed
from loadgen_harness.matrix import interleaved
from tests.perf import variants
from tests.perf.ratios import Row
from tests.perf.variants import Ended, Probe, Variant

Report = Callable[[str, float], None]  # what runs, seconds left


@dataclass(frozen=True)
class Effort:
    """How much is measured."""

    pairs: int = 10
    side_every: int = 5  # the ceiling of variants that no target names is sought in every fifth round; 0: in none
    offline_samples: int = 1_000_000
    queries: int = 20_000  # SingleStream and MultiStream
    server_ms: int = 1_500
    model_s: float = 0.4  # of each bare loop around LoadGen's test, which takes twice as long
    resolution: float = 1.12  # of the Server ceiling
    memory_samples: int = 10_000_000
    memory_runs: int = 3
    few: bool = False  # the variants and cases that targets name, and little more


QUICK = Effort(1, 1, 200_000, 5_000, 500, 0.2, 1.5, 1_000_000, 1, few=True)


@dataclass(frozen=True)
class Part:
    """One kind of measurement."""

    name: str
    title: str
    seconds: Callable[[Effort], float]  # about, for the time left
    measure: Callable[[Session], list[Row]]
    note: str = ""  # what the ratios are to


@dataclass
class Session:
    """One invocation; a run that fails ends it, since a bench that skips failures would measure something else."""

    effort: Effort
    scratch: Path
    program: Path
    report: Report
    lacking: Mapping[str, str] = field(default_factory=dict)  # driver or worker -> why it is not here
    runs: int = 0
    _settings: dict[tuple[object, ...], tuple[str, dict[str, object]]] = field(default_factory=dict)
    _clock: Clock = field(default_factory=lambda: Clock([], Effort()))

    def measure(self, parts: Sequence[Part]) -> Iterator[tuple[Part, list[Row]]]:
        """The rows of each part as it ends."""
        self._clock = Clock(parts, self.effort)
        for part in parts:
            self._clock.begin(part)
            yield part, part.measure(self)
            self._settings.clear()
        self._clock.end()

    def here(self, chosen: Iterable[Variant]) -> list[Variant]:
        """Those of `chosen` that can run here."""
        return [each for each in chosen if not {each.driver, each.worker} & self.lacking.keys()]

    def rounds(self, chosen: Iterable[Variant], count: int) -> Iterator[tuple[int, Variant]]:
        """Round by round the variants that can run here, in alternating order."""
        return interleaved(self.here(chosen), count)

    def run(self, variant: Variant, probe: Probe, what: str) -> Ended:
        """One test; raises RunFailed where LoadGen obeyed other settings than for an earlier variant."""
        self.tell(f"{what}, {variant.name}")
        ended = variants.run(variant, probe, self.folder(), self.program)
        first, wanted = self._settings.setdefault(probe.key, (variant.name, ended.settings))
        if ended.settings != wanted:
            changed = sorted(key for key in wanted if ended.settings.get(key) != wanted[key])
            raise RunFailed(f"{variant.name} ran under other settings than {first}: {', '.join(changed)}")
        return ended

    def tell(self, what: str) -> None:
        """Say what runs now and how long all of it will take."""
        self.runs += 1
        self.report(what, self._clock.left())

    def folder(self) -> Path:
        """A name for a run's folder; what the last one left is deleted, since records are large."""
        for old in self.scratch.iterdir():
            shutil.rmtree(old)
        return self.scratch / f"run-{self.runs}"


class Clock:
    """Seconds left: the parts' own estimates, at the pace of those that have ended."""

    def __init__(self, parts: Sequence[Part], effort: Effort, now: Callable[[], float] = time.monotonic) -> None:
        """Nothing has begun."""
        self._now = now
        self._estimates = {part.name: part.seconds(effort) for part in parts}
        self._ahead = sum(self._estimates.values())
        self._current, self._begun = 0.0, now()
        self._ended = self._taken = 0.0

    def begin(self, part: Part) -> None:
        """A part begins, the one before has ended."""
        self.end()
        self._current = self._estimates[part.name]
        self._ahead -= self._current

    def end(self) -> None:
        """The current part has ended."""
        now = self._now()
        if self._current:
            self._ended += self._current
            self._taken += now - self._begun
        self._current, self._begun = 0.0, now

    def left(self) -> float:
        """Seconds until all parts have ended."""
        pace = self._taken / self._ended if self._ended else 1.0
        taken = self._now() - self._begun
        here = max(self._current * pace - taken, taken / 10)  # late already: who knows for how long
        return here + self._ahead * pace

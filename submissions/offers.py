"""Results that the rules let a submitter infer from measured ones, with their figures; made only where asked for.

A result of the edge suite follows in another scenario, one of the 99.9 % target stands for that of 99 % too; both are
the measured result's files once more, under the other name.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from loadgen_harness.errors import BadInput
from loadgen_harness.types import Round, Rules, SystemType
from submissions import inferred
from submissions.generate import Entry
from submissions.inferred import Official
from submissions.suite import suites_of

STRICT, LENIENT = "-99.9", "-99"
NO_RULES = Rules(targets=(), limits={}, suites={})


@dataclass(frozen=True)
class Offer:
    """A result that may be inferred: the entry it would be, its figure, what it follows from, and its short name."""

    entry: Entry
    figure: Official
    source: str
    short: str = ""

    @property
    def place(self) -> str:
        """Benchmark and scenario."""
        return f"{self.entry.folder}/{self.entry.scenario}"

    @property
    def name(self) -> str:
        """The name that no other offer has: "resnet50/Offline=SingleStream"."""
        return f"{self.place}={self.source}"

    @property
    def names(self) -> tuple[str, ...]:
        """Whatever it may be asked for by."""
        short = (self.short, f"{self.short}={self.source}") if self.short else ()
        return self.name, self.place, *short


def offers(entries: Sequence[Entry], round_: Round, system_type: str) -> list[Offer]:
    """What may be inferred of results that were not measured."""
    there = {(each.folder, each.scenario) for each in entries}
    others = [*_scenarios(entries, round_, system_type)]
    found = others + [easier for entry in entries for easier in _lenient(entry, round_)]
    found += [easier for each in others for easier in _lenient(each.entry, round_, each)]
    return [each for each in found if (each.entry.folder, each.entry.scenario) not in there]


def chosen(asked: Sequence[str], offered: Sequence[Offer]) -> list[Entry]:
    """The entries of the offers that were asked for; raises BadInput for any other request, and for two ways to one."""
    picked: list[Offer] = []
    for name in asked:
        fitting = [each for each in offered if name in each.names]
        if not fitting:
            listed = ", ".join(dict.fromkeys(each.name for each in offered)) or "nothing"
            raise BadInput(f"{name!r} cannot be inferred from these results; on offer: {listed}.")
        picked += [each for each in fitting if each not in picked]
    for each in picked:
        rivals = [other for other in picked if other.place == each.place]
        if len(rivals) > 1:
            ways = " or ".join(other.name for other in rivals)
            raise BadInput(f"{each.place} follows from more than one result: ask for {ways}.")
    return [each.entry for each in picked]


def _scenarios(entries: Sequence[Entry], round_: Round, system_type: str) -> Iterator[Offer]:
    """Other scenarios, which the edge suite alone may infer."""
    if SystemType.EDGE.value not in system_type.lower():
        return
    for entry in entries:
        rules = round_.benchmarks.get(entry.benchmark.name, NO_RULES)
        if rules.suites and not suites_of(SystemType.EDGE.value, rules):
            continue
        for (source, scenario), how in inferred.INFERENCES.items():
            if entry.scenario.value != source or (rules.limits and scenario not in rules.limits):
                continue
            if entry.accuracy is None and (not round_.accuracy_scenarios or scenario in round_.accuracy_scenarios):
                continue  # the copy would lack what the round wants there
            figure = inferred.estimate(entry.performance, scenario, rules)
            if figure and 0 < figure.value < math.inf:
                words = _words(source, figure, how.words)
                yield Offer(replace(entry, scenario=scenario, inferred=words), figure, source, scenario.value)


def _lenient(entry: Entry, round_: Round, offer: Offer | None = None) -> Iterator[Offer]:
    """The same result under the 99 % target, where the round has that too."""
    strict = entry.benchmark.name
    name = strict.removesuffix(STRICT) + LENIENT
    own = entry.performance.result
    figure = offer.figure if offer else Official(own.value, own.unit, own.key) if own else None
    if not strict.endswith(STRICT) or name not in round_.benchmarks or entry.name or figure is None:
        return
    folder = entry.benchmark.checker_name.removesuffix(STRICT) + LENIENT
    easier = replace(entry.benchmark, name=name, checker_name=folder)
    words = f"{entry.inferred} {_words(strict, figure, 'the same runs, whose accuracy target is higher')}".strip()
    same = replace(entry, benchmark=easier, inferred=words)
    yield Offer(same, figure, offer.source if offer else strict, "" if offer else folder)


def _words(source: str, figure: Official, how: str) -> str:
    return f"Inferred from {source}, not measured: {figure.value:.6g} {figure.unit}, {how}."

"""Which share of the energy the processor, memory, network and storage took beside the accelerator, where measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import hypot

from loadgen_harness.run import Run
from power import energy
from power.amount import Amount, Mean, mean
from power.figures import Energy
from power.parts import NODE, PLATFORM, WALL, overlap

KINDS: Mapping[str, str] = {  # first word of a part: what it is called here
    "gpu": "accelerator",
    "accelerator": "accelerator",
    "cpu": "CPU",
    "memory": "memory",
    "network": "network",
    "storage": "storage",
    "platform": "CPU and memory together",
}
REST = "everything else"
FORMULA = "energy of the part ÷ energy of all meters together"


@dataclass(frozen=True)
class Share:
    """One kind of device: its joules, and its part of everything measured."""

    kind: str
    joules: Mean
    part: Mean


def shares(runs: Sequence[Run]) -> tuple[Share, ...]:
    """The shares over the runs, the largest first; nothing where fewer than two kinds were measured apart."""
    told = [_of(run) for run in runs]
    kinds = set.intersection(*(set(each) for each in told)) if told else set()
    if len(kinds) < 2:
        return ()
    found = [Share(kind, mean([one[kind][0] for one in told]), mean([one[kind][1] for one in told])) for kind in kinds]
    return tuple(sorted(found, key=lambda share: (share.kind == REST, -share.joules.amount.value)))


def _of(run: Run) -> dict[str, tuple[Amount, Amount]]:
    """Kind to joules and share of one run."""
    whole = energy.total(run)
    if whole is None or whole.joules <= 0:
        return {}
    joules: dict[str, Amount] = {}
    for kind, meters in _apart(run).items():
        total = Amount(0, 0, 0)
        for each in meters:
            total = total.plus(Amount(each.joules, each.joules_low, each.joules_high))
        joules[kind] = total
    rest = whole.joules - sum(each.value for each in joules.values())
    if joules and rest > 1e-9 * whole.joules and set(whole.scope.split(" + ")) & {WALL, NODE, PLATFORM}:
        joules[REST] = _rest(whole, joules)
    return {kind: (each, _ratio(each, whole)) for kind, each in joules.items()}


def _apart(run: Run) -> dict[str, list[Energy]]:
    """Measurements whose parts are all of one kind, none inside another's."""
    found: dict[str, list[Energy]] = {}
    taken: list[str] = []
    for each in sorted(energy.energies(run), key=lambda one: one.scope == PLATFORM):  # split where it was split
        kinds = {KINDS.get(part.split("/")[0], "") for part in each.parts}
        if each.estimated or len(kinds) != 1 or "" in kinds or overlap(each.parts, taken):
            continue
        found.setdefault(kinds.pop(), []).append(each)
        taken += each.parts
    return found


def _rest(whole: Energy, joules: Mapping[str, Amount]) -> Amount:
    """What the wide meter saw and no narrow one: power supplies, fans, and what nobody measured apart."""
    value = whole.joules - sum(each.value for each in joules.values())
    half = hypot(whole.joules_high - whole.joules, *(each.high - each.value for each in joules.values()))
    return Amount(value, max(0.0, value - half), value + half)


def _ratio(part: Amount, whole: Energy) -> Amount:
    """A share; the two meters err independently, so their relative half-widths add up as squares. At most 1."""
    value = part.value / whole.joules
    if part.value <= 0:
        return Amount(value, 0.0, value)
    half = value * hypot((part.high - part.value) / part.value, (whole.joules_high - whole.joules) / whole.joules)
    return Amount(value, max(0.0, value - half), min(1.0, value + half))

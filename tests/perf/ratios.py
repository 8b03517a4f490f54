"""Interleaving of variants and what the rounds say: medians and ratios with bootstrap intervals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from benchmarks._metrics.intervals import bootstrap


@dataclass(frozen=True)
class Row:
    """One variant in one case: the median over rounds, and its ratio to the yardstick measured in the same rounds.

    Intervals are 95 %, bootstrapped over rounds; a yardstick's own ratio is 1.
    """

    part: str
    case: str
    variant: str
    unit: str
    values: tuple[float, ...]  # one a round
    median: float
    low: float
    high: float
    yardstick: str = ""
    ratio: float = float("nan")
    ratio_low: float = float("nan")
    ratio_high: float = float("nan")
    pairs: int = 0  # rounds behind the ratio

    @property
    def key(self) -> tuple[str, str, str]:
        """What tells it from other rows."""
        return self.part, self.case, self.variant


def due(number: int, every: int) -> bool:
    """Whether an item that is measured in every `every`-th round is due in round `number`."""
    return number % every == 0


def row(key: tuple[str, str, str], unit: str, values: Iterable[float]) -> Row:
    """A row without a ratio."""
    table = np.array(list(values), dtype=float)
    low, high = interval(table)
    return Row(*key, unit, tuple(table.tolist()), float(np.median(table)), low, high)


def against(mine: Row, values: Mapping[int, float], yardstick: str, theirs: Mapping[int, float]) -> Row:
    """`mine` with its ratio to `yardstick`: the median of the ratios within each round that has both, by round."""
    both = sorted(values.keys() & theirs.keys())
    ratios = np.array([values[number] / theirs[number] for number in both])
    if not len(ratios):
        return mine
    low, high = interval(ratios)
    measured: dict[str, Any] = {"ratio": float(np.median(ratios)), "ratio_low": low, "ratio_high": high}
    return replace(mine, yardstick=yardstick, pairs=len(both), **measured)


def interval(values: np.ndarray) -> tuple[float, float]:
    """The 95 % interval of the median; a single value has none but itself."""
    return bootstrap(lambda drawn: float(np.median(drawn)), values)


def summarized(
    part: str, case: str, unit: str, measured: Mapping[str, Mapping[int, float]], yardsticks: Mapping[str, str]
) -> list[Row]:
    """Rows of one case from variant -> round -> value; `yardsticks` names each variant's, "" the default."""
    rows = []
    for variant, values in measured.items():
        found = row((part, case, variant), unit, values.values())
        yardstick = yardsticks.get(variant, yardsticks.get("", ""))
        if yardstick in measured:
            found = against(found, values, yardstick, measured[yardstick])
        rows.append(found)
    return rows

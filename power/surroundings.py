"""Where runs took place, as far as derived figures need it: the factors and the grid that they name."""

from __future__ import annotations

from dataclasses import dataclass, field

from power import carbon
from power.carbon import Grid
from power.factors import Factors


@dataclass(frozen=True)
class Surroundings:
    """Factors with the grid looked up."""

    factors: Factors = field(default_factory=Factors)
    grid: Grid | None = None


NONE_GIVEN = Surroundings()


def of(factors: Factors) -> Surroundings:
    """The factors and their grid; raises BadInput or MissingDependency for a country without data."""
    if factors.country:
        return Surroundings(factors, carbon.of_country(factors.country))
    given = factors.grid_g_per_kwh
    return Surroundings(factors, None if given is None else carbon.given(given))

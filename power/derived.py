"""What follows from the energy of runs with factors from outside: site energy, carbon, water, cost.

Every figure carries its formula and its inputs. All of them are proportional to the energy or to the time, so that an
interval goes through as it is; the factors from outside have none that anybody stated, and are taken as exact.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from power.amount import Amount
from power.carbon import Grid
from power.factors import Factors
from power.repeated import QUANTITIES, Repeated
from power.surroundings import NONE_GIVEN, Surroundings

J_PER_KWH = 3_600_000
HOURS_PER_YEAR = 365.25 * 24
MILLION = 1_000_000
BASES = (("run", "joules", "", 1), ("million samples", "per_sample_j", "samples_done", MILLION), (
    "million output tokens", "per_token_j", "tokens", MILLION
))  # fmt: skip
GIVEN, NOT_SET = "given", "not set"


@dataclass(frozen=True)
class Input:
    """One input of a formula and where it is from."""

    name: str
    text: str
    source: str = ""

    def __str__(self) -> str:
        return f"{self.name} {self.text}" + (f" ({self.source})" if self.source else "")


@dataclass(frozen=True)
class Figure:
    """A derived figure for one run, a million samples or a million output tokens."""

    title: str
    per: str
    amount: Amount
    unit: str
    formula: str
    inputs: tuple[Input, ...]
    estimated: bool

    def text(self) -> str:
        """The figure as it stands for itself: an estimate says so."""
        word = "estimated " if self.estimated else ""
        return f"{word}{self.amount.text(estimated=self.estimated)} {self.unit} per {self.per}"


@dataclass(frozen=True)
class Base:
    """Energy and time of a run, a million samples or a million output tokens."""

    per: str
    kwh: Amount
    hours: Amount
    estimated: bool

    @property
    def energy(self) -> Input:
        """The energy as an input."""
        word = "estimated " if self.estimated else ""
        return Input("energy", f"{word}{self.kwh.text(estimated=self.estimated)} kWh per {self.per}")

    @property
    def time(self) -> Input:
        """The time as an input."""
        return Input("time", f"{self.hours.text()} h per {self.per}")


def derive(found: Repeated, around: Surroundings = NONE_GIVEN) -> tuple[Figure, ...]:
    """Every figure that the given factors allow; the first is always the energy of the site."""
    return tuple(each for base in bases(found) for each in _of(base, around.factors, around.grid))


def bases(found: Repeated) -> Iterator[Base]:
    """What figures are given for; tokens and samples only where LoadGen logged them."""
    fields = {quantity.field: quantity for quantity in QUANTITIES}
    for per, joules, counted, many in BASES:
        spent, hours = found.mean(fields[joules]), found.hours_per(counted)
        if spent and hours:
            yield Base(per, spent.amount.times(many / J_PER_KWH), hours.amount.times(many), found.estimated)


def _of(base: Base, factors: Factors, grid: Grid | None) -> Iterator[Figure]:
    yield _site(base, factors)
    yield from _carbon(base, factors, grid)
    yield from _water(base, factors)
    yield from _cost(base, factors)


def _pue(factors: Factors) -> tuple[float, Input]:
    value = 1.0 if factors.pue is None else factors.pue
    return value, Input("PUE", f"{value:g}", NOT_SET if factors.pue is None else GIVEN)


def _site(base: Base, factors: Factors) -> Figure:
    pue, said = _pue(factors)
    inputs = (base.energy, said)
    return Figure(
        "total energy × PUE", base.per, base.kwh.times(pue), "kWh", "energy × PUE", inputs, base.estimated
    )  # fmt: skip


def _sum(title: str, parts: list[Figure], formula: str) -> Figure:
    first, total = parts[0], parts[0].amount
    for each in parts[1:]:
        total = total.plus(each.amount)
    inputs = tuple(Input(each.title, f"{each.amount.text(estimated=each.estimated)} {each.unit}") for each in parts)
    return Figure(title, first.per, total, first.unit, formula, inputs, any(each.estimated for each in parts))


def _carbon(base: Base, factors: Factors, grid: Grid | None) -> Iterator[Figure]:
    pue, said = _pue(factors)
    parts: list[Figure] = []
    if grid:
        intensity = Input("grid intensity", f"{grid.g_per_kwh:g} g/kWh", grid.source)
        grams = base.kwh.times(pue * grid.g_per_kwh)
        inputs = (base.energy, said, intensity)
        formula = "energy × PUE × grid intensity"
        parts.append(Figure("carbon of operation", base.per, grams, "g CO2e", formula, inputs, base.estimated))
    if factors.embodied_kg is not None and factors.lifetime_years is not None:
        parts.append(_embodied(base, factors.embodied_kg, factors.lifetime_years, factors.utilisation))
    yield from parts
    if len(parts) > 1:
        yield _sum("carbon, both", parts, "operation + embodied")


def _embodied(base: Base, kilograms: float, years: float, utilisation: float | None) -> Figure:
    share = utilisation or 1.0
    grams = base.hours.times(kilograms * 1000 / (years * HOURS_PER_YEAR * share))
    inputs = (
        base.time,
        Input("footprint of the devices", f"{kilograms:g} kg CO2e", GIVEN),
        Input("lifetime", f"{years:g} years of {HOURS_PER_YEAR:,.0f} h", GIVEN),
        Input(
            "utilisation", f"{share:g}", GIVEN if utilisation else "not set: always busy, the least that is possible"
        ),
    )
    formula = "footprint × time ÷ (lifetime × utilisation)"
    return Figure("embodied carbon", base.per, grams, "g CO2e", formula, inputs, False)


def _water(base: Base, factors: Factors) -> Iterator[Figure]:
    pue, said = _pue(factors)
    parts: list[Figure] = []
    if factors.wue is not None:
        own = (base.energy, Input("WUE", f"{factors.wue:g} L/kWh", GIVEN))
        litres = base.kwh.times(factors.wue)  # the measure is defined on the computers' energy, without PUE
        parts.append(Figure("water on site", base.per, litres, "L", "energy × WUE", own, base.estimated))
    if factors.wue_grid is not None:
        inputs = (base.energy, said, Input("WUE of the grid", f"{factors.wue_grid:g} L/kWh", GIVEN))
        litres = base.kwh.times(pue * factors.wue_grid)
        formula = "energy × PUE × WUE of the grid"
        parts.append(Figure("water off site", base.per, litres, "L", formula, inputs, base.estimated))
    yield from parts
    if len(parts) > 1:
        yield _sum("water, both", parts, "on site + off site")


def _cost(base: Base, factors: Factors) -> Iterator[Figure]:
    pue, said = _pue(factors)
    parts: list[Figure] = []
    if factors.tariff is not None:
        inputs = (base.energy, said, Input("tariff", f"{factors.tariff:g} {factors.currency}/kWh", GIVEN))
        money = base.kwh.times(pue * factors.tariff)
        formula = "energy × PUE × tariff"
        parts.append(Figure("cost of energy", base.per, money, factors.currency, formula, inputs, base.estimated))
    if factors.device_per_hour is not None:
        priced = (base.time, Input("price of the device", f"{factors.device_per_hour:g} {factors.currency}/h", GIVEN))
        money = base.hours.times(factors.device_per_hour)
        parts.append(Figure("cost of the device", base.per, money, factors.currency, "time × price", priced, False))
    yield from parts
    if len(parts) > 1:
        yield _sum("cost, both", parts, "energy + device")

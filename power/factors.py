"""What a figure derived from energy needs beside the energy: read from a TOML file, checked, completed by flags."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from math import isfinite
from pathlib import Path
from typing import Any

from loadgen_harness.errors import BadInput, UnknownName

TEXTS = ("country", "currency")


@dataclass(frozen=True)
class Factors:
    """The inputs that nobody can measure beside a run; None and "" stand for those not given."""

    pue: float | None = None  # energy of the whole site ÷ that of its computers
    country: str = ""
    grid_g_per_kwh: float | None = None
    embodied_kg: float | None = None  # CO2e of making the devices that the run used
    lifetime_years: float | None = None
    utilisation: float | None = None  # share of its life that a device computes
    wue: float | None = None  # litres on site for 1 kWh of the computers
    wue_grid: float | None = None  # litres at the power stations for 1 kWh from the grid
    tariff: float | None = None  # money for 1 kWh
    currency: str = ""
    device_per_hour: float | None = None  # money


# name: (the least, whether itself is allowed, the most, what it is)
LIMITS: Mapping[str, tuple[float, bool, float, str]] = {
    "pue": (1, True, 100, "the energy of the whole site over that of its computers"),
    "grid_g_per_kwh": (0, True, 5_000, "grams of CO2e for 1 kWh"),
    "embodied_kg": (0, False, 1e9, "kilograms of CO2e"),
    "lifetime_years": (0, False, 100, "years"),
    "utilisation": (0, False, 1, "a share of the lifetime"),
    "wue": (0, True, 1_000, "litres for 1 kWh"),
    "wue_grid": (0, True, 1_000, "litres for 1 kWh"),
    "tariff": (0, True, 1e9, "money for 1 kWh"),
    "device_per_hour": (0, True, 1e9, "money for an hour"),
}


def read(path: Path) -> Factors:
    """The factors of a TOML file; raises BadInput or UnknownName for one that cannot be used."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(
            f"cannot read --factors {path}: {error.strerror}; give a TOML file, see docs/energy.md."
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"--factors {path} is not TOML: {error}.") from error
    return completed(Factors(), content)


def completed(known: Factors, given: Mapping[str, Any]) -> Factors:
    """`known` with what is given (None counts as not given) in its place; raises BadInput or UnknownName."""
    names = [each.name for each in fields(Factors)]
    values = {name: getattr(known, name) for name in names}
    for name, value in given.items():
        if name not in names:
            raise UnknownName("factor", name, names)
        if value is not None:
            values[name] = _text(name, value) if name in TEXTS else _number(name, value)
    if given.get("country") and given.get("grid_g_per_kwh") is None:
        values["grid_g_per_kwh"] = None  # the later one counts
    if given.get("grid_g_per_kwh") is not None and not given.get("country"):
        values["country"] = ""
    return checked(Factors(**values))


def checked(found: Factors) -> Factors:
    """The factors themselves; raises BadInput where two of them contradict or one wants another."""
    if found.country and found.grid_g_per_kwh is not None:
        raise BadInput("country and grid_g_per_kwh both state the grid's intensity: give one of them.")
    if (found.embodied_kg is None) != (found.lifetime_years is None):
        raise BadInput("embodied carbon takes embodied_kg and lifetime_years: give both, or neither.")
    if found.utilisation is not None and found.embodied_kg is None:
        raise BadInput("utilisation is for embodied carbon alone: give embodied_kg and lifetime_years as well.")
    if not found.currency and (found.tariff is not None or found.device_per_hour is not None):
        raise BadInput("a price needs its currency: give currency as well, such as EUR.")
    if found.currency and found.tariff is None and found.device_per_hour is None:
        raise BadInput("a currency needs a price: give tariff or device_per_hour as well, or leave currency out.")
    return found


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str) or not value.strip() or len(value) > 60 or not value.isprintable():
        raise BadInput(f"{name} cannot be {value!r}: give a name.")
    return value.strip()


def _number(name: str, value: Any) -> float:
    least, itself, most, what = LIMITS[name]
    good = isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
    if not good or not least <= value <= most or (value == least and not itself):
        bound = "from" if itself else "above"
        raise BadInput(f"{name} cannot be {value!r}: it is {what}, {bound} {least:g} to {most:g}.")
    return float(value)

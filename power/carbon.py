"""Grams of CO2e for 1 kWh of a country's grid, out of the data file that the package codecarbon ships.

Only that file is read: importing the package would bring pandas and several web clients along.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path
from typing import Any

from loadgen_harness.errors import BadInput, MissingDependency

PACKAGE = "codecarbon"
NEAREST = 3  # names that are suggested for one that is not known
FILE = "data/private_infra/global_energy_mix.json"


@dataclass(frozen=True)
class Grid:
    """The intensity of a grid and where the figure is from; `place` is "" for a figure that the user gave."""

    g_per_kwh: float
    place: str
    source: str


def given(g_per_kwh: float) -> Grid:
    """A figure that the user vouches for."""
    return Grid(g_per_kwh, "", "given")


def of_country(name: str) -> Grid:
    """The yearly mean of a country by name or three-letter code; raises BadInput or MissingDependency."""
    table = _table()
    codes = {code.lower(): code for code in table}
    names = {str(row.get("country_name", "")).lower(): code for code, row in table.items()}
    code = codes.get(name.lower()) or names.get(name.lower())
    if code is None and len(name) == 2:
        raise BadInput(f"{name!r} is no three-letter code: give the ISO-3 code, such as USA, or the country's name.")
    if code is None:
        near = ", ".join(str(table[names[each]]["country_name"]) for each in _nearest(name.lower(), names))
        raise BadInput(f"unknown country {name!r}: the nearest are {near}; write the name or the three-letter code.")
    row = table[code]
    intensity, title = row.get("carbon_intensity"), str(row.get("country_name", code))
    if not isinstance(intensity, int | float) or not 0 < intensity < 5_000:
        raise BadInput(f"codecarbon has no grid intensity of {title}: give the figure with --grid-g-per-kwh.")
    return Grid(
        float(intensity), title, f"{PACKAGE} {_version()}, {FILE.rpartition('/')[2]}, {title} {row.get('year')}"
    )


def _nearest(name: str, names: Mapping[str, str]) -> list[str]:
    return difflib.get_close_matches(name, names, n=NEAREST, cutoff=0.0)


def _table() -> Mapping[str, Mapping[str, Any]]:
    found = util.find_spec(PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise MissingDependency("carbon by country", PACKAGE)
    path = Path(next(iter(found.submodule_search_locations))) / FILE
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
        return {code: row for code, row in table.items() if isinstance(row, dict)}
    except (OSError, ValueError, AttributeError) as error:
        raise BadInput(
            f"the installed codecarbon has no {FILE} that can be read: give the figure with --grid-g-per-kwh."
        ) from error


def _version() -> str:
    try:
        return metadata.version(PACKAGE)
    except metadata.PackageNotFoundError:
        return "of unknown version"

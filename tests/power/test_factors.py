"""Factors: what a file and flags may say, and in which order they count."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from loadgen_harness.errors import BadInput, SuiteError
from power.factors import Factors, completed, read


def test_a_file_and_flags(tmp_path: Path) -> None:
    path = tmp_path / "team.toml"
    path.write_text('pue = 1.2\ncountry = "France"\ntariff = 1\ncurrency = "EUR"\n')
    known = read(path)
    assert known == Factors(pue=1.2, country="France", tariff=1.0, currency="EUR")
    assert completed(known, {"pue": 1.5, "tariff": None}).pue == 1.5
    assert completed(known, {"grid_g_per_kwh": 50.0}) == Factors(1.2, "", 50.0, tariff=1.0, currency="EUR")
    assert completed(Factors(grid_g_per_kwh=50), {"country": "Peru"}) == Factors(country="Peru")


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"pue": -1.2}, "pue cannot be -1.2: it is the energy of the whole site over that of its computers, from 1"),
        ({"pue": 0.9}, "from 1 to 100"),
        ({"pue": "1.2"}, "pue cannot be '1.2'"),
        ({"pue": True}, "pue cannot be True"),
        ({"wue": float("nan")}, "wue cannot be nan"),
        ({"tariff": float("inf"), "currency": "EUR"}, "tariff cannot be inf"),
        ({"embodied_kg": 0.0, "lifetime_years": 4.0}, "above 0"),
        ({"embodied_kg": 10.0}, "give both"),
        ({"lifetime_years": 4.0}, "give both"),
        ({"utilisation": 0.5}, "embodied carbon alone"),
        ({"utilisation": 1.5, "embodied_kg": 1.0, "lifetime_years": 1.0}, "above 0 to 1"),
        ({"tariff": 0.3}, "needs its currency"),
        ({"currency": "EUR"}, "a currency needs a price"),
        ({"currency": "EUR", "pue": 1.2}, "or leave currency out"),
        ({"country": "Peru", "grid_g_per_kwh": 3.0}, "give one of them"),
        ({"country": ""}, "give a name"),
        ({"currency": 3}, "give a name"),
        ({"puee": 1.0}, "did you mean 'pue'?"),
    ],
)
def test_bad_factors_are_one_sentence(given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SuiteError) as caught:
        completed(Factors(), given)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_bad_files(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot read --factors"):
        read(tmp_path / "absent.toml")
    broken = tmp_path / "broken.toml"
    broken.write_bytes(b"pue = \xff")
    with pytest.raises(BadInput, match="is not TOML"):
        read(broken)

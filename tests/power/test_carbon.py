"""Grid intensities out of codecarbon's file: a package laid out as pip would, and the real one where it is there."""

from __future__ import annotations

import importlib
import json
import sys
from importlib import util
from pathlib import Path

import pytest

from loadgen_harness.errors import BadInput, MissingDependency
from power import carbon

ROWS = {
    "AAA": {"carbon_intensity": 123.5, "country_name": "Aland", "year": 2023},
    "BBB": {"carbon_intensity": 0, "country_name": "Bland", "year": 2022},
}


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """codecarbon 9.9 with two countries; importing it would fail."""
    data = tmp_path / "codecarbon" / "data" / "private_infra"
    data.mkdir(parents=True)
    (tmp_path / "codecarbon" / "__init__.py").write_text("raise RuntimeError('imported')\n")
    (data / "global_energy_mix.json").write_text(json.dumps(ROWS))
    info = tmp_path / "codecarbon-9.9.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: codecarbon\nVersion: 9.9\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    return data / "global_energy_mix.json"


@pytest.mark.usefixtures("package")
def test_a_country_by_name_or_code() -> None:
    wanted = carbon.Grid(123.5, "Aland", "codecarbon 9.9, global_energy_mix.json, Aland 2023")
    assert carbon.of_country("aland") == carbon.of_country("AAA") == wanted
    assert "codecarbon" not in sys.modules


@pytest.mark.usefixtures("package")
def test_an_unknown_country_names_the_nearest() -> None:
    with pytest.raises(BadInput, match="unknown country 'Alnd': the nearest are Aland, Bland; write the name"):
        carbon.of_country("Alnd")
    with pytest.raises(BadInput, match="no grid intensity of Bland: give the figure with --grid-g-per-kwh"):
        carbon.of_country("Bland")


def test_a_damaged_or_absent_package(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package.write_text("[]")
    with pytest.raises(BadInput, match="can be read"):
        carbon.of_country("Aland")
    monkeypatch.setattr(carbon, "PACKAGE", "a_package_that_nobody_has")
    with pytest.raises(MissingDependency, match="pip install a_package_that_nobody_has"):
        carbon.of_country("Aland")


def test_the_real_file() -> None:
    if util.find_spec("codecarbon") is None:
        pytest.skip("codecarbon is not installed (extra: carbon)")
    france, poland = carbon.of_country("France"), carbon.of_country("POL")
    assert 10 < france.g_per_kwh < 120 < 400 < poland.g_per_kwh < 1000
    assert "Poland 20" in poland.source


@pytest.mark.usefixtures("package")
def test_two_letters_are_not_guessed_at() -> None:
    for name in ("AA", "us"):
        with pytest.raises(BadInput, match="give the ISO-3 code, such as USA"):
            carbon.of_country(name)

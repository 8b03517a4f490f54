"""Energy labels: well-formed, said in words, true to the runs; their PNG is a picture; the block of a model card."""

from __future__ import annotations

import struct
import sys
import xml.etree.ElementTree as ET
import zlib
from importlib import util
from pathlib import Path

import pytest
import yaml

from loadgen_harness.errors import BadInput, MissingDependency
from power import carbon, stars
from power.factors import Factors
from power.repeated import gather
from power.surroundings import NONE_GIVEN, Surroundings
from submissions import label, label_drawing
from submissions.label import Facts, Given
from tests.power import measured

SVG = "{http://www.w3.org/2000/svg}"
FRANCE = Surroundings(Factors(country="France"), carbon.Grid(100.0, "France", "a table, France 2023"))
SPEC = {"benchmark": "digits", "scenario": "Server"}


def made(folder: Path, meter: str = "nvml", around: Surroundings = NONE_GIVEN, given: Given | None = None) -> Facts:
    found = gather([measured.run(folder, {meter: 50.0}, spec=SPEC)])
    return label.facts(found, around, None, given or Given())


def words(svg: str) -> str:
    return " ".join(each.text or "" for each in ET.fromstring(svg).iter(f"{SVG}text"))


def block(card: str) -> dict[str, object]:
    assert card.startswith("---\n") and card.endswith("---\n")
    content = yaml.safe_load(card.strip("-\n"))
    assert isinstance(content, dict)
    return content


def test_a_label_says_everything(tmp_path: Path) -> None:
    given = Given("a <model> & more", "Two \u202eCPUs", "2026-01-31")
    svg = label_drawing.draw(made(tmp_path / "run", around=FRANCE, given=given).label)
    root = ET.fromstring(svg)
    title, description = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
    assert title is not None and title.text == "Energy label of a <model> & more"
    assert root.get("aria-labelledby") == "title desc" and root.get("role") == "img"
    text = words(svg)
    for piece in (
        "a <model> & more", "digits, Server", "Two \\u202eCPUs", "2026-01-31", "1.00", "J per sample", "0.278 (",
        "50.0 (", "0.0278 (", "nvml, scope board", "France 2023", "Not an official MLPerf power result",
    ):  # fmt: skip
        assert piece in text
    assert description is not None and description.text is not None
    assert "1.00 J per sample" in description.text and "not an official" in description.text
    assert "ESTIMATED" not in text
    assert {each.get("class") for each in root.iter(f"{SVG}path")} == {"rule"}  # no stars without a set


def test_light_dark_print_and_phone(tmp_path: Path) -> None:
    shown = made(tmp_path / "run").label
    svg = label_drawing.draw(shown)
    assert "@media screen and (prefers-color-scheme:dark)" in svg  # so that paper stays light
    assert "max-width:100%" in svg
    assert "url(" not in svg and "http" not in svg.replace("http://www.w3.org/2000/svg", "")
    light, dark = label_drawing.draw(shown, "light"), label_drawing.draw(shown, "dark")
    assert "@media" not in light + dark and light != dark
    assert words(light) == words(dark) == words(svg)
    for theme in (label_drawing.LIGHT, label_drawing.DARK):
        for name in ("ink", "soft", "mark", "warn"):
            assert contrast(theme[name], theme["page"]) >= 4.5


def contrast(one: str, two: str) -> float:
    """WCAG's ratio of two colours."""

    def luminance(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(one), luminance(two)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_an_estimate_is_boldly_one(tmp_path: Path) -> None:
    shown = made(tmp_path / "run", "estimate", FRANCE)
    text = words(label_drawing.draw(shown.label))
    assert "ESTIMATED" in text and "No meter measured this run." in text
    assert "0.50–1.50 J per sample" in text
    card = block(shown.card)
    own = card["energy_measurement"]
    assert isinstance(own, dict) and "co2_eq_emissions" not in card  # that key takes one number
    assert own["estimated"] is True and set(own["joules_per_sample"]) == {"low", "high"}
    assert set(own["g_co2e_per_1000_samples"]) == {"low", "high"}


def test_a_clipped_end_and_a_grid_without_carbon(tmp_path: Path) -> None:
    none = Surroundings(Factors(grid_g_per_kwh=0), carbon.given(0))
    runs = [measured.run(tmp_path / str(watts), {"nvml": watts}) for watts in (10.0, 90.0)]
    noisy = label.facts(gather(runs), none, None)
    assert "Lower ends clipped at 0: too few or too noisy runs" in noisy.label.notes
    assert dict(noisy.label.rows)["CO2e per 1,000 samples"] == "0 g"
    estimate = made(tmp_path / "estimate", "estimate", none)
    assert dict(estimate.label.rows)["CO2e per 1,000 samples"] == "0 g"
    assert not any("clipped" in note for note in estimate.label.notes)


def test_stars_of_a_set(tmp_path: Path) -> None:
    within = stars.read(measured.reference(tmp_path / "set", [10.0, 20.0, 30.0, 40.0, 60.0]))
    found = gather(stars.runs_of([tmp_path / "set" / "b"]))
    shown = label.facts(found, NONE_GIVEN, stars.rate(found.runs, within))
    root = ET.fromstring(label_drawing.draw(shown.label))
    kinds = [each.get("class") for each in root.iter(f"{SVG}path")]
    assert (kinds.count("star"), kinds.count("empty")) == (4, 1)
    assert f"4 of 5 stars within 'set': 5 entries, scope board, digest {within.digest[:12]}" in shown.label.rating
    own = block(shown.card)["energy_measurement"]
    assert isinstance(own, dict)
    assert (own["stars"], own["stars_set_size"], own["stars_set_sha256"]) == (4, 5, within.digest)


def test_the_block_of_a_model_card(tmp_path: Path) -> None:
    card = block(made(tmp_path / "run", around=FRANCE, given=Given(system='A "CPU": x')).card)
    emissions, own = card["co2_eq_emissions"], card["energy_measurement"]
    assert isinstance(emissions, dict) and isinstance(own, dict)
    assert set(emissions) == {"emissions", "source", "training_type", "geographical_location", "hardware_used"}
    assert emissions["emissions"] == pytest.approx(100 / 3.6e6 * 100, rel=1e-3)  # 100 J at 100 g/kWh
    assert emissions["geographical_location"] == "France" and emissions["training_type"] == "n/a: inference"
    assert own["joules_per_sample"]["value"] == pytest.approx(1.0, rel=1e-3)
    assert own["wh_per_1000_samples"]["value"] == pytest.approx(1000 / 3600, rel=1e-3)
    assert own["system"] == 'A "CPU": x' and own["remark"] == "not an official MLPerf power result"
    assert "co2_eq_emissions" not in block(made(tmp_path / "bare").card)


def pixels(png: bytes) -> tuple[int, int, int]:
    """Width, height and how many different bytes the picture's data have."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    data, place = b"", 8
    while place < len(png):
        size, kind = struct.unpack(">I4s", png[place : place + 8])
        data += png[place + 8 : place + 8 + size] if kind == b"IDAT" else b""
        place += 12 + size
    return *struct.unpack(">II", png[16:24]), len(set(zlib.decompress(data)))


def test_files(tmp_path: Path) -> None:
    if util.find_spec("resvg_py") is None:
        pytest.skip("resvg-py is not installed (extra: label)")
    shown = made(tmp_path / "run")
    files = label.write(shown, tmp_path / "label")
    assert [path.name for path in files] == [
        "energy-label.svg", "model-card.md", "energy-label.png", "energy-label-dark.png",
    ]  # fmt: skip
    assert {path.name for path in tmp_path.iterdir()} == {"run", "label"}
    height = int(ET.fromstring(files[0].read_text()).get("height", "0"))
    for path in files[2:]:
        assert pixels(path.read_bytes())[:2] == (960, 2 * height)
        assert pixels(path.read_bytes())[2] > 50
    assert files[2].read_bytes() != files[3].read_bytes()
    with pytest.raises(BadInput, match="exists: choose another --output"):
        label.write(shown, tmp_path / "label")


def test_without_a_renderer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    shown = made(tmp_path / "run")
    with pytest.raises(MissingDependency, match=r"--no-png.*pip install resvg-py"):
        label.write(shown, tmp_path / "label")
    assert not (tmp_path / "label").exists()
    assert len(label.write(shown, tmp_path / "label", png=False)) == 2


def test_without_a_font() -> None:
    if util.find_spec("resvg_py") is None:
        pytest.skip("resvg-py is not installed (extra: label)")
    with pytest.raises(BadInput, match="no font is installed"):
        label.raster('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><text font-size="0">a</text></svg>')


def test_refusals(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"--date cannot be '31\.1\.2026'"):
        made(tmp_path / "a", given=Given(date="31.1.2026"))
    with pytest.raises(BadInput, match="--model takes at most 120 letters, not 121"):
        made(tmp_path / "b", given=Given(model="x" * 121))
    invalid = gather([measured.run(tmp_path / "c", {"nvml": 5.0}, result_validity="INVALID")])
    with pytest.raises(BadInput, match="is INVALID"):
        label.facts(invalid, NONE_GIVEN, None)
    countless = gather([measured.run(tmp_path / "d", {"nvml": 5.0}, generated_samples_per_query=None)])
    with pytest.raises(BadInput, match="how many samples there were"):
        label.facts(countless, NONE_GIVEN, None)


def test_long_names_are_broken() -> None:
    lines = label_drawing.wrapped("word " * 40, 24, label_drawing.INNER)
    assert len(lines) > 5 and all(len(line) <= label_drawing.INNER / (24 * 0.6) for line in lines)

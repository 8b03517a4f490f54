"""The golden runs as LoadGen left them, and the manifest by which they become a submission."""

from __future__ import annotations

from pathlib import Path

from tests.submissions.folders import golden

SCENARIOS = ("SingleStream", "MultiStream", "Offline")
PARTS = ("performance", "accuracy", "TEST01", "TEST04")
HEAD = """round = "v6.1"
division = "{division}"
submitter = "Acme"
system_name = "toybox_1x_cpu"
system = "{home}/systems/toybox_1x_cpu.json"
calibration = "{home}/documentation/calibration.md"
"""
RESULT = """
[[result]]
benchmark = "resnet50"
scenario = "{scenario}"
runs = "runs/{scenario}"
data = "{labels}"
measurements = "{place}/measurements.json"
readme = "{place}/README.md"
source = "{home}/src/resnet50/README.md"
"""


def opened(shared: Path, folder: Path) -> Path:
    """The same for the open golden tree: Offline alone, as a model of one's own, without compliance tests."""
    home = shared / "golden-v6.1" / "open" / "Acme"
    for part in ("performance", "accuracy"):
        golden(shared, folder / "runs" / "Offline" / part, "Offline", part)
    labels = shared / "golden-v6.1-full-accuracy" / "val_map.txt"
    place = home / "results" / "toybox_1x_cpu" / "my-toy-net" / "Offline"
    result = RESULT.format(scenario="Offline", labels=labels, place=place, home=home)
    text = HEAD.format(division="open", home=home) + result.replace("src/resnet50", "src/my-toy-net")
    manifest = folder / "manifest.toml"
    manifest.write_text(f'{text}name = "my-toy-net"\n', encoding="utf-8")
    return manifest


def closed(shared: Path, folder: Path, scenarios: tuple[str, ...] = SCENARIOS, more: str = "") -> Path:
    """A folder with the runs of the closed golden tree and its manifest, which this returns; `more` is added on top."""
    home = shared / "golden-v6.1" / "closed" / "Acme"
    text = HEAD.format(division="closed", home=home) + more
    for scenario in scenarios:
        for part in PARTS:
            golden(shared, folder / "runs" / scenario / part, scenario, part)
        labels = shared / "golden-v6.1-full-accuracy" / "val_map.txt"
        place = home / "results" / "toybox_1x_cpu" / "resnet50" / scenario
        text += RESULT.format(scenario=scenario, labels=labels, place=place, home=home)
    manifest = folder / "manifest.toml"
    manifest.write_text(text, encoding="utf-8")
    return manifest

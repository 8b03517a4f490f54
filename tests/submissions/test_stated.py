"""What results of a tree state: figure, accuracy beside its target, power; whatever is missing is left out."""

from __future__ import annotations

from pathlib import Path

import pytest

from audit.result_rows import Figures
from loadgen_harness import rounds
from submissions import stated
from submissions.check import checked
from submissions.subject import Subject

RESULT = "closed/Acme/toybox_1x_cpu/resnet50"


def subjects(tree: Path) -> list[Subject]:
    return checked(tree, rounds.load("v6.1")).subjects


def figures(tree: Path) -> dict[str, Figures]:
    return stated.of_tree(subjects(tree))


def test_every_result_of_a_good_tree_has_its_row(tree: Path) -> None:
    found = figures(tree)
    assert {f"{RESULT}/{name}" for name in ("SingleStream", "MultiStream", "Offline")} <= set(found)
    for name in ("SingleStream", "MultiStream", "Offline"):
        one = found[f"{RESULT}/{name}"]
        assert one.value is not None and one.value > 0 and one.unit
        assert [(each.metric, each.wanted) for each in one.accuracy] == [("acc", ">= 75.6954")]
        assert one.accuracy[0].value is not None and one.accuracy[0].value > 75
        assert (one.power, one.inferred_from) == ("", "")


def test_without_accuracy_or_result_the_rest_is_stated(tree: Path) -> None:
    place = tree / "closed/Acme/results/toybox_1x_cpu/resnet50/Offline"
    (place / "accuracy/accuracy.txt").unlink()
    (place / "performance/run_1/mlperf_log_detail.txt").unlink()
    assert figures(tree)[f"{RESULT}/Offline"] == Figures()


def test_an_accuracy_that_nobody_can_read_is_unknown(tree: Path) -> None:
    place = tree / "closed/Acme/results/toybox_1x_cpu/resnet50/Offline/accuracy/accuracy.txt"
    place.write_bytes(b"accuracy=\xff%\n")
    (one,) = figures(tree)[f"{RESULT}/Offline"].accuracy
    assert one.value is None


def test_power_is_the_mean_inside_the_window(shared: Path) -> None:
    """The figures that shared/published/README.md gives for SiMa's device."""
    folder = shared / "published" / "v3.0"
    if not folder.is_dir():
        pytest.skip("no published trees in ../shared")
    found = stated.of_tree(checked(folder).subjects)
    drawn = {name.rpartition("/")[2]: one.power for name, one in found.items() if one.power}
    assert {name: round(float(text.removesuffix(" W")), 1) for name, text in drawn.items()} == {
        "MultiStream": 16.2,
        "Offline": 16.1,
        "SingleStream": 12.9,
    }

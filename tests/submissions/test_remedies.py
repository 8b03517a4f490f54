"""A remedy fits what was found: another seed is no second FromConfig; a command is named where one helps."""

from __future__ import annotations

from pathlib import Path

import pytest

from audit.finding import Finding
from loadgen_harness import rounds
from submissions.check import check
from tests.submissions.differential import writable
from tests.submissions.faults import FAULTS
from tests.submissions.mutations import MULTI, OPEN, RUN, Change, copied, detail


@pytest.fixture(scope="module")
def golden(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A writable copy of the golden tree."""
    return writable(shared / "golden-v6.1", tmp_path_factory.mktemp("golden") / "tree")


def told(golden: Path, tmp_path: Path, change: Change, check_: str) -> Finding:
    """The first finding of a check on the golden tree with one change."""
    tree = copied(golden, tmp_path / "tree")
    change(tree)
    return next(each for each in check(tree, rounds.load("v6.1")) if each.check == check_)


REMEDIES: dict[str, tuple[Change, str, str]] = {
    "seeds of 0": (FAULTS["qsl seed"].change, "seeds", "second FromConfig"),
    "another round's seed": (FAULTS["schedule seed of v6.0"].change, "seeds", "the seed of v6.0: repeat the run"),
    "nobody's seed": (detail(MULTI / RUN, effective_qsl_rng_seed=7), "seeds", "take seeds out of user.conf"),
    "NumPy's numbers": (FAULTS["accuracy as NumPy writes it"].change, "accuracy", "lgh check TREE --fix"),
    "not truncated": (FAULTS["whole accuracy log"].change, "truncation", "truncate_accuracy_log.py --input TREE"),
    "no hash": (FAULTS["no hash"].change, "truncation", "lgh submit"),
}


@pytest.mark.parametrize("name", REMEDIES)
def test_the_remedy_is_of_the_fault(golden: Path, tmp_path: Path, name: str) -> None:
    change, check_, words = REMEDIES[name]
    assert words in told(golden, tmp_path, change, check_).fix


def test_bounds_are_never_the_wrong_way_round(golden: Path, tmp_path: Path) -> None:
    change = detail(OPEN / RUN, result_max_latency_ns=1000, result_mean_latency_ns=1)
    tree = copied(golden, tmp_path / "tree")
    change(tree)
    found = [each for each in check(tree, rounds.load("v6.1")) if each.key == "result_mean_latency_ns"]
    wanted = next(each.wanted for each in found if each.check == "percentiles")
    low, high = (int(each) for each in wanted.split(" to "))
    assert low == 1000 < high


def test_a_verdict_without_reasons_is_told_without_a_gap(golden: Path, tmp_path: Path) -> None:
    change = detail(OPEN / RUN, effective_test_mode="AccuracyOnly", result_validity="")
    assert not told(golden, tmp_path, change, "validity").found.endswith(": ")


def test_a_stream_width_is_not_explained_by_offlines_count(golden: Path, tmp_path: Path) -> None:
    assert (
        "270336"
        not in told(golden, tmp_path, FAULTS["samples per MultiStream query"].change, "samples-per-query").clause
    )

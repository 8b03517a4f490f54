"""Rounds: every shipped file is whole, third parties may add theirs, a damaged one is a sentence."""

from __future__ import annotations

import copy
import tomllib
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from loadgen_harness import registry, rounds
from loadgen_harness.errors import BadInput, UnknownName
from loadgen_harness.types import Scenario

SHIPPED = ("mini", "v6.1")
MINI_FILE = resources.files("audit") / "rounds" / "mini.toml"
MINI = tomllib.loads(MINI_FILE.read_text(encoding="utf-8"))


def test_the_shipped_rounds_are_there() -> None:
    assert set(SHIPPED) <= set(rounds.names())


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_round_is_whole(name: str) -> None:
    round_ = rounds.load(name)
    assert round_.name == name
    assert all(seed > 0 for seed in (round_.seeds.qsl, round_.seeds.sample_index, round_.seeds.schedule))
    known = registry.names(registry.TESTS)
    for benchmark, rules in round_.benchmarks.items():
        assert rules.limits, benchmark
        # of a future round some tests may not be written yet; of ours all are
        assert name != "mini" or {test.lower() for test in rules.tests} <= set(known)
        for target in rules.targets:
            better = target.target <= target.reference if target.higher_is_better else target.target >= target.reference
            assert better or target.upper is not None, (benchmark, target)


def test_mini_is_about_our_own_benchmarks() -> None:
    assert set(rounds.load("mini").benchmarks) <= set(registry.names(registry.BENCHMARKS))


def test_unknown_names_suggest() -> None:
    with pytest.raises(UnknownName, match=r"v6\.1"):
        rounds.load("v6.2")
    round_ = rounds.load("mini")
    with pytest.raises(UnknownName, match="digits"):
        round_.rules("digit")
    with pytest.raises(UnknownName, match="scenario of digits in round mini"):
        round_.limits("digits", Scenario.INTERACTIVE)


@pytest.mark.usefixtures("plugin")
def test_a_third_party_brings_its_round() -> None:
    assert "tiny" in rounds.names()
    assert rounds.load("tiny").limits("tiny", Scenario.SERVER).target_latency_ms == 2000


@pytest.mark.parametrize("content", [b"", b"name = ", b'name = "x"\n[seeds]\nqsl = 1\n', b"\xff\xfe"])
def test_a_damaged_file_is_one_sentence(content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "damaged.toml").write_bytes(content)
    monkeypatch.setattr(rounds, "_files", lambda: {"damaged": tmp_path / "damaged.toml", "mini": MINI_FILE})
    with pytest.raises(BadInput, match=r"round file damaged\.toml is damaged") as caught:
        rounds.load("damaged")
    assert "\n" not in str(caught.value)


def damaged(path: tuple[str, ...], value: Any) -> dict[str, Any]:
    """The mini round with one value replaced, or removed for None."""
    data = copy.deepcopy(MINI)
    place: Any = data
    for key in path[:-1]:
        place = place[key]
    if value is None:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return data


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("seeds",), None),
        (("seeds", "qsl"), None),
        (("seeds", "extra"), 1),
        (("benchmarks",), None),
        (("benchmarks", "digits", "scenarios"), None),
        (("benchmarks", "digits", "scenarios", "Sever"), {}),
        (("benchmarks", "digits", "scenarios", "Server"), {"target_latency": 20}),
        (("benchmarks", "digits", "accuracy"), [{"metric": "accuracy"}]),
        (("benchmarks", "digits", "accuracy"), 5),
        (("benchmarks", "digits", "suites"), {"edge": {"needed": ["Server"]}}),
        (("defaults", "Server"), {"min_duration": 3}),
    ],
    ids=lambda part: ".".join(part) if isinstance(part, tuple) else str(part),
)
def test_a_damaged_table(path: tuple[str, ...], value: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "_tables", lambda name: damaged(path, value))
    rounds.load.cache_clear()
    try:
        with pytest.raises((BadInput, UnknownName)) as caught:
            rounds.load("mini")
    finally:
        rounds.load.cache_clear()
    assert "\n" not in str(caught.value)

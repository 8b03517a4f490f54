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

SHIPPED = ("mini", "v5.0", "v5.1", "v6.0", "v6.1")
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


def test_official_rounds_are_in_order_and_say_where_they_come_from() -> None:
    assert rounds.official() == ("v5.0", "v5.1", "v6.0", "v6.1")
    for name in rounds.official():
        round_ = rounds.load(name)
        assert len(round_.commit) == 40 and round_.commit[:8] in round_.source and round_.date in round_.source
        assert round_.checker_version == name and round_.layout.sources == ("code" if name < "v6" else "src")


def test_the_seeds_of_all_rounds_differ_also_of_those_without_a_file() -> None:
    oldest = rounds.load("v5.0").earlier
    seeds = [*oldest.values(), *(rounds.load(name).seeds for name in rounds.official())]
    assert len(set(seeds)) == len(seeds) == 14 and "v0.5" in oldest and "v4.1" in oldest


def test_a_result_stands_where_the_benchmark_says() -> None:
    rules = rounds.load("v5.1").rules("llama3.1-8b-edge")
    assert rules.results[Scenario.SINGLE_STREAM].key == "result_90.00_percentile_latency_ns"
    assert rules.results[Scenario.OFFLINE].unit == "Tokens/s"
    assert rounds.load("v5.0").rules("gptj-99").results[Scenario.SERVER].key.startswith("result_inferred_completed")
    assert rounds.load("v6.1").rules("wan-2.2-t2v-a14b").results[Scenario.SINGLE_STREAM].unit == "Latency (s)"


def test_a_disagreement_says_who_says_what() -> None:
    noted = rounds.load("v6.1").rules("dlrm-v3").disagreement("Server.target_latency_ms")
    assert str(noted) == "rules: 80, checker: 60000, mlperf.conf: 80 (the stricter stands)"
    assert rounds.load("v6.1").rules("dlrm-v3").disagreement("Server.percentile") is None


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
        (("benchmarks", "digits", "results"), "tokens"),
        (("benchmarks", "digits", "result"), {"Server": {"name": "x"}}),
        (("benchmarks", "digits", "loadgen"), {"Sever": "x"}),
        (("benchmarks", "digits", "disagreements"), [{"key": "x"}]),
        (("layout",), {"code": "src"}),
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

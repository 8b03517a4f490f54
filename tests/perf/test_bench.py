"""The bench's own arithmetic, without timing anything."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from loadgen_harness.matrix import interleaved
from loadgen_harness.samples import DTYPE
from loadgen_harness.types import Scenario
from tests.perf import __main__ as bench
from tests.perf import plot, ratios, report, targets, variants
from tests.perf import variants as v
from tests.perf.bisection import Search, highest
from tests.perf.parts import busy, ceiling, client, generation, latency, models, offline, power, reader, runtimes
from tests.perf.session import QUICK, Clock, Effort, Part
from tests.perf.targets import Target, Verdict, verdicts
from tests.perf.variants import CPP, Probe, Variant

FINE = Search(start=1000.0, step=2.0, resolution=1.05)


@pytest.mark.parametrize("edge", [3.0, 999.0, 1000.0, 1001.0, 123_456.0])
def test_bisection_ends_just_below_the_edge(edge: float) -> None:
    found = highest(lambda rate: rate <= edge, FINE)
    assert edge / FINE.resolution <= found <= edge


def test_bisection_from_a_narrow_start_asks_few_times() -> None:
    asked: list[float] = []

    def holds(rate: float) -> bool:
        asked.append(rate)
        return rate <= 1100

    assert 1000 <= highest(holds, Search(1000.0, 1.15, 1.08)) <= 1100
    assert len(asked) == 6, "three rates, two tries each: agreeing ones settle it"


def test_near_the_edge_the_majority_of_three_decides() -> None:
    asked: Counter[float] = Counter()

    def holds(rate: float) -> bool:  # the second of three tries lies
        asked[rate] += 1
        return (rate <= 1100) != (asked[rate] == 2)

    found = highest(holds, Search(1000.0, 1.2, 1.05))
    assert 1100 / 1.05 <= found <= 1100
    assert set(asked.values()) == {3}


def test_far_from_the_edge_one_try_decides() -> None:
    asked: Counter[float] = Counter()

    def holds(rate: float) -> bool:
        asked[rate] += 1
        return rate <= 10_000

    highest(holds, Search(1000.0, 2.0, 1.6))
    assert set(asked.values()) == {1}


def test_a_verdict_that_never_changes_ends_the_search() -> None:
    assert highest(lambda rate: False, FINE) == 0
    assert highest(lambda rate: True, FINE) > 1e12


def test_rounds_alternate() -> None:
    order = "".join(item for _, item in interleaved("AB", 4))
    assert order == "ABBAABBA"


def test_a_steady_drift_weighs_on_all_variants_alike() -> None:
    moments: dict[str, list[int]] = {"A": [], "B": [], "C": []}
    for moment, (_, item) in enumerate(interleaved("ABC", 10)):
        moments[item].append(moment)
    assert len({sum(each) for each in moments.values()}) == 1


@pytest.mark.parametrize(("every", "wanted"), [(1, [0, 1, 2, 3, 4, 5]), (5, [0, 5])])
def test_side_variants_take_part_in_some_rounds(every: int, wanted: list[int]) -> None:
    assert [number for number in range(6) if ratios.due(number, every)] == wanted


def test_ratios_are_of_the_same_round() -> None:
    """The machine slowed down by half from round to round: the ratio did not change."""
    mine = {0: 90.0, 1: 45.0, 2: 22.5}
    theirs = {0: 100.0, 1: 50.0, 2: 25.0}
    rows = ratios.summarized("p", "c", "u", {"mine": mine, "theirs": theirs}, {"": "theirs"})
    found = {row.variant: row for row in rows}
    assert found["mine"].median == 45.0
    assert (found["mine"].ratio, found["mine"].ratio_low, found["mine"].ratio_high) == pytest.approx((0.9, 0.9, 0.9))
    assert found["mine"].pairs == 3
    assert found["theirs"].ratio == 1


def test_a_ratio_needs_rounds_that_both_took_part_in() -> None:
    rows = ratios.summarized("p", "c", "u", {"a": {1: 2.0, 2: 3.0}, "b": {2: 6.0, 3: 1.0}}, {"": "b"})
    assert (rows[0].ratio, rows[0].pairs) == (0.5, 1)
    alone = ratios.summarized("p", "c", "u", {"a": {0: 2.0}, "b": {1: 6.0}}, {"": "b"})
    assert math.isnan(alone[0].ratio)
    assert not alone[0].yardstick


def test_a_variant_may_have_a_yardstick_of_its_own() -> None:
    table = {"queue": {0: 2.0}, "inline": {0: 4.0}, "python": {0: 1.0}}
    rows = ratios.summarized("p", "c", "u", table, {"": "queue", "python": "inline"})
    assert [row.ratio for row in rows] == [1.0, 2.0, 0.25]


def test_the_interval_holds_the_median_and_shrinks_with_rounds() -> None:
    draw = np.random.default_rng(1)
    few, many = (ratios.row(("p", "c", "v"), "u", draw.normal(10, 1, count)) for count in (10, 200))
    for found in (few, many):
        assert found.low <= found.median <= found.high
    assert many.high - many.low < few.high - few.low


def row(part: str, case: str, variant: str, value: float) -> ratios.Row:
    return ratios.Row(part, case, variant, "u", (value,), value, value, value, "y", value, value, value, 1)


@pytest.mark.parametrize(
    ("bound", "value", "met"), [("≥", 0.9, True), ("≥", 0.91, False), ("≤", 0.9, True), (">", 0.9, False)]
)
def test_a_target_is_held_against_its_row(bound: str, value: float, met: bool) -> None:
    target = Target("offline", "c", "v", "ratio", bound, value)
    (verdict,) = verdicts([row("offline", "c", "v", 0.9), row("offline", "c", "w", 5.0)], ["offline"], [target])
    assert verdict.met == met
    assert verdict.measured == 0.9
    assert f"{bound} {value:g}" in target.sentence


def test_what_was_not_measured_is_missed_but_other_parts_are_not_asked_for() -> None:
    target = Target("offline", "c", "v", "median", "≤", 1.0)
    assert [verdict.met for verdict in verdicts([], ["offline"], [target])] == [False]
    assert verdicts([], ["busy"], [target]) == []


def test_every_target_names_a_row_that_a_part_makes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ratios, "interval", lambda values: (0.0, 0.0))  # names alone count here
    made = {("ceiling", "p99 at most 10 ms", each.name) for each in (*ceiling.MAIN, *ceiling.SIDE)}
    made |= {("offline", f"batch {batch}", each.name) for batch, chosen in offline.CHOSEN.items() for each in chosen}
    made |= {
        ("latency", f"{s} {p}", v.name) for s in latency.KINDS for p in latency.PERCENTILES for v in latency.CHOSEN
    }
    made |= {("busy", load.case, each.name) for each, loads in busy.CHOSEN.items() for load in loads}
    pairs = {1: (100.0, 110.0), 2: (90.0, 100.0)}
    made |= {found.key for model in models.MODELS for found in models.rows("models", model.name, "bridge", pairs)}
    made |= {found.key for name, *_ in runtimes.WAYS for found in models.rows("runtimes", name, "bridge", pairs)}
    times = {way.name: {1: 2.0} for way in generation.WAYS}
    made |= {found.key for found in generation.compared(1, dict.fromkeys(generation.UNITS, times))}
    made |= {found.key for found in client.compared(64, {client.OURS: {1: 2.0}}, {})}
    made |= {("reader", case, reader.OURS) for case in reader.CASES}
    made |= {("power", case, power.WITH) for case in power.CASES}
    made |= {found.key for found in client.added(64, [dict.fromkeys(client.ADDED, 1.0)])}
    wanted = {(each.part, each.case, each.variant) for each in targets.TARGETS if each.part != "memory"}
    assert wanted <= made
    assert {each.part for each in targets.TARGETS} == set(bench.PARTS)


def test_yardsticks_are_variants_of_the_same_measurement() -> None:
    for chosen, yardsticks in (
        (offline.CHOSEN[4096], offline.YARDSTICKS),
        (latency.CHOSEN, v.YARDSTICKS),
        ((*ceiling.MAIN, *ceiling.SIDE), v.YARDSTICKS),
    ):
        names = {each.name for each in chosen}
        assert set(yardsticks.values()) <= names
        assert set(yardsticks) - {""} <= names


def test_added_time_is_the_difference_of_times() -> None:
    rows = models.rows("models", "m", "bridge", {1: (500_000.0, 1_000_000.0), 2: (500_000.0, 1_000_000.0)})
    found = {(each.case, each.variant): each for each in rows}
    assert found["m: added time", "bridge"].median == pytest.approx(1.0)
    assert found["m", "bridge"].ratio == pytest.approx(0.5)


def test_cpp_and_python_get_the_same_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(variants.PLUGIN))
    for probe in (
        ceiling.probe(5000.0, 2000),
        offline.probe(1000, 64),
        busy.probe(busy.Load(1, busy.OWN), 500, variants.CPP_QUEUE),
    ):
        spec = probe.spec(variants.CPP_QUEUE, tmp_path)
        python = probe.spec(variants.NATIVE_THREAD, tmp_path)
        assert (spec.overrides, spec.scenario, spec.max_batch) == (python.overrides, python.scenario, python.max_batch)
        words = variants.arguments(variants.CPP_QUEUE, spec)
        given = dict(zip(words[::2], words[1::2], strict=True))
        assert given["--max_batch"] == str(probe.max_batch)
        assert given["--scenario"] == probe.scenario.loadgen
        assert given["--min_query_count"] == str(int(probe.overrides["min_query_count"]))
    assert given["--server_target_qps"] == "1000.0"
    assert given["--server_target_latency_ns"] == "10000000"
    assert given["--qsl_rng_seed"] == "2085463073848966840"


def test_a_busy_process_of_a_parent_that_is_gone_ends() -> None:
    command = [sys.executable, "-m", "lgh_bench.burn", str(2**22 + 1)]  # past the largest there is
    subprocess.run(command, cwd=variants.PLUGIN, check=True, timeout=30)


def test_one_completion_holds_the_whole_query(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(variants.PLUGIN))
    words = variants.arguments(variants.CPP_WHOLE, offline.probe(100_000, 64).spec(variants.CPP_WHOLE, tmp_path))
    assert words[words.index("--max_batch") + 1] == "100000"


def test_probes_of_equal_settings_are_compared_whatever_keeps_the_machine_busy() -> None:
    quiet, loud = (busy.probe(load, 500, variants.NATIVE_THREAD) for load in (busy.Load(0), busy.Load(2, busy.LOADGEN)))
    assert quiet.key == loud.key
    assert loud.environment == {"LGH_BENCH_BUSY": "loadgen:2"}
    assert quiet.key != Probe(Scenario.SERVER, {**quiet.overrides, "target_qps": 1.0}, quiet.max_batch).key


def test_the_time_left_follows_the_pace_of_what_ended() -> None:
    seconds = iter([0.0, 0.0, 0.0, 5.0, 20.0, 20.0, 30.0])
    parts = [Part(name, name, lambda effort: 10.0, lambda session: []) for name in "ab"]
    clock = Clock(parts, Effort(), lambda: next(seconds))
    clock.begin(parts[0])  # asks twice: at its making, and here
    assert clock.left() == pytest.approx(20.0)
    assert clock.left() == pytest.approx(15.0)
    clock.begin(parts[1])  # the first took 20 s instead of 10
    assert clock.left() == pytest.approx(20.0)
    assert clock.left() == pytest.approx(10.0)


def test_every_part_estimates_its_time() -> None:
    for part in bench.PARTS.values():
        assert 0 < part.seconds(QUICK) < part.seconds(Effort())
    usual = [part for name, part in bench.PARTS.items() if name not in bench.BY_NAME]
    assert sum(part.seconds(QUICK) for part in usual) < 160
    assert sum(part.seconds(Effort()) for part in usual) < 90 * 60


def test_a_later_search_begins_near_the_last_result() -> None:
    first = ceiling.search_for(ceiling.MAIN[0], 0, [], 1.08)
    assert first.start == ceiling.START_QPS[CPP]
    later = [ceiling.search_for(each, 3, [1000.0], 1.08) for each in ceiling.MAIN]
    assert all(1000 / 1.04 < each.start < 1000 * 1.04 for each in later)
    assert len({each.start for each in later}) == len(later), "else all would try the same rates"


def test_the_json_holds_rows_targets_and_no_nan(tmp_path: Path) -> None:
    plain = ratios.row(("busy", "c", "v"), "ms", [1.0, 2.0, 3.0])
    unmet = Verdict(Target("busy", "c", "w", "median", "≤", 1.0), math.nan)
    report.write(tmp_path / "bench.json", report.Account({"runs": 3}, [plain], [unmet]))
    read = json.loads((tmp_path / "bench.json").read_text(), parse_constant=pytest.fail)
    assert read["runs"] == 3
    assert read["rows"][0]["values"] == [1.0, 2.0, 3.0]
    assert read["rows"][0]["ratio"] is None
    assert read["targets"][0] == {
        "part": "busy",
        "case": "c",
        "variant": "w",
        "figure": "median",
        "bound": "≤",
        "value": 1.0,
        "measured": None,
        "met": False,
    }


@pytest.mark.parametrize(
    ("value", "text"), [(1_234_567.0, "1.23 M"), (45_600.0, "45.6 k"), (0.1234, "0.123"), (-2.5, "-2.5"), (0.0, "0")]
)
def test_figures_have_three_digits(value: float, text: str) -> None:
    assert report.figure(value) == text


def test_markdown_has_a_table_for_every_case(tmp_path: Path) -> None:
    rows = [row("busy", "c", "v", 2.0), row("busy", "d", "v", 3.0)]
    report.markdown(tmp_path / "bench.md", [busy.PART], rows)
    text = (tmp_path / "bench.md").read_text(encoding="utf-8")
    assert text.count("|---|") == 2
    assert "| v | 2 | 2–2 | 2 | 2–2 | 1 |" in text


def test_the_picture_shows_what_was_measured_and_ratios_of_models() -> None:
    rows = [row("offline", "batch 4096", "C++ queue", 2.0), row("busy", "c", "bridge, thread", 3.0)]
    rows += [row("models", "m", "bridge", 0.5), ratios.row(("models", "m", "bridge's bare loop"), "samples/s", [9.0])]
    found = plot.panels(rows)
    assert [[bar.label for bar in panel.bars] for panel in found] == [
        ["C++ queue"],
        ["bridge, thread: c"],
        ["m: bridge"],
    ]
    assert found[0].bars[0].colour != found[1].bars[0].colour == found[2].bars[0].colour


@pytest.mark.parametrize(("values", "wanted"), [((1.0, 19.0), False), ((1.0, 21.0), True), ((-1.0, 100.0), False)])
def test_an_axis_is_logarithmic_where_the_spread_is_large(values: tuple[float, ...], wanted: bool) -> None:
    assert plot.wide(values) == wanted


def test_variants_have_names_of_their_own() -> None:
    found = [each for each in vars(variants).values() if isinstance(each, Variant)]
    assert len({each.name for each in found}) == len(found) >= 11


def test_generation_counts_first_tokens_of_requests_that_need_not_wait() -> None:
    samples = np.zeros(4, dtype=DTYPE)
    samples["issued"], samples["tokens"] = 1_000_000_000, 3
    samples["first_token"] = samples["issued"] + [900_000_000, 100_000_000, 300_000_000, 800_000_000]
    samples["done"] = samples["first_token"] + 20_000_000
    found = generation.figures(samples, 2)
    assert found["TTFT"] == pytest.approx(200.0)
    assert found["TPOT"] == pytest.approx(10.0)
    assert found["tokens/s"] == pytest.approx(12 / 0.92)


def test_generation_states_what_http_adds() -> None:
    table = {generation.IN_PROCESS.name: {1: 10.0, 2: 12.0}, generation.OVER_HTTP.name: {1: 11.0, 2: 13.0}}
    found = {each.key[1:]: each for each in generation.compared(4, {"TTFT": table, "tokens/s": table})}
    assert found["4 in flight: TTFT, added by HTTP", generation.OVER_HTTP.name].median == pytest.approx(1.0)
    assert found["4 in flight: tokens/s", generation.OVER_HTTP.name].ratio == pytest.approx((1.1 + 13 / 12) / 2)
    assert ("4 in flight: tokens/s, added by HTTP", generation.OVER_HTTP.name) not in found


@pytest.mark.parametrize("kind", [client.OURS, client.BARE])
def test_a_client_of_the_echo_server_is_measured(kind: str) -> None:
    session = bench.Session(QUICK, Path("unused"), Path("unused"), lambda what, left: None)
    with client.echo("--ttft-ms", "2") as url:
        found = client.ask(session, kind, url, 4)
    assert 0 < found["requests/s"] < 4 / 0.002 and found["cpu_us"] > 0
    assert kind == client.BARE or found["added TTFT p50"] > 0

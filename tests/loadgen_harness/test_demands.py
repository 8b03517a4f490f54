"""What `lgh plan` says: the runs of a round, their least time, inferred results, needs, and the plan it writes."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from audit import needs
from loadgen_harness import cli, demands, doomed, expectations, plan, plan_text, planning, registry, rounds, settings
from loadgen_harness.demands import Wish
from loadgen_harness.errors import BadInput, UnknownName
from loadgen_harness.types import Scenario
from tests.audit import official

RESNET_KINDS = ["performance", "accuracy", "TEST01", "TEST04"]


def wish(name: str, division: str = "closed", suite: str = "edge", *, round_: str = "v6.1", more: str = "") -> Wish:
    return demands.wish_of(round_, division, suite, benchmarks=[name], scenarios=more.split())


def kinds(asked: Wish) -> list[str]:
    return [f"{each.scenario}/{each.kind}" for each in demands.demands(asked)]


def test_closed_edge_resnet50_is_twelve_runs_of_which_nine_last_ten_minutes() -> None:
    asked = wish("resnet")  # as the checker names it
    found = demands.demands(asked)
    assert asked.benchmarks == ("resnet50",)
    assert kinds(asked) == [f"{s}/{k}" for s in ("SingleStream", "MultiStream", "Offline") for k in RESNET_KINDS]
    assert Counter(each.least_s for each in found) == {600: 9, 0: 3}
    assert all(each.open_end == (each.kind == "accuracy") for each in found)
    assert {each.samples for each in found if each.kind == "accuracy"} == {50_000}
    assert {each.ours for each in found} == {"synthetic"}


def test_an_expected_speed_gives_the_rest_of_the_time() -> None:
    asked = replace(wish("resnet50"), expected=expectations.read(["resnet50/SingleStream=20ms", "100/s"]))
    found = {f"{each.scenario}/{each.kind}": each for each in demands.demands(asked)}
    assert found["SingleStream/accuracy"].least_s == pytest.approx(50_000 * 0.02)
    assert found["SingleStream/performance"].least_s == 600
    assert found["MultiStream/performance"].least_s == 600  # 662 queries of 80 ms are 53 s
    assert found["Offline/performance"].least_s == pytest.approx(660)  # LoadGen issues a tenth more
    assert not any(each.open_end for each in found.values())
    slow = replace(asked, expected=expectations.read(["10/s"]))
    seconds = {round(each.least_s, 3) for each in demands.demands(slow) if each.kind == "performance"}
    assert seconds == {600, 2457.6}  # 24,576 samples of Offline


@pytest.mark.parametrize("name", ["llama2-70b-99.9", "deepseek-r1", "resnet50"])
def test_a_server_asks_as_many_queries_as_early_stopping_needs(name: str) -> None:
    asked = wish(name, suite="datacenter,edge" if name == "resnet50" else "datacenter")
    unknown = next(e for e in demands.demands(asked) if e.scenario == "Server" and e.kind == "performance")
    assert (unknown.samples, unknown.least_s) == (459, 600)  # 0.99 ** 459 < 1 % <= 0.99 ** 458
    slow = replace(asked, expected=expectations.read(["0.2/s"]))
    server = next(e for e in demands.demands(slow) if e.scenario == "Server" and e.kind == "performance")
    assert (server.samples, server.least_s) == (459, pytest.approx(2295))


def test_a_slow_server_s_written_plan_asks_for_them(tmp_path: Path) -> None:
    asked = wish("resnet50", suite="datacenter,edge", more="Server")
    for rate, least in (("0.5/s", {"min_query_count": 459}), ("100/s", {})):
        expected = replace(asked, expected=expectations.read([rate]))
        file = tmp_path / f"{rate[:3]}.toml"
        file.write_text(plan_text.text(expected, ["resnet50"], "x"))
        server = next(job for job in plan.jobs(plan.read(file), tmp_path) if "Server/performance" in job.key)
        assert server.spec.overrides == {"target_qps": float(rate[:-2]), **least}
        made = settings.plan(server.spec, registry.load(registry.BENCHMARKS, "resnet50"), asked.round)
        assert not made.locked and doomed.bar(made.settings).allowed is not None


def test_power_is_two_runs_in_place_of_the_performance_run() -> None:
    found = demands.demands(replace(wish("resnet50"), power=True))
    assert [each.kind for each in found][:5] == ["power ranging", "power testing", *RESNET_KINDS[1:]]
    assert found[0].least_s > 600
    assert len(found) == 15


def test_the_open_division_wants_no_tests_and_takes_any_scenario() -> None:
    assert kinds(wish("resnet50", "open", more="Offline")) == ["Offline/performance", "Offline/accuracy"]
    with pytest.raises(BadInput, match="not submitted in Interactive: choose from MultiStream, Offline, Server"):
        kinds(wish("resnet50", "open", more="Interactive"))
    assert "no scenario" in demands.choices(wish("resnet50", "open"), "resnet50")[0]


def test_other_suites_and_divisions() -> None:
    assert "Server/TEST04" in kinds(wish("resnet50", suite="datacenter,edge"))
    either = wish("llama2-70b-99.9", suite="datacenter")
    assert kinds(either) == [f"{s}/{k}" for s in ("Server", "Offline") for k in ("performance", "accuracy", "TEST06")]
    other = wish("llama2-70b-99.9", suite="datacenter", more="Interactive")
    assert {each.scenario for each in demands.demands(other)} == {Scenario.INTERACTIVE, Scenario.OFFLINE}
    assert {each.ours for each in demands.demands(either)} == {"no"}
    with pytest.raises(BadInput, match="datacenter suite alone"):
        demands.demands(wish("rgat", "network"))
    with pytest.raises(BadInput, match=r"not in the datacenter suite of v6\.1: choose --suite edge"):
        demands.demands(wish("resnet50", suite="datacenter"))
    with pytest.raises(BadInput, match="not submitted in Server"):
        demands.demands(wish("resnet50", more="Server"))
    with pytest.raises(UnknownName, match="did you mean"):
        wish("resnet5")


def test_mini_wants_accuracy_and_tests_once() -> None:
    found = kinds(wish("digits", round_="mini"))
    assert found[-4:] == [f"Offline/{kind}" for kind in RESNET_KINDS]
    assert sum("accuracy" in each for each in found) == 1


@pytest.mark.parametrize("name", ["v5.1", "v6.0", "v6.1"])
def test_every_benchmark_of_a_round_has_a_plan_wherever_it_has_a_suite(name: str) -> None:
    own = rounds.load(rounds.OWN).benchmarks
    round_ = rounds.load(name)
    for benchmark, rules in round_.benchmarks.items():
        for suite in rules.suites if benchmark not in own else ():
            asked = demands.wish_of(name, "closed", suite, benchmarks=[benchmark])
            found = demands.demands(asked)
            assert {each.scenario for each in found} >= set(rules.suites[suite].required)
            assert planning.record(asked, found)["least_s"] >= 0


def test_inferred_results_with_rule_and_figure() -> None:
    asked = replace(wish("resnet50"), expected=expectations.read(["resnet50/SingleStream=20ms"]))
    found = {(each.source, each.scenario): each for each in demands.inferences(asked)}
    assert set(found) == {("SingleStream", "MultiStream"), ("SingleStream", "Offline"), ("MultiStream", "Offline")}
    assert found["SingleStream", "Offline"].figure == "about 50 samples/s"
    assert found["SingleStream", "MultiStream"].figure == "at least 160 ms"
    assert found["MultiStream", "Offline"].figure == ""
    assert all(each.saves_s >= 1800 for each in found.values())
    assert demands.inferences(wish("rgat", suite="datacenter")) == []
    assert demands.inferences(wish("wan-2.2-t2v-a14b", suite="datacenter,edge")) == []  # the edge suite lacks it
    assert [each.benchmark for each in demands.inferences(wish("3d-unet-99.9", suite="datacenter"))] == ["3d-unet-99"]


@pytest.mark.parametrize("text", ["fast", "resnet50=", "resnet50=0/s", "=-3ms", "3", "1e999/s", "--3/s"])
def test_expectations_that_are_none(text: str) -> None:
    with pytest.raises(BadInput, match="cannot be read"):
        expectations.read([text])


def test_needs_are_known_or_unknown_and_never_guessed() -> None:
    assert needs.of("rgat").memory_gb == 768
    assert needs.of("bert-99.9") == needs.of("bert-99")
    assert needs.size(needs.of("whisper").disk_gb) == "unknown"
    assert needs.of("digits").source == ""
    known = {name for each in rounds.official() for name in rounds.load(each).benchmarks}
    assert {name for name in needs._tables() if not name.endswith("source")} <= known


def test_bandwidth_is_the_appendix_formula() -> None:
    assert needs.bandwidth("resnet50", 1000, 1).ingress == 150_528_000
    assert needs.bandwidth("resnet50", 1000, 1).egress == 0
    assert needs.bandwidth("dlrm-v3", 10, 4).ingress == 983_680  # bytes whatever the type
    assert needs.bandwidth("whisper", 10, 4).ingress is None


def test_the_plan_that_is_written_runs_what_the_rules_demand(tmp_path: Path) -> None:
    asked = demands.wish_of("v6.1", "closed", "edge", benchmarks=["resnet50", "bert-99"])
    asked = replace(asked, expected=expectations.read(["resnet50/Offline=4800/s", "resnet50/SingleStream=2ms"]))
    file = tmp_path / "plan \u00e9.toml"
    assert plan_text.write(file, asked) == ("resnet50",)
    read = plan.read(file)
    jobs = plan.jobs(read, tmp_path)
    demanded = [e for e in demands.demands(asked) if e.benchmark == "resnet50"]
    assert [job.key for job in jobs] == [f"resnet50/{e.scenario}/{e.kind}" for e in demanded]
    assert jobs[0].spec.overrides == {"target_latency": 2}
    assert jobs[-1].spec.overrides == {"target_qps": 4800}
    assert read.submission["system_type"] == "edge"
    with pytest.raises(BadInput, match="never overwritten"):
        plan_text.write(file, asked)
    with pytest.raises(BadInput, match="No such file or directory"):
        plan_text.write(tmp_path / "gone" / "plan.toml", asked)
    with pytest.raises(BadInput, match="implements none"):
        plan_text.write(tmp_path / "none.toml", wish("bert-99"))
    assert sorted(path.name for path in tmp_path.iterdir()) == [file.name]


def test_a_server_without_a_rate_is_asked_for_one(tmp_path: Path) -> None:
    text = plan_text.text(wish("resnet50", suite="datacenter,edge"), ["resnet50"], "x")
    assert "target_qps" in text
    (tmp_path / "x.toml").write_text(text)
    assert len(plan.jobs(plan.read(tmp_path / "x.toml"), tmp_path)) == 16


def test_the_verb(capsys: pytest.CaptureFixture[str]) -> None:
    words = "plan --benchmark llama2-70b-99.9 --suite datacenter --expect 20/s --power --format json"
    args = cli.build().parse_args(words.split())
    args.round = "v6.1"
    assert planning.plan_(args) == 0
    told = json.loads(capsys.readouterr().out)
    assert [each["kind"] for each in told["runs"]][:2] == ["power ranging", "power testing"]
    assert told["needs"]["llama2-70b-99.9"]["disk_gb"] == 900
    assert any("ingress >= 0.0819 MB/s" in line for line in told["remarks"])
    args.format, args.round = "text", ""
    assert planning.plan_(args) == 0
    shown = capsys.readouterr().out
    assert "one after another" in shown
    assert "power ranging" in shown


# What rules and checker demand in v6.1: (required, one of) in datacenter and in edge; then the compliance tests.
TEXTS = {"Server", "Interactive"}
SINGLE, MULTI, OFFLINE = "SingleStream", "MultiStream", "Offline"
STREAMS = {SINGLE, MULTI, OFFLINE}
DEMANDED: dict[str, tuple[tuple[set[str], set[str]] | None, tuple[set[str], set[str]] | None, set[str]]] = {
    "resnet50": (None, (STREAMS, set()), {"TEST01", "TEST04"}),
    "bert-99": (None, ({SINGLE, OFFLINE}, set()), {"TEST01"}),
    "bert-99.9": (None, ({SINGLE, OFFLINE}, set()), {"TEST01"}),
    "3d-unet-99": (({OFFLINE}, set()), ({SINGLE, OFFLINE}, set()), {"TEST01"}),
    "3d-unet-99.9": (({OFFLINE}, set()), ({SINGLE, OFFLINE}, set()), {"TEST01"}),
    "llama3.1-8b": (({OFFLINE}, TEXTS), None, {"TEST06"}),
    "llama3.1-8b-edge": (None, ({SINGLE, OFFLINE}, set()), set()),
    "llama2-70b-99.9": (({OFFLINE}, TEXTS), None, {"TEST06"}),
    "stable-diffusion-xl": (None, ({SINGLE, OFFLINE}, set()), {"TEST01", "TEST04"}),
    "rgat": (({OFFLINE}, set()), None, {"TEST01"}),
    "deepseek-r1": (({OFFLINE}, TEXTS), None, {"TEST06"}),
    "whisper": (({OFFLINE}, set()), ({OFFLINE}, set()), {"TEST01"}),
    "gpt-oss-120b": (({OFFLINE}, TEXTS), None, {"TEST07", "TEST09"}),
    "wan-2.2-t2v-a14b": (({SINGLE, OFFLINE}, set()), None, {"TEST04"}),
    "qwen3-vl-235b-a22b": (({OFFLINE}, TEXTS), None, set()),
    "qwen3.6-27b": (None, ({SINGLE}, set()), set()),
    "dlrm-v3": (({"Server", OFFLINE}, set()), None, {"TEST08"}),
    "yolo-95": (None, (STREAMS, set()), {"TEST01"}),
    "yolo-99": (None, (STREAMS, set()), {"TEST01"}),
    "e2e-rag-qna": (({OFFLINE}, set()), None, {"TEST09"}),
    "e2e-rag-db": (({OFFLINE}, set()), None, set()),
}
BOTH_BESIDES = {"resnet50": {"Server"}, "stable-diffusion-xl": {"Server"}}  # of datacenter,edge


def demanded(name: str, division: str, suite: str, *, power: bool = False) -> set[str]:
    """Scenario/kind of every run of a plan."""
    found = demands.demands(replace(wish(name, division, suite), power=power))
    assert len({(each.scenario, each.kind) for each in found}) == len(found)
    return {f"{each.scenario}/{each.kind}" for each in found}


def wanted(scenarios: set[str], kinds: set[str]) -> set[str]:
    return {f"{scenario}/{kind}" for scenario in scenarios for kind in kinds}


def test_the_table_has_every_benchmark_of_the_round() -> None:
    own = rounds.load(rounds.OWN).benchmarks
    assert {*DEMANDED} == {*rounds.load("v6.1").benchmarks} - {*own}


@pytest.mark.parametrize("name", DEMANDED)
def test_every_benchmark_of_v6_1_has_the_runs_that_the_rules_demand(name: str) -> None:
    datacenter, edge, tests = DEMANDED[name]
    for suite, asked in (("datacenter", datacenter), ("edge", edge)):
        if asked is None:
            with pytest.raises(BadInput, match="is not in the"):
                demanded(name, "closed", suite)
            continue
        required, either = asked
        scenarios = required | ({"Server"} if either else set())
        assert demanded(name, "closed", suite) == wanted(scenarios, {"performance", "accuracy", *tests})
        sessions = {"power ranging", "power testing", "accuracy", *tests}
        assert demanded(name, "closed", suite, power=True) == wanted(scenarios, sessions)
        assert demanded(name, "open", suite) == wanted(required, {"performance", "accuracy"})
        if suite == "datacenter":
            assert demanded(name, "network", suite) == demanded(name, "closed", suite)
    parts = [each for each in (datacenter, edge) if each]
    both = {scenario for required, _ in parts for scenario in required} | BOTH_BESIDES.get(name, set())
    both |= {"Server"} if any(either for _, either in parts) else set()
    assert demanded(name, "closed", "datacenter,edge") == wanted(both, {"performance", "accuracy", *tests})


def test_the_checkers_constants_demand_the_same() -> None:
    source = official.of(rounds.load("v6.1"))
    config, aliases = source.model_config, rounds.load("v6.1").aliases
    listed = {key.removeprefix("models_"): names for key, names in config.items() if key.startswith("models_")}
    for name, (datacenter, edge, tests) in DEMANDED.items():
        checker = aliases.get(name, name)
        assert {test for test, names in listed.items() if checker in names} == tests, name
        for suite, asked in (("datacenter", datacenter), ("edge", edge)):
            required = config[f"required-scenarios-{suite}"].get(checker)
            optional = config[f"optional-scenarios-{suite}"].get(checker, [])
            assert (required is None) == (asked is None), (name, suite)
            assert asked is None or ({*required}, {*optional}) == asked, (name, suite)
        both = config["required-scenarios-datacenter-edge"].get(checker)
        besides = BOTH_BESIDES.get(name, set())
        halves = {s for each in (datacenter, edge) if each for s in each[0]}
        assert both is None or {*both} == halves | besides, name


@pytest.mark.parametrize("name", DEMANDED)
def test_a_size_that_is_unknown_has_a_reason(name: str) -> None:
    need = needs.of(name)
    assert need.source and need.data
    for value, word in (
        (need.data_gb, "data set"), (need.model_gb, "model"), (need.disk_gb, "disk"), (need.memory_gb, "memory"),
        (need.accelerator_gb, "accelerator"),
    ):  # fmt: skip
        assert value is not None or word in need.unknown, word

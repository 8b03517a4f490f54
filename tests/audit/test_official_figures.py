"""Every figure of the round files against the official sources at the file's own commit, but for those noted there."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import pytest

from loadgen_harness import rounds
from loadgen_harness.types import Round, Rules, Scenario
from tests.audit import official
from tests.audit.official import LATEST, Official

ROUNDS = ("v5.0", "v5.1", "v6.0", "v6.1")
CLOSE = 1e-9


class Figure(NamedTuple):
    """One figure of a benchmark: where it stands, what we say, what each official source says (None: nothing)."""

    key: str
    ours: Any
    checker: Any = None
    mlperf_conf: Any = None
    audit_config: Any = None


@pytest.fixture(scope="module", params=ROUNDS)
def round_(request: pytest.FixtureRequest) -> Round:
    return rounds.load(str(request.param))


@pytest.fixture(scope="module")
def source(round_: Round) -> Official:
    found = official.of(round_)
    assert found.model_config
    return found


def own(round_: Round) -> Iterator[tuple[str, str, Rules]]:
    """(our name, the checker's name, rules) of the official benchmarks."""
    for name, rules in round_.benchmarks.items():
        if name not in rounds.load(rounds.OWN).benchmarks:
            yield name, rules.checker_name or name, rules


def test_the_round_has_every_benchmark(round_: Round, source: Official) -> None:
    assert [name for _, name, _ in own(round_)] == source.model_config["models"]
    known = source.model_config["models"]
    assert round_.aliases == {a: b for a, b in source.model_config["model_mapping"].items() if b in known}


def test_the_seeds_are_the_checkers_and_loadgens(round_: Round, source: Official) -> None:
    for name in ("qsl", "sample_index", "schedule"):
        ours = getattr(round_.seeds, name)
        assert ours == source.model_config["seeds"][f"{name}_rng_seed"] == source.conf("*", "*", f"{name}_rng_seed")


def test_every_figure_is_official_or_noted(round_: Round, source: Official) -> None:
    wrong = []
    for name, checker_name, rules in own(round_):
        for figure in figures(round_, rules, (source, checker_name)):
            noted = rules.disagreement(figure.key) or next(
                (each for each in round_.disagreements if each.key == figure.key), None
            )
            for kind in ("checker", "mlperf_conf", "audit_config"):
                said, stated = getattr(figure, kind), getattr(noted, kind, None)
                if said is None or same(said, figure.ours):
                    continue
                if stated is None or not same(said, stated):
                    wrong.append(f"{name} {figure.key}: {figure.ours}, {kind} says {said}, noted {stated}")
    assert not wrong, "\n".join(wrong)


def test_what_is_noted_is_what_the_sources_say(round_: Round, source: Official) -> None:
    """No disagreement is noted where there is none, and none with figures that nobody states."""
    wrong = []
    for name, checker_name, rules in own(round_):
        known = {figure.key: figure for figure in figures(round_, rules, (source, checker_name))}
        for noted in rules.disagreements:
            figure = known.get(noted.key)
            values = [noted.rules, noted.checker, noted.mlperf_conf, noted.audit_config]
            stated = [each for each in values if each is not None]
            differs = any(not same(each, figure.ours) for each in stated) if figure else True
            if not noted.note or not stated or not differs:
                wrong.append(f"{name} {noted.key}: nobody differs")
            for kind in ("checker", "mlperf_conf", "audit_config"):
                said, claimed = getattr(figure, kind, None), getattr(noted, kind)
                if isinstance(claimed, int | float) and said is not None and not same(said, claimed):
                    wrong.append(f"{name} {noted.key}: noted {kind} {claimed}, it says {said}")
    assert not wrong, "\n".join(wrong)


def figures(round_: Round, rules: Rules, where: tuple[Official, str]) -> Iterator[Figure]:
    yield from accuracy(rules, where)
    yield from counts(rules, where)
    for scenario in rules.limits:
        yield from scenario_figures(rules, scenario, where)
        yield from result(rules, scenario, where)
    yield from suites(rules, where)
    yield from tests(round_, rules, where)


def accuracy(rules: Rules, where: tuple[Official, str]) -> Iterator[Figure]:
    config = where[0].model_config
    targets = config["accuracy-target"][where[1]]
    tables = targets if isinstance(targets, dict) else {"": targets}
    for target in rules.targets:
        for scenario in [each.value for each in target.scenarios] or list(tables):
            official_ones = pairs(tables.get(scenario, ()))
            if target.metric in official_ones:
                yield Figure(f"accuracy.{target.metric}", target.target, official_ones[target.metric])
    stated = {target.metric for target in rules.targets}
    uppers = pairs(config["accuracy-upper-limit"].get(where[1], ()))
    assert stated == {metric for table in tables.values() for metric in pairs(table)} | uppers.keys()
    for target in rules.targets:
        yield Figure(f"accuracy.{target.metric}.upper", target.upper or 0, uppers.get(target.metric, 0))


def counts(rules: Rules, where: tuple[Official, str]) -> Iterator[Figure]:
    source, name = where
    one = next(iter(rules.limits.values()))
    conf = source.conf(rules.model_names[""], "*", "performance_sample_count_override") or None
    checker = source.model_config["performance-sample-count"][name]
    yield Figure("performance_sample_count", one.performance_sample_count, checker, conf)
    for key, flag, setting in (
        ("equal_issue", one.equal_issue, "sample_concatenate_permutation"),
        ("token_latencies", one.token_latencies, "use_token_latencies"),
    ):
        yield Figure(key, flag, mlperf_conf=bool(source.conf(rules.model_names[""], "*", setting)))
    config = source.model_config if "dataset-size" in source.model_config else later(source).model_config
    for scenario, limits in rules.limits.items():
        count = config.get("accuracy-sample-count", {}).get(name, config["dataset-size"][name])
        count = count[scenario.value] if isinstance(count, dict) else count
        yield Figure(f"{scenario}.accuracy_sample_count", limits.accuracy_sample_count, count)


def scenario_figures(rules: Rules, scenario: Scenario, where: tuple[Official, str]) -> Iterator[Figure]:
    source, name = where
    limits, config, constants = rules.limits[scenario], source.model_config, source.constants
    model = rules.model_names.get(scenario.value, rules.model_names[""])
    where_conf = (model, scenario.loadgen)
    yield Figure(
        f"{scenario}.min_duration_ms", limits.min_duration_ms, mlperf_conf=source.conf(*where_conf, "min_duration")
    )
    queries = source.conf(*where_conf, "min_query_count")
    if scenario is Scenario.OFFLINE:
        least = constants["OFFLINE_MIN_SPQ_SINCE_V4"][name]
        yield Figure("Offline.min_query_count", limits.min_query_count, least, queries)
        return
    least = config["min-queries"][name].get(scenario.loadgen)
    yield Figure(f"{scenario.loadgen}.min_query_count", limits.min_query_count, least, queries)
    percentile = (source.conf(*where_conf, "target_latency_percentile") or 0) / 100
    yield Figure(f"{scenario}.percentile", limits.percentile, mlperf_conf=percentile)
    width = source.conf(*where_conf, "samples_per_query")
    yield Figure(f"{scenario}.samples_per_query", limits.samples_per_query, mlperf_conf=width)
    if scenario.loadgen != "Server":
        return
    tokens = constants["LLM_LATENCY_LIMITS"].get(name, {})
    tokens = tokens.get(scenario.value, tokens if "ttft" in tokens else {})
    for limit in ("ttft", "tpot"):
        said = tokens[limit] / 1e6 if limit in tokens else None
        conf = source.conf(*where_conf, f"{limit}_latency")
        yield Figure(f"{scenario}.{limit}_ms", getattr(limits, f"{limit}_ms"), said, conf)
    if not tokens:  # of token benchmarks the checker's own end-to-end limit binds nothing, which the round notes
        said = config["latency-constraint"][name][scenario.value] / 1e6
        conf = source.conf(*where_conf, "target_latency")
        yield Figure(f"{scenario}.target_latency_ms", limits.target_latency_ms, said, conf)


def result(rules: Rules, scenario: Scenario, where: tuple[Official, str]) -> Iterator[Figure]:
    source, name = where
    special = source.constants["RESULT_FIELD_BENCHMARK_OVERWRITE"].get(source.round, {}).get(name, {})
    general = source.constants["RESULT_FIELD_NEW"][source.round]
    field = rules.results[scenario]
    yield Figure(f"results.{scenario}.key", field.key, special.get(scenario.loadgen, general[scenario.loadgen]))
    if "UNIT_DICT" in source.constants:
        units = source.constants["SPECIAL_UNIT_DICT"].get(name, {})
        unit = units.get(scenario.value, source.constants["UNIT_DICT"][scenario.value])
        yield Figure(f"results.{scenario}", field.unit, unit)


def suites(rules: Rules, where: tuple[Official, str]) -> Iterator[Figure]:
    config, name = where[0].model_config, where[1]
    for kind, key in (("datacenter", "datacenter"), ("edge", "edge"), ("datacenter,edge", "datacenter-edge")):
        required = config[f"required-scenarios-{key}"].get(name)
        optional = config[f"optional-scenarios-{key}"].get(name, [])
        said = (sorted(required), sorted(optional)) if required is not None else ([], [])
        noted = rules.disagreement(f"suites.{kind}")
        if kind == "datacenter,edge" and kind not in rules.suites and noted:
            continue  # the halves stand for it, and the note says what the checker does instead
        whole = [rules.suites[part] for part in (kind, *kind.split(",")) if part in rules.suites]
        chosen = whole[:1] if kind in rules.suites else whole
        ours = tuple(
            sorted({s.value for suite in chosen for s in getattr(suite, part)}) for part in ("required", "optional")
        )
        yield Figure(f"suites.{kind}", ours, said)


def tests(round_: Round, rules: Rules, where: tuple[Official, str]) -> Iterator[Figure]:
    source, name = where
    listed = source.model_config if "models_TEST01" in source.model_config else later(source).model_config
    said = sorted(
        key.removeprefix("models_") for key in listed if key.startswith("models_TEST") and name in listed[key]
    )
    if listed is source.model_config or not rules.disagreement("tests"):
        yield Figure("tests", sorted(rules.tests), said)
    for test in rules.tests:
        yield from test_settings(rules, test, source)


def test_settings(rules: Rules, test: str, source: Official) -> Iterator[Figure]:
    ours = rules.test_settings.get(test, {})
    names = {f"{test.lower()}_{key}": key for key in ("accuracy_threshold", "min_output_tokens", "max_output_tokens")}
    for key, value in source.audit_config(test, rules.model_names[""]).items():
        model, _, setting = key.split(".", 2)
        setting = names.get(setting, setting)
        if model == "*" and setting in ours:
            yield Figure(f"test_settings.{test}.{setting}", ours[setting], audit_config=value)
        elif model == rules.model_names[""]:
            yield Figure(f"test_settings.{test}.{setting}", ours.get(setting), audit_config=value)
        elif model == "*" and test not in ("TEST04",):
            assert setting in ("mode", "accuracy_log_rng_seed"), (test, key)


test_settings.__test__ = tests.__test__ = False  # type: ignore[attr-defined]


@functools.cache
def later(source: Official) -> Official:
    """Today's checker, whose table of an old round has what the round's own checker kept in its code."""
    return Official(source.path, LATEST, source.round)


def pairs(flat: Any) -> Mapping[str, float]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


def same(one: Any, other: Any) -> bool:
    if isinstance(one, int | float) and isinstance(other, int | float):
        return abs(one - other) <= CLOSE * max(1.0, abs(one))
    return bool(one == other)

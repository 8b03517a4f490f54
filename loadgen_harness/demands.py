"""Every run that a round's rules demand of benchmarks, with the least time that each takes: what `lgh plan` shows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from audit import known
from audit.compliance._settings import merged
from loadgen_harness import expectations, metrics, registry, rounds
from loadgen_harness.errors import BadInput, UnknownName
from loadgen_harness.expectations import Expectation, Expectations
from loadgen_harness.types import Benchmark, Division, Limits, Round, Rules, Scenario, SystemType
from submissions.inferred import INFERENCES
from submissions.suite import suites_of

OFFLINE_MARGIN = 1.1  # LoadGen issues this many times the samples of the minimum duration
POWER_SESSION_S = 20.0  # what the official client and server wait around each of the two runs
PERFORMANCE, ACCURACY, RANGING, TESTING = "performance", "accuracy", "power ranging", "power testing"
CLAUSES = {
    PERFORMANCE: "inference_rules.adoc, Scenarios",
    ACCURACY: "inference_rules.adoc, LoadGen Operation",
    RANGING: "power_measurement.adoc, Power Measurement Flow: dynamic ranging",
    TESTING: "power_measurement.adoc, Power and Performance Measurement and Reporting: it is the performance run too",
}
TEST_CLAUSE = "mlcommons/inference, compliance/{}"
INFERRED_CLAUSE = "inference_rules.adoc, Constraints for the Closed division: inferred results"


@dataclass(frozen=True)
class Wish:
    """What is to be submitted; no scenarios means all that the suite requires."""

    round: Round
    division: Division
    suite: str
    benchmarks: tuple[str, ...]
    scenarios: tuple[Scenario, ...] = ()
    power: bool = False
    expected: Expectations = field(default_factory=dict)


@dataclass(frozen=True)
class Demand:
    """One run that the rules demand: `least_s` by rule and expectation, `samples` that it answers at least.

    `open_end` says that nobody knows how long it takes, since its duration follows from a speed that was not given.
    `ours` is how far this suite carries it out: yes, synthetic, no.
    """

    benchmark: str
    scenario: Scenario
    kind: str
    least_s: float
    samples: int
    open_end: bool
    clause: str
    ours: str


@dataclass(frozen=True)
class Inference:
    """A result that need not be measured: from which, by which rule, and its figure where a speed is expected."""

    benchmark: str
    scenario: str
    source: str
    rule: str
    figure: str = ""
    saves_s: float = 0.0


def name_of(round_: Round, name: str) -> str:
    """A benchmark's name in the round, from that, the checker's or an alias; raises UnknownName."""
    if name in round_.benchmarks:
        return name
    checker = round_.aliases.get(name, name)
    official = known.benchmarks(round_)
    if checker in official:
        return official[checker].name
    raise UnknownName(f"benchmark in round {round_.name}", name, {*round_.benchmarks, *official})


def demands(wish: Wish) -> list[Demand]:
    """Every run in order: per benchmark and scenario performance (or both runs of a power session), accuracy, tests."""
    _sane(wish)
    return [
        demand
        for name in wish.benchmarks
        for scenario in scenarios_of(wish, name)
        for demand in _of_scenario(wish, name, scenario)
    ]


def _sane(wish: Wish) -> None:
    """Raise BadInput for what no division allows."""
    if wish.division is Division.NETWORK and SystemType.EDGE.value in wish.suite:
        raise BadInput(
            "the network division has the datacenter suite alone (inference_rules.adoc, Network Division): "
            "choose --suite datacenter."
        )


def scenarios_of(wish: Wish, name: str) -> list[Scenario]:
    """The scenarios to run: those asked for, else the required ones and one of each choice (Server where it is one).

    Raises BadInput where the suite does not have the benchmark, or the division does not allow to leave one out.
    """
    rules = wish.round.rules(name)
    suites = suites_of(wish.suite, rules)
    if not suites:
        raise BadInput(f"{name} is not in the {wish.suite} suite of {wish.round.name}: {_where(rules)}.")
    required = list(dict.fromkeys(s for each in suites for s in each.required))
    either = [each.any_of for each in suites if each.any_of]
    possible = {*required, *(s for each in suites for s in (*each.optional, *each.any_of))}
    chosen = [s for s in wish.scenarios if s in possible]
    allowed = rules.limits if wish.division is Division.OPEN else possible
    if beyond := [s for s in wish.scenarios if s not in allowed]:
        raise BadInput(f"{name} is not submitted in {beyond[0]}: choose from {', '.join(sorted(allowed))}.")
    if wish.division is Division.OPEN:
        return list(wish.scenarios) or required or [either[0][0]]
    extra = [_preferred(each) for each in either if not set(each) & {*required, *chosen}]
    wanted = {*required, *extra, *chosen}
    return [scenario for scenario in Scenario if scenario in wanted]


def choices(wish: Wish, name: str) -> list[str]:
    """Sentences on scenarios between which the submitter may choose."""
    if wish.division is Division.OPEN:
        return [f"{name}: the open division requires no scenario; those of the suite are shown (--scenario chooses)"]
    suites = suites_of(wish.suite, wish.round.rules(name))
    either = {" or ".join(each.any_of) for each in suites if each.any_of}
    more = {s.value for each in suites for s in (*each.optional, *each.any_of)} - set(scenarios_of(wish, name))
    said = [f"{name}: {words} suffices" for words in sorted(either)]
    return said + [f"{name}: {scenario} may be added with --scenario {scenario}" for scenario in sorted(more)]


def _preferred(either: Sequence[Scenario]) -> Scenario:
    return Scenario.SERVER if Scenario.SERVER in either else either[0]


def _where(rules: Rules) -> str:
    return f"choose --suite {' or '.join(rules.suites)}" if rules.suites else "no suite has it"


def _of_scenario(wish: Wish, name: str, scenario: Scenario) -> Iterator[Demand]:
    rules, limits = wish.round.rules(name), wish.round.limits(name, scenario)
    expected = expectations.of(wish.expected, name, scenario)
    tests = registry.names(registry.TESTS) if rules.tests else []
    ours = "no" if wish.division is Division.NETWORK else implemented(name)  # it has no Query Dispatch Library

    def demand(kind: str, least_s: float, samples: int, *, timed: bool = True) -> Demand:
        untimed = not timed and not expected.samples_per_s
        clause = CLAUSES.get(kind, TEST_CLAUSE.format(kind))
        able = "no" if kind.startswith("TEST") and kind.lower() not in tests else ours
        return Demand(name, scenario, kind, least_s, samples, untimed, clause, able)

    least, count = performance_s(limits, scenario, expected), samples_of(limits, scenario, expected)
    if wish.power:
        for kind in (RANGING, TESTING):
            yield demand(kind, least + POWER_SESSION_S, count)
    else:
        yield demand(PERFORMANCE, least, count)
    if wish.round.accuracy_scenarios and scenario not in wish.round.accuracy_scenarios:
        return
    whole = limits.accuracy_sample_count
    yield demand(ACCURACY, whole * expected.sample_s(scenario), whole, timed=False)
    for test in () if wish.division is Division.OPEN else rules.tests:
        own = merged(test, rules)
        if "min_duration" not in own:
            yield demand(test, least, count)
        else:
            few = int(own.get("min_query_count", 0))
            yield demand(test, few * expected.query_s(scenario), few, timed=False)


def least_queries(limits: Limits, scenario: Scenario) -> int:
    """Queries of a valid performance run at least: the round's, and of a Server what early stopping cannot do without.

    The rounds' own counts of the other scenarios hold that already (inference_rules.adoc, Early Stopping Criterion).
    """
    if scenario.loadgen != "Server" or not 0 < limits.percentile < 1:
        return limits.min_query_count
    return max(limits.min_query_count, metrics.early_stopping_minimum(0, limits.percentile))


def performance_s(limits: Limits, scenario: Scenario, expected: Expectation) -> float:
    """The least seconds of a valid performance run: the rules' minimum, or what the fewest queries take."""
    least = limits.min_duration_ms / 1000
    if scenario is Scenario.OFFLINE:
        margin = OFFLINE_MARGIN if expected.samples_per_s else 1.0
        return max(margin * least, limits.min_query_count * expected.sample_s(scenario))
    each = 1 / expected.rate if scenario.loadgen == "Server" and expected.rate else expected.query_s(scenario)
    return max(least, least_queries(limits, scenario) * each)


def samples_of(limits: Limits, scenario: Scenario, expected: Expectation) -> int:
    """Samples of a performance run at least: as many as its duration takes at the expected speed."""
    width = limits.samples_per_query if scenario is Scenario.MULTI_STREAM and limits.samples_per_query else 1
    by_time = performance_s(limits, scenario, expected) * expected.samples_per_s
    if scenario is Scenario.MULTI_STREAM and expected.latency_s:
        by_time *= width
    return max(least_queries(limits, scenario) * width, 1, int(by_time))


def implemented(name: str) -> str:
    """Whether this suite can carry out a benchmark's runs: yes, synthetic (without its real data), or no."""
    if name not in registry.names(registry.BENCHMARKS):
        return "no"
    benchmark: Benchmark = registry.load(registry.BENCHMARKS, name)
    return "synthetic" if benchmark.synthetic else "yes"


def inferences(wish: Wish) -> list[Inference]:
    """Results that the rules allow to infer instead of measuring them; edge alone, and 99 % from 99.9 % anywhere."""
    if not wish.round.checker_version:
        return []
    found = [each for name in wish.benchmarks for each in _from_scenarios(wish, name)]
    return found + [each for name in wish.benchmarks for each in _from_stricter(wish, name)]


def _from_scenarios(wish: Wish, name: str) -> Iterator[Inference]:
    chosen = scenarios_of(wish, name)
    if SystemType.EDGE.value not in wish.suite or not suites_of(SystemType.EDGE.value, wish.round.rules(name)):
        return
    for (source, scenario), how in INFERENCES.items():
        if scenario in chosen and Scenario(source) in chosen:
            saved = sum(each.least_s for each in _of_scenario(wish, name, scenario))
            expected = expectations.of(wish.expected, name, Scenario(source))
            yield Inference(name, scenario, source, how.words, _figure(Scenario(source), scenario, expected), saved)


def _figure(source: Scenario, scenario: Scenario, expected: Expectation) -> str:
    """About what the inferred result will be; the expected latency stands for mean and tail alike."""
    query_s = expected.query_s(source)
    if not query_s:
        return ""
    if scenario is Scenario.MULTI_STREAM:
        return f"at least {expectations.WIDTH * query_s * 1000:.4g} ms"
    return f"about {1 / expected.sample_s(source):.4g} samples/s"


def _from_stricter(wish: Wish, name: str) -> Iterator[Inference]:
    easier = name.removesuffix(".9")
    if easier == name or easier not in wish.round.benchmarks:
        return
    saved = sum(each.least_s for s in scenarios_of(wish, name) for each in _of_scenario(wish, name, s))
    yield Inference(easier, "each", name, "what reaches 99.9 % of the reference reaches 99 %", saves_s=saved)


def total_s(found: Iterable[Demand]) -> float:
    """Seconds of all runs one after another, those of unknown length counted as nothing."""
    return sum(each.least_s for each in found)


def by_benchmark(found: Iterable[Demand]) -> Mapping[str, list[Demand]]:
    """Demands by benchmark, in order."""
    grouped: dict[str, list[Demand]] = {}
    for each in found:
        grouped.setdefault(each.benchmark, []).append(each)
    return grouped


def wish_of(
    round_name: str, division: str, suite: str, *, benchmarks: Sequence[str], scenarios: Sequence[str] = ()
) -> Wish:
    """A Wish from names; raises UnknownName and BadInput."""
    round_ = rounds.load(round_name)
    names = tuple(dict.fromkeys(name_of(round_, name) for name in benchmarks))
    return Wish(round_, Division(division), suite, names, tuple(Scenario(each) for each in scenarios))

"""A campaign's plan: which runs the round demands of the chosen benchmarks, in order, with the time each takes."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from loadgen_harness import placement, power_table, registry, rounds, settings, tax
from loadgen_harness.errors import BadInput, UnknownName
from loadgen_harness.power_table import PowerTable
from loadgen_harness.types import Benchmark, Division, Round, RunSpec, Scenario, TestMode
from power.session import WAITS_S
from submissions.system import NAME, NETWORK, REQUIRED, SYSTEM_TYPES

MOST_REPEATS = 999
MOST_BYTES = 1 << 24  # of a plan that are read
OVERHEAD_S = 2.5  # starting a process, loading a small model, writing logs
START_S = 3.0  # a run's process, model and warm-up as the official client starts it, beside what the plan expects
RUNS_OF_SESSION = 2  # ranging and testing
POWER = "power"  # a campaign's folder of power sessions
ACCURACY, PERFORMANCE = "accuracy", "performance"
SHIPPED = Path(__file__).parent / "plans"
TEXT_KEYS = ("backend", "device", "precision", "driver", "worker", "pin", "postprocess")
WHOLE_KEYS = ("replicas", "max_batch")
NUMBER_KEYS = (*WHOLE_KEYS, "spin_us", "max_wait_ms", "hang_timeout_s")
RUN_KEYS = (*TEXT_KEYS, *NUMBER_KEYS)
MOST = 1 << 31  # replicas, or samples in a batch: what LoadGen's and the drivers' integers hold
NAMES = ("submitter", "system_name", "system_title", "system_type")
FOLDERS = ("submitter", "system_name")  # of the tree
KINDS = {  # of a plan's keys, in words
    "name": (str, "a text"),
    "round": (str, "a text"),
    "division": (str, "a text"),
    "meters": (list, "a list of texts"),
    "benchmark": (list, "[[benchmark]] tables, one at least"),
    "submission": (dict, "a table [submission]"),
    "scenarios": (list, "a list of texts, one at least"),
    "tests": (list, "a list of texts"),
}


@dataclass(frozen=True)
class Choice:
    """One benchmark of a plan: its scenarios, run settings for all of them, and what each scenario changes.

    `tests` are compliance tests to run beside those that the round demands, `repeats` how many performance runs there
    are of each scenario: the first is the one that is judged and submitted.
    """

    benchmark: str
    scenarios: tuple[Scenario, ...]
    shared: Mapping[str, Any]
    own: Mapping[Scenario, Mapping[str, Any]] = field(default_factory=dict)
    tests: tuple[str, ...] = ()
    repeats: int = 1


@dataclass(frozen=True)
class Plan:
    """Everything a campaign does, read from a TOML file."""

    name: str
    round: str
    division: Division
    meters: tuple[str, ...]
    choices: tuple[Choice, ...]
    submission: Mapping[str, str]
    tax_s: float = tax.SECONDS  # of each measurement of the harness tax; 0: none
    power: PowerTable | None = None  # whose sessions make the first performance run of each result


@dataclass(frozen=True)
class Job:
    """One LoadGen run of a campaign; `key` is also its folder below `runs/`.

    `session` is the folder of the official power session whose testing run it is; its estimate is then the session's.
    """

    key: str
    spec: RunSpec
    estimate_s: float
    session: Path | None = None
    open_end: bool = False  # longer than that by a speed that nobody named

    @property
    def test(self) -> str:
        """The compliance test's name, empty for other runs."""
        return self.spec.test


def read(path: Path, round_name: str = "") -> Plan:
    """The plan in a TOML file, under `round_name` where one is given; raises BadInput or UnknownName for a bad one."""
    try:
        with _file(path).open("rb") as file:  # which may be a device without an end
            data = tomllib.loads(file.read(MOST_BYTES).decode("utf-8-sig"))
    except OSError as error:
        own = ", ".join(sorted(file.stem for file in SHIPPED.glob("*.toml")))
        remedy = f"give the path of a TOML file, or a plan that ships with the suite ({own})"
        raise BadInput(f"cannot read plan {path}: {error.strerror}; {remedy}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"plan {path} is not TOML: {error}.") from error
    try:
        return _plan({**data, "round": round_name or data.get("round", "mini")}, path.stem)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadInput(f"plan {path} is not a plan ({error!r}): see docs/campaign.md for its tables.") from error


def _file(path: Path) -> Path:
    """A file, or one of the plans that ship with the suite by its bare name ("demo")."""
    own = SHIPPED / f"{path}.toml"
    return own if not path.exists() and len(path.parts) == 1 and own.is_file() else path


def _plan(data: Mapping[str, Any], name: str) -> Plan:
    _known(data, ("name", "round", "division", "meters", "tax", "benchmark", "submission", "power"), "plan key")
    _kinds_of(data, ("benchmark",))
    choices = tuple(_choice(table) for table in data["benchmark"])
    _once(choices)
    return Plan(
        name=data.get("name", name),
        round=data.get("round", "mini"),
        division=Division(data.get("division", "closed")),
        meters=tuple(data.get("meters", ())),
        choices=choices,
        submission=_submission(data.get("submission", {})),
        tax_s=_tax_s(data.get("tax", True)),
        power=power_table.read(data.get("power")),
    )


def _once(choices: Sequence[Choice]) -> None:
    """Raise BadInput where two runs would have one folder: the second would be taken for the first, finished."""
    places = [f"{choice.benchmark}/{scenario}" for choice in choices for scenario in choice.scenarios]
    for place in places:
        if places.count(place) > 1:
            raise BadInput(
                f"the plan asks for {place} {places.count(place)} times: keep one; two variants of it want a plan and "
                "an --output each, and several runs of one `repeats = N`."
            )


def _kinds_of(table: Mapping[str, Any], needed: Sequence[str]) -> None:
    """Raise BadInput where a key that a table needs is missing or empty, or one is of the wrong kind."""
    for key in needed:
        if not table.get(key):
            raise BadInput(f"the plan needs {key} = {KINDS[key][1]}: see docs/campaign.md for its tables.")
    for key, (kind, words) in KINDS.items():
        value = table.get(key, kind())
        inner = dict if key == "benchmark" else str
        if not isinstance(value, kind) or (kind is list and not all(isinstance(each, inner) for each in value)):
            raise BadInput(f"plan key {key} cannot be {value!r}: it takes {words} (docs/campaign.md).")


def _submission(given: Mapping[str, Any]) -> Mapping[str, Any]:
    """[submission]; raises BadInput or UnknownName for what `lgh submit` would refuse after all the runs."""
    for key in NAMES:
        if not isinstance(value := given.get(key, ""), str):
            raise BadInput(f"{key} of [submission] cannot be {value!r}: it takes a text (docs/campaign.md).")
        if key in FOLDERS and value and not NAME.fullmatch(value):
            words = "letters, digits, '.', '_', '+' and '-', the first of them a letter or a digit"
            raise BadInput(f"{key} = {value!r} of [submission] cannot be the name of a folder: use {words}.")
    _known([given["system_type"]] if "system_type" in given else (), SYSTEM_TYPES, "system_type of [submission]")
    known = (*NAMES, *REQUIRED, *NETWORK, "infer")
    for key in given:  # further keys of the description are free, a slip of the pen is not
        if key not in known and get_close_matches(key, known, cutoff=0.85):
            raise UnknownName("key of [submission]", key, known)
    return given


def _tax_s(given: Any) -> float:
    """Seconds of a tax measurement: a number, or true and false for the usual and none."""
    if isinstance(given, bool):
        return tax.SECONDS if given else 0.0
    if not isinstance(given, int | float) or not 0 <= given < float("inf"):
        raise BadInput(f"plan key tax cannot be {given!r}: true, false, or seconds.")
    return float(given)


def _choice(table: Mapping[str, Any]) -> Choice:
    allowed = (*RUN_KEYS, "options", "overrides", "data_dir")
    _known(table, (*allowed, "name", "scenarios", "tests", "repeats", *(s.value for s in Scenario)), "plan key")
    _kinds_of(table, ("name", "scenarios"))
    scenarios = tuple(Scenario(s) for s in table["scenarios"])
    own = {s: table.get(s.value, {}) for s in scenarios}
    shared = {key: value for key, value in table.items() if key in allowed}
    for each in (shared, *own.values()):
        if not isinstance(each, dict):
            raise BadInput(f"a scenario of the plan cannot be {each!r}: it takes a table (docs/campaign.md).")
        _known(each, allowed, "plan key")
        _typed(each)
    tests = tuple(table.get("tests", ()))
    _known(map(str, tests), [name.upper() for name in registry.names(registry.TESTS)], registry.TESTS.title)
    return Choice(table["name"], scenarios, shared, own, tests, _repeats(table.get("repeats", 1)))


def _repeats(given: Any) -> int:
    """How many performance runs; raises BadInput for what is no such number."""
    if isinstance(given, bool) or not isinstance(given, int) or not 1 <= given <= MOST_REPEATS:
        raise BadInput(f"plan key repeats cannot be {given!r}: a whole number from 1 to {MOST_REPEATS}.")
    return given


def _typed(table: Mapping[str, Any]) -> None:
    """Raise BadInput or UnknownName where a value cannot be one."""
    for key, value in table.items():
        if key in ("options", "overrides"):
            good = isinstance(value, dict)
        elif key in WHOLE_KEYS:
            good = isinstance(value, int) and not isinstance(value, bool) and 1 <= value < MOST
        elif key in NUMBER_KEYS:
            good = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < float("inf")
        else:
            good = isinstance(value, str)
        if not good:
            raise BadInput(f"plan key {key} cannot be {value!r}: see docs/campaign.md for its kind.")
    _named(table)


def _named(table: Mapping[str, Any]) -> None:
    """Raise UnknownName, or BadInput for cores, where a value is none of those that its key takes."""
    taken = {
        "backend": registry.names(registry.BACKENDS),
        "worker": registry.names(registry.WORKERS),
        "driver": ("native", "python"),
        "postprocess": ("process",),
    }
    for key, known in taken.items():
        if table.get(key):
            _known((table[key],), known, key)
    if (pin := table.get("pin", "")) not in placement.WORDS:
        for cores in pin.split("/"):
            placement.cores_of(cores)


def _known(given: Iterable[str], allowed: Iterable[str], kind: str) -> None:
    for key in given:
        if key not in allowed:
            raise UnknownName(kind, key, allowed)


def jobs(plan: Plan, output: Path) -> list[Job]:
    """Every run of the plan in order: per benchmark and scenario performance, accuracy, then each compliance test."""
    round_ = rounds.load(plan.round)
    found: list[Job] = []
    for choice in plan.choices:
        benchmark: Benchmark = registry.load(registry.BENCHMARKS, choice.benchmark)
        for scenario in choice.scenarios:
            round_.limits(benchmark.name, scenario)
            for kind in _kinds(plan, choice, scenario, round_):
                found.append(_job(plan, choice, scenario, kind, output))
    return found


def _kinds(plan: Plan, choice: Choice, scenario: Scenario, round_: Round) -> list[str]:
    """What the round and the plan demand of one scenario; the open division is free of compliance tests."""
    kinds = [PERFORMANCE, *(f"{PERFORMANCE}-{number:02}" for number in range(2, choice.repeats + 1))]
    if not round_.accuracy_scenarios or scenario in round_.accuracy_scenarios:
        kinds.append(ACCURACY)
        if plan.division is not Division.OPEN:
            kinds += _tests(choice, scenario, round_)
    return kinds


def _tests(choice: Choice, scenario: Scenario, round_: Round) -> list[str]:
    """The round's compliance tests, then the plan's own; raises UnknownName where the round has no figures for one."""
    benchmark: Benchmark = registry.load(registry.BENCHMARKS, choice.benchmark)
    rules = round_.rules(benchmark.name)
    _known(choice.tests, (*rules.tests, *rules.test_settings), f"compliance test of {benchmark.name}")
    tests = (registry.load(registry.TESTS, name.lower()) for name in rules.tests)
    demanded = [test.name for test in tests if test.applies(benchmark, scenario, round_)]
    return [*demanded, *(name for name in choice.tests if name not in demanded)]


def _job(plan: Plan, choice: Choice, scenario: Scenario, kind: str, output: Path) -> Job:
    own = choice.own.get(scenario, {})
    benchmark: Benchmark = registry.load(registry.BENCHMARKS, choice.benchmark)
    merged = {"backend": benchmark.backends[0], **choice.shared, **own}
    for table in ("options", "overrides"):
        merged[table] = {**choice.shared.get(table, {}), **own.get(table, {})}
    key = f"{choice.benchmark}/{scenario}/{kind}"
    spec = RunSpec(
        benchmark=choice.benchmark,
        scenario=scenario,
        mode=TestMode.ACCURACY if kind == ACCURACY else TestMode.PERFORMANCE,
        output=output / "runs" / key,
        round=plan.round,
        division=plan.division,
        test="" if kind == ACCURACY or kind.startswith(PERFORMANCE) else kind,
        options={k: str(v) for k, v in merged["options"].items()},
        overrides=merged["overrides"],
        data_dir=Path(merged["data_dir"]) if merged.get("data_dir") else None,
        **{k: merged[k] for k in RUN_KEYS if k in merged},
    )
    if plan.power is None or kind != PERFORMANCE:
        return Job(key, spec, estimate_s(spec), open_end=open_end(spec))
    return Job(key, spec, session_s(spec), output / POWER / choice.benchmark / scenario)


def session_s(spec: RunSpec) -> float:
    """Expected wall seconds of an official power session: both runs, and what the official server waits."""
    return RUNS_OF_SESSION * (estimate_s(spec) + START_S) + WAITS_S


def estimate_s(spec: RunSpec) -> float:
    """Expected wall seconds of one run, from the speed that plan or round names; without one, what it takes at least.

    LoadGen's own default, one query a second, says nothing of a system; of a Server it is the rate all the same.
    """
    round_ = rounds.load(spec.round)
    benchmark: Benchmark = registry.load(registry.BENCHMARKS, spec.benchmark)
    chosen = settings.plan(spec, benchmark, round_).settings
    samples = max(chosen.min_query_count, 1)
    if spec.mode is TestMode.ACCURACY:
        samples = benchmark.variant(spec.scenario, spec.mode, spec.test, round_).total_count
    per_sample = {
        "SingleStream": chosen.single_stream_expected_latency_ns / 1e9,
        "MultiStream": chosen.multi_stream_expected_latency_ns / 1e9 / (8 if spec.mode is TestMode.ACCURACY else 1),
        "Server": 1 / max(chosen.server_target_qps, 1e-9),
        "Offline": 1 / max(chosen.offline_expected_qps, 1e-9),
    }[chosen.scenario]
    floor = 0.0 if spec.mode is TestMode.ACCURACY else chosen.min_duration_ms / 1000
    return OVERHEAD_S + max(floor, samples * per_sample if _paced(spec) else 0.0)


def _paced(spec: RunSpec) -> bool:
    """Whether somebody named the speed that a run's time follows from."""
    if spec.scenario.loadgen == "Server":
        return True
    round_ = rounds.load(spec.round)
    benchmark: Benchmark = registry.load(registry.BENCHMARKS, spec.benchmark)
    key = "target_qps" if spec.scenario is Scenario.OFFLINE else "target_latency"
    named = settings.plan(spec, benchmark, round_).given | set(
        round_.rules(spec.benchmark).user_conf.get(spec.scenario, {})
    )
    return key in named


def open_end(spec: RunSpec) -> bool:
    """Whether a run takes longer than its estimate by a speed that nobody named: no minimum duration bounds it."""
    if _paced(spec):
        return False
    benchmark: Benchmark = registry.load(registry.BENCHMARKS, spec.benchmark)
    chosen = settings.plan(spec, benchmark, rounds.load(spec.round)).settings
    return spec.mode is TestMode.ACCURACY or not chosen.min_duration_ms

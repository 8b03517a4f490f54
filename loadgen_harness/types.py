"""The nouns of the suite as frozen records, in MLPerf's own words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from loadgen_harness.errors import UnknownName


class _Name(StrEnum):
    """A string enum in MLPerf's spelling whose look-up suggests the nearest name."""

    @classmethod
    def _missing_(cls, value: object) -> _Name:
        for member in cls:
            if str(value).lower() == member.value.lower():
                return member
        raise UnknownName(cls.__name__.lower(), str(value), [m.value for m in cls])


class Scenario(_Name):
    """How queries arrive; Interactive is LoadGen's Server under other limits and another model name."""

    SINGLE_STREAM = "SingleStream"
    MULTI_STREAM = "MultiStream"
    SERVER = "Server"
    INTERACTIVE = "Interactive"
    OFFLINE = "Offline"

    @property
    def loadgen(self) -> str:
        """The scenario as LoadGen knows it."""
        return "Server" if self is Scenario.INTERACTIVE else self.value


class TestMode(_Name):
    """What LoadGen measures in one run."""

    SUBMISSION = "SubmissionRun"
    ACCURACY = "AccuracyOnly"
    PERFORMANCE = "PerformanceOnly"
    FIND_PEAK = "FindPeakPerformance"


class Division(_Name):
    """Which rules a result obeys."""

    CLOSED = "closed"
    OPEN = "open"
    NETWORK = "network"


class SystemType(_Name):
    """Which suite a system is submitted to."""

    DATACENTER = "datacenter"
    EDGE = "edge"


@dataclass(frozen=True)
class Metric:
    """One accuracy metric of a task: how it is named, printed and directed.

    `pattern` is the line of accuracy.txt, a format string of `value` (and `correct`, `n` for proportions).
    """

    name: str
    unit: str = ""
    higher_is_better: bool = True
    pattern: str = ""


@dataclass(frozen=True)
class Score:
    """A measured accuracy: value with its 95 % interval and the number of samples behind it."""

    metric: str
    value: float
    low: float
    high: float
    n: int
    method: str  # "Wilson", "bootstrap (1000)", "exact"


@dataclass(frozen=True)
class Variant:
    """What one scenario, mode or compliance test of a benchmark really runs: LoadGen's model name, data, counts."""

    model_name: str
    split: str = ""
    total_count: int = 0
    performance_count: int = 0


@dataclass(frozen=True)
class Benchmark:
    """What a task *is*; what a year's rules demand of it stands in the Round.

    `variants` maps "" (the default), a scenario, a mode or a test name to a Variant; the most specific wins, and a
    Variant's zero count means the round's.
    """

    name: str
    title: str
    checker_name: str
    variants: Mapping[str, Variant]
    metrics: tuple[Metric, ...]
    sample: str
    response_dtype: str
    backends: tuple[str, ...]
    precisions: tuple[str, ...]
    assets: tuple[str, ...] = ()
    token: str = ""
    requirements: tuple[str, ...] = ()
    # precision -> the model's files in one format or several: "file" in the task's own package, "asset:file", or
    # "made:file", which `make_models.make(file, folder)` of the task writes once (loadgen_harness/model_files.py)
    model: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)
    recipe: str = ""  # changes whenever `make_models` would write other files than before
    input_dtype: str = "fp32"
    synthetic: bool = False
    license: str = ""

    def files(self, precision: str) -> tuple[str, ...]:
        """The model's files at one precision, one per format; empty where there is none."""
        found = self.model.get(precision, ())
        return (found,) if isinstance(found, str) else found

    @property
    def streaming(self) -> bool:
        """Whether it reports first tokens and token counts."""
        return bool(self.token)

    def variant(self, scenario: Scenario, mode: TestMode, test: str = "", round_: Round | None = None) -> Variant:
        """The Variant for this run, its zero counts filled in from the round."""
        special = (key for key in (test, scenario.value, mode.value) if key and key in self.variants)
        chosen = self.variants[next(special, "")]
        limits = round_.limits(self.name, scenario) if round_ else Limits()
        return Variant(
            model_name=chosen.model_name,
            split=chosen.split,
            total_count=chosen.total_count or limits.accuracy_sample_count,
            performance_count=chosen.performance_count or limits.performance_sample_count,
        )


@dataclass(frozen=True)
class Target:
    """What a round demands of one accuracy metric; `upper` bounds it from above where the rules do.

    No `scenarios` means all of them.
    """

    metric: str
    target: float
    reference: float
    higher_is_better: bool = True
    upper: float | None = None
    note: str = ""
    scenarios: tuple[Scenario, ...] = ()


@dataclass(frozen=True)
class Limits:
    """What a round demands of one benchmark in one scenario; None and 0 mean that nothing is demanded."""

    min_duration_ms: int = 0
    min_query_count: int = 0
    percentile: float = 0.0
    target_latency_ms: float | None = None
    ttft_ms: float | None = None
    tpot_ms: float | None = None
    samples_per_query: int = 0
    performance_sample_count: int = 0
    accuracy_sample_count: int = 0
    equal_issue: bool = False
    token_latencies: bool = False


@dataclass(frozen=True)
class Suite:
    """Scenarios that a benchmark must and may be submitted in for one system type."""

    required: tuple[Scenario, ...] = ()
    optional: tuple[Scenario, ...] = ()
    any_of: tuple[Scenario, ...] = ()


@dataclass(frozen=True)
class ResultField:
    """The key of LoadGen's log that holds the official figure, and the unit in which the official table shows it."""

    key: str
    unit: str


@dataclass(frozen=True)
class Disagreement:
    """A figure on which the rules' text, the official checker and LoadGen's mlperf.conf differ; None: not stated.

    `key` is the figure's path in the round file, "Server.target_latency_ms", "accuracy.exact_match", "suites.edge".
    """

    key: str
    note: str
    rules: Any = None
    checker: Any = None
    mlperf_conf: Any = None
    audit_config: Any = None

    def __str__(self) -> str:
        """Who says what, as a finding quotes it."""
        sources = (("rules", self.rules), ("checker", self.checker), ("mlperf.conf", self.mlperf_conf))
        said = [
            f"{name}: {value}" for name, value in (*sources, ("audit.config", self.audit_config)) if value is not None
        ]
        return f"{', '.join(said)} ({self.note})"


@dataclass(frozen=True)
class Rules:
    """What a round demands of one benchmark, and its names there.

    `checker_name` is its folder in a submission; `model_names` maps "" and scenarios to LoadGen's names for the model;
    `accuracy_files` maps a folder of the accuracy run to the samples whose images or videos lie there.
    """

    targets: tuple[Target, ...]
    limits: Mapping[Scenario, Limits]
    suites: Mapping[str, Suite]
    tests: tuple[str, ...] = ()
    test_settings: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    user_conf: Mapping[Scenario, Mapping[str, float]] = field(default_factory=dict)
    title: str = ""
    checker_name: str = ""
    model_names: Mapping[str, str] = field(default_factory=dict)
    results: Mapping[Scenario, ResultField] = field(default_factory=dict)
    accuracy_files: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    disagreements: tuple[Disagreement, ...] = ()

    def disagreement(self, key: str) -> Disagreement | None:
        """Who says what of one figure, None where all agree."""
        return next((each for each in self.disagreements if each.key == key), None)


@dataclass(frozen=True)
class Seeds:
    """LoadGen's three random seeds, new every round."""

    qsl: int
    sample_index: int
    schedule: int


@dataclass(frozen=True)
class Layout:
    """Folders of a submitter: source code, and what lies apart from the results; "" where it lies beside them."""

    sources: str = "src"
    measurements: str = ""
    compliance: str = ""


@dataclass(frozen=True)
class Round:
    """One round's rules, read from `audit/rounds/<name>.toml`.

    `commit` and `date` are of the state of the official repository that it was read from; `loadgen_first` is the first
    LoadGen that may know its seeds; `aliases` maps folder names to the checker's; `earlier` holds the seeds of rounds
    without a file.
    """

    name: str
    seeds: Seeds
    benchmarks: Mapping[str, Rules]
    checker_version: str = ""
    accuracy_scenarios: tuple[Scenario, ...] = ()
    source: str = ""
    loadgen_version: str = ""
    loadgen_first: str = ""
    commit: str = ""
    date: str = ""
    layout: Layout = Layout()
    aliases: Mapping[str, str] = field(default_factory=dict)
    earlier: Mapping[str, Seeds] = field(default_factory=dict)
    disagreements: tuple[Disagreement, ...] = ()

    def rules(self, benchmark: str) -> Rules:
        """The demands on one benchmark; raises UnknownName where the round does not know it."""
        if benchmark not in self.benchmarks:
            raise UnknownName(f"benchmark in round {self.name}", benchmark, self.benchmarks)
        return self.benchmarks[benchmark]

    def limits(self, benchmark: str, scenario: Scenario) -> Limits:
        """The demands on one benchmark in one scenario; raises UnknownName for a scenario without any."""
        limits = self.rules(benchmark).limits
        if scenario not in limits:
            kind = f"scenario of {benchmark} in round {self.name}"
            raise UnknownName(kind, scenario.value, [s.value for s in limits])
        return limits[scenario]


@dataclass(frozen=True)
class RunSpec:
    """Everything one LoadGen run needs; written to the run folder as JSON for the child process.

    `options` go to the backend, `overrides` are user.conf keys without their prefix ("target_qps": 120). Empty names
    mean the default. `device` may list several ("cuda:0,cuda:1"), one per replica.
    """

    benchmark: str
    backend: str
    scenario: Scenario
    mode: TestMode
    output: Path
    round: str = "mini"
    division: Division = Division.CLOSED
    test: str = ""
    device: str = "cpu"
    precision: str = ""
    driver: str = ""  # python or native; empty: native where it is built
    worker: str = ""
    replicas: int = 1
    pin: str = ""  # cores of the replicas: none, split, numa, or groups such as "0-3/4-7"
    spin_us: float = 0.0  # workers look for work awake this long before they sleep
    postprocess: str = ""  # "process": responses are made in a process of its own
    max_batch: int = 1
    max_wait_ms: float = 0.0
    options: Mapping[str, str] = field(default_factory=dict)
    overrides: Mapping[str, float] = field(default_factory=dict)
    user_conf: Path | None = None
    data_dir: Path | None = None
    hang_timeout_s: float = 120.0
    seed: int = 0  # for audits: LoadGen's three seeds are drawn from it; 0: the round's
    model: Path | None = None  # for audits: a file in place of the task's own


TestMode.__test__ = False  # type: ignore[attr-defined]  # pytest collects classes called Test…

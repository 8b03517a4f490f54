"""user.conf against the performance run: each setting that it states must be what LoadGen was given."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from audit.case import Claim
from audit.evidence import CrossCheck, Evidence
from audit.finding import Finding, Severity
from loadgen_harness.run import Run
from loadgen_harness.types import Benchmark, Round, TestMode

MOST_BYTES = 1_000_000
CONF_LINE = re.compile(r"\s*([\w*+-]{1,80})\.(\*|\w{1,20})\.(\w{1,60})\s*=\s*(-?\d{1,18}(?:\.\d{1,18})?)\s*(?:#.*)?")
OCTAL = re.compile(r"0[0-7]*")
ROUNDED = 1e-4  # LoadGen prints numbers that are not whole with six digits
MS = 1_000_000  # ns of user.conf's ms
REPEATED = "inference_rules.adoc, Replicability is mandatory"


class Logged(NamedTuple):
    """Where the detail log shows a user.conf key: its own key, LoadGen's units in one of user.conf's, LoadGen's type.

    Integers are read by strtoull and multiplied afterwards, so that 15.5 ms are 15 ms; those of this suite are
    multiplied first. Either way the rest below one unit is cut off.
    """

    key: str
    scale: float = 1
    whole: bool = False

    def is_given(self, text: str, value: float) -> bool:
        """Whether `value` of the log is what a run may make of `text` in user.conf."""
        stated = float(text) * self.scale
        if self.whole and isinstance(value, int):
            return abs(value - stated) < 1 or value == _strtoull(text) * self.scale
        rest = 1 if self.scale == MS else 0  # this suite's expected latencies are whole ns
        return abs(value - stated) <= max(ROUNDED * abs(stated), rest)

    def shown(self, value: float) -> str:
        """A value of the log in user.conf's units, and where it stands."""
        return f"{value / self.scale:.12g}, by {self.key} of the run"


def _strtoull(text: str) -> int:
    """The whole number that C reads at the beginning of `text`; a leading 0 makes it octal."""
    octal = OCTAL.match(text)
    return int(octal[0], 8) if octal else int(text.partition(".")[0])


# What a user.conf may not change where the rules lock it; as LoadGen was given it all the same
LOCKED = (
    "sample_concatenate_permutation",
    "performance_issue_unique",
    "performance_issue_same",
    "performance_issue_same_index",
    "max_async_queries",
    "accuracy_log_sampling_target",
    "qsl_rng_seed",
    "sample_index_rng_seed",
    "schedule_rng_seed",
)
SETTINGS: Mapping[str, Logged] = {
    "min_duration": Logged("requested_min_duration_ms", whole=True),
    "max_duration": Logged("requested_max_duration_ms", whole=True),
    "min_query_count": Logged("requested_min_query_count", whole=True),
    "max_query_count": Logged("requested_max_query_count", whole=True),
    "performance_sample_count_override": Logged("requested_performance_sample_count_override", whole=True),
    **{key: Logged(f"effective_{key}", whole=True) for key in LOCKED},
}
PERCENTILE = {"target_latency_percentile": Logged("effective_target_latency_percentile", 0.01)}
OF_SCENARIO: Mapping[str, Mapping[str, Logged]] = {
    "SingleStream": {**PERCENTILE, "target_latency": Logged("requested_single_stream_expected_latency_ns", MS)},
    "MultiStream": {
        **PERCENTILE,
        "target_latency": Logged("requested_multi_stream_expected_latency_ns", MS),
        "samples_per_query": Logged("effective_samples_per_query", whole=True),
    },
    "Server": {
        **PERCENTILE,
        "target_latency": Logged("effective_target_latency_ns", MS, whole=True),
        "target_qps": Logged("effective_target_qps"),
    },
    "Offline": {"target_qps": Logged("effective_target_qps")},  # LoadGen has no percentile here, and logs 0.99
}
# what LoadGen expects unless it is told, of its code and of its mlperf.conf: ms and queries per second
DEFAULTS = {"SingleStream": (1.0, 10.0), "MultiStream": (8.0, 80.0, 50.0), "Server": (1.0,), "Offline": (1.0,)}


def user_conf(evidence: Evidence) -> Iterator[Finding]:
    """What user.conf sets is what LoadGen was given in the performance run."""
    run, path = evidence.performance, evidence.files.get("user.conf")
    if run is None or path is None or not run.log:
        return
    known = {**SETTINGS, **OF_SCENARIO.get(run.scenario, {})}
    for key, (number, text) in _conf(path, _models(evidence), run.scenario).items():
        logged = known.get(key)
        value = run.log.get(logged.key) if logged else None
        if logged is None or not isinstance(value, int | float) or logged.is_given(text, value):
            continue
        yield _differing(evidence.name(path), key, text, logged.shown(value), number)
    lines = small_text(path).strip().splitlines()  # nothing at all is another check's
    if lines and all(not line.strip() or line.lstrip().startswith("#") for line in lines):
        yield from _unsaid(evidence.name(path), run)


def _unsaid(file: str, run: Run) -> Iterator[Finding]:
    """A user.conf without a single setting, though the run had an expected rate that no default is."""
    key = "target_qps" if run.scenario in ("Server", "Offline") else "target_latency"
    logged = OF_SCENARIO.get(run.scenario, {}).get(key)
    value = run.log.get(logged.key) if logged else None
    if logged and isinstance(value, int | float) and value / logged.scale not in DEFAULTS.get(run.scenario, (value,)):
        yield _differing(file, key, "no setting in the file", logged.shown(value), 0)


def _differing(file: str, key: str, found: str, wanted: str, line: int) -> Finding:
    return Finding(
        check="user-conf",
        severity=Severity.WARNING,
        file=file,
        key=key,
        found=found,
        wanted=wanted,
        clause=f"{REPEATED}: user.conf is what the run was made with",
        fix="Submit the user.conf of this run, or repeat the run with the one submitted.",
        line=line,
    )


def user_conf_of(run: Run, benchmark: Benchmark, round_: Round) -> Iterator[Finding]:
    """The same of one run of ours that stands alone: the user.conf in its folder."""
    path, claim = run.file("user.conf"), Claim.of(run)
    if claim.scenario is None or run.mode == TestMode.ACCURACY:
        return
    yield from user_conf(
        Evidence(
            benchmark=benchmark,
            scenario=claim.scenario,
            round=round_,
            division=claim.division,
            root=run.path,
            performance=run,
            files={path.name: path} if path.is_file() else {},
        )
    )


def _conf(path: Path, models: set[str], scenario: str) -> dict[str, tuple[int, str]]:
    """Key to (line, value) as LoadGen looks them up: the line for the model and scenario before the general ones."""
    chosen: dict[str, tuple[int, int, str]] = {}
    for number, line in enumerate(small_text(path).splitlines(), start=1):
        match = CONF_LINE.fullmatch(line)
        if not match or match[1] not in {"*", *models} or match[2] not in ("*", scenario):
            continue
        rank = 2 * (match[2] != "*") + (match[1] != "*")
        if rank >= chosen.get(match[3], (0, 0, ""))[0]:
            chosen[match[3]] = (rank, number, match[4])
    return {key: (number, text) for key, (_, number, text) in chosen.items()}


def _models(evidence: Evidence) -> set[str]:
    return {variant.model_name for variant in evidence.benchmark.variants.values()}


def small_text(path: Path) -> str:
    """The first megabyte of a file, nothing of a link or a folder."""
    if path.is_symlink() or not path.is_file():
        return ""
    with path.open("rb") as file:
        return file.read(MOST_BYTES).decode("utf-8", errors="replace")


CHECKS: tuple[CrossCheck, ...] = (user_conf,)

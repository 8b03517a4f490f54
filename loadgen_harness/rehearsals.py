"""Do a plan's runs tell LoadGen what their round demands? Each is rehearsed with one query, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path

from audit import limits, locked, release, validity
from audit.case import Case, Claim
from audit.compliance._settings import merged
from audit.finding import Finding, Severity
from loadgen_harness import doomed, registry, rehearsal, rounds, settings
from loadgen_harness.campaign import audit_config
from loadgen_harness.child import told
from loadgen_harness.errors import SuiteError
from loadgen_harness.plan import Job
from loadgen_harness.run import Run
from loadgen_harness.settings import TestSettings
from loadgen_harness.types import Benchmark, Round, Scenario, TestMode

TIMEOUT_S = 120.0
NOBODY = "a model that no mlperf.conf knows"
CHECKS = (
    validity.mode, validity.scenario, validity.audit_config, validity.audit_settings, *release.CHECKS, limits.seeds,
    limits.duration_setting, limits.stream_width, limits.query_count, limits.performance_samples,
    limits.accuracy_samples, limits.percentile, limits.latency_limits, limits.token_latencies, limits.equal_issue,
    *locked.CHECKS,
)  # fmt: skip
OWN = ("effective_max_query_count", "result_query_count")  # what the rehearsal itself is to blame for
SEEN: dict[tuple[str, str], dict[str, str]] = {}  # of mlperf.conf, which is compiled in, by model and scenario
MODELS = "inference_rules.adoc, LoadGen Operation; LoadGen's mlperf.conf"


def check(jobs: Sequence[Job]) -> Iterator[Finding]:
    """Findings on the settings of every run, on what the division refuses, and on names of models."""
    chosen = list(_distinct(jobs))
    with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
        under_way = [pool.submit(rehearsed, job) for job in chosen]
        named = [pool.submit(known_to_loadgen, *each) for each in _official_models(jobs)]
        for one in under_way:
            yield from one.result()
        for one in named:
            yield from one.result()
    for job in jobs:
        yield from asked(job)


def _distinct(jobs: Sequence[Job]) -> Iterator[Job]:
    """Every timed run, and one accuracy run for each data set: all of them would go through all samples."""
    seen: set[tuple[object, ...]] = set()
    for job in jobs:
        if job.spec.mode is TestMode.ACCURACY:
            round_ = rounds.load(job.spec.round)
            key = (job.spec.benchmark, _benchmark(job).variant(job.spec.scenario, job.spec.mode, "", round_))
            if key in seen:
                continue
            seen.add(key)
        yield job


def _benchmark(job: Job) -> Benchmark:
    found: Benchmark = registry.load(registry.BENCHMARKS, job.spec.benchmark)
    return found


def rehearsed(job: Job) -> list[Finding]:
    """What the audit says of one run's settings, seen by one query."""
    try:
        return _in_a_folder(job)
    except OSError as error:
        return [_failed(job, f"its folder for temporary files cannot be used: {error.strerror}")]


def _in_a_folder(job: Job) -> list[Finding]:
    with tempfile.TemporaryDirectory(prefix="lgh-rehearsal-") as name:
        folder = Path(name)
        spec = {**asdict(job.spec), "output": name}
        (folder / "spec.json").write_text(json.dumps(spec, default=str), encoding="utf-8")
        if text := audit_config(job):
            (folder / "audit.config").write_text(text, encoding="utf-8")
        if why := _started(folder):
            return [_failed(job, why)]
        return [_placed(each, job) for each in judged(Run(folder), job)]


def judged(run: Run, job: Job) -> Iterator[Finding]:
    """What the audit says of the settings in a log, under what the job claims to be."""
    round_, spec = rounds.load(job.spec.round), job.spec
    rules = round_.rules(spec.benchmark)
    claim = Claim(spec.scenario, spec.mode, spec.division, spec.test)
    case = Case(run, _benchmark(job), round_, claim, rules.limits[spec.scenario], merged(spec.test, rules))
    for each in CHECKS:
        yield from (finding for finding in each(case) if finding.key not in OWN)


def _started(folder: Path, *arguments: str) -> str:
    """Run the program; why it failed, empty where it did not."""
    command = [sys.executable, "-m", "loadgen_harness.rehearsal", str(folder), *arguments]
    try:
        with (folder / "child.log").open("wb") as log:
            code = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, timeout=TIMEOUT_S, check=False
            ).returncode
    except subprocess.TimeoutExpired:
        return f"LoadGen did not end its one query within {TIMEOUT_S:g} s"
    if not code:
        return ""
    try:
        return str(json.loads((folder / rehearsal.ACCOUNT).read_text(encoding="utf-8"))["message"])
    except (OSError, ValueError, KeyError):
        return f"the LoadGen process ended with exit code {code}"


def _failed(job: Job, why: str) -> Finding:
    return Finding(
        "rehearsal", Severity.ERROR, job.key, "run", why, "a query that LoadGen can issue and settle",
        "inference_rules.adoc, LoadGen Operation", "Mend what it names; the run would fail in the same way.",
    )  # fmt: skip


def _placed(finding: Finding, job: Job) -> Finding:
    """The finding at the job's key: the log that it was seen in is gone."""
    return replace(finding, file=job.key, line=0)


def _official_models(jobs: Sequence[Job]) -> list[tuple[str, str, Scenario, str]]:
    """(round, benchmark, scenario, LoadGen's name) of every official benchmark among the jobs."""
    own = rounds.load(rounds.OWN).benchmarks
    found: dict[tuple[str, str, Scenario, str], None] = {}
    for job in jobs:
        round_ = rounds.load(job.spec.round)
        if round_.checker_version and job.spec.benchmark not in own:
            variant = _benchmark(job).variant(job.spec.scenario, job.spec.mode, job.spec.test, round_)
            found[round_.name, job.spec.benchmark, job.spec.scenario, variant.model_name] = None
    return list(found)


def known_to_loadgen(round_name: str, benchmark: str, scenario: Scenario, model: str) -> list[Finding]:
    """Whether LoadGen's mlperf.conf knows a model: an unknown name silently leaves every default."""
    asked, nobody = (_built_in(each, scenario.loadgen) for each in (model, NOBODY))
    if isinstance(asked, str) or isinstance(nobody, str):
        why = asked if isinstance(asked, str) else str(nobody)
        return [_model(Severity.WARNING, benchmark, scenario, why, "LoadGen's own settings", "See `lgh doctor`.")]
    if asked != nobody:
        return []
    wanted = _names(rounds.load(round_name), benchmark)
    if model in wanted:
        said = f"{model}, which LoadGen's mlperf.conf does not know"
        fix = "State counts and limits in user.conf: LoadGen has none for this model."
        return [_model(Severity.WARNING, benchmark, scenario, said, "a model of mlperf.conf", fix)]
    fix = "Mend the model name in the benchmark's variants: LoadGen takes its defaults for an unknown name."
    return [_model(Severity.ERROR, benchmark, scenario, model, " or ".join(sorted(wanted)), fix)]


def _names(round_: Round, benchmark: str) -> set[str]:
    return set(round_.rules(benchmark).model_names.values()) or {benchmark}


def _built_in(model: str, scenario: str) -> dict[str, str] | str:
    """LoadGen's settings for a model, asked once, or why they cannot be seen."""
    if (model, scenario) in SEEN:
        return SEEN[model, scenario]
    try:
        with tempfile.TemporaryDirectory(prefix="lgh-model-") as name:
            if why := _started(Path(name), model, scenario):
                return why
            SEEN[model, scenario] = json.loads((Path(name) / rehearsal.BUILT_IN).read_text(encoding="utf-8"))
            return SEEN[model, scenario]
    except OSError as error:
        return f"the folder for temporary files cannot be used: {error.strerror}"


def _model(severity: Severity, benchmark: str, scenario: Scenario, found: str, wanted: str, fix: str) -> Finding:
    return Finding("model-name", severity, f"{benchmark}/{scenario}", "model name", found, wanted, MODELS, fix)


def asked(job: Job) -> Iterator[Finding]:
    """What the plan asks for and does not get, and what it had better ask for."""
    try:
        plan = settings.plan(job.spec, _benchmark(job), rounds.load(job.spec.round))
    except SuiteError as error:
        yield _failed(job, told(error)[1])
        return
    for line in plan.locked:
        yield _setting(job, "user.conf", line, "a setting that the division allows", "Take it out of the plan.")
    if job.spec.mode is not TestMode.PERFORMANCE or job.test:
        return
    yield from _ended(job, plan.settings)
    hinted = "target_qps" in rounds.load(job.spec.round).rules(job.spec.benchmark).user_conf.get(job.spec.scenario, {})
    if job.spec.scenario.loadgen == "Server" and "target_qps" not in plan.given and not hinted:
        fix = f"Name the rate: [benchmark.{job.spec.scenario}] overrides = {{ target_qps = … }}."
        yield _setting(job, "target_qps", "not named: 1 query/s", "the rate to offer", fix)


def _ended(job: Job, chosen: TestSettings) -> Iterator[Finding]:
    """A most number of queries ends the run, whether it is long enough or not: the rehearsal has one of its own."""
    most = chosen.max_query_count
    if not most:
        return
    demanded = doomed.bar(chosen)
    least = max(chosen.min_query_count, demanded.needed if demanded else 0)
    severity = Severity.ERROR if most < least else Severity.WARNING
    yield Finding(
        "duration-setting", severity, job.key, "max_query_count", str(most), f"0, or at least {least}",
        "inference_rules.adoc, Scenarios: minimum duration, and Early Stopping Criterion",
        "Take max_query_count out of the plan: a run that it ends before its minimum duration is INVALID.",
    )  # fmt: skip


def _setting(job: Job, key: str, found: str, wanted: str, fix: str) -> Finding:
    clause = "inference_rules.adoc, Scenarios"
    return Finding("plan-setting", Severity.WARNING, job.key, key, found, wanted, clause, fix)

"""What no single file shows: the runs behind one result against each other and against the texts beside them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

from audit import clocks, described, sampling, stated
from audit.case import DETAIL
from audit.evidence import CrossCheck, Evidence
from audit.finding import Finding, Severity
from loadgen_harness.errors import UnknownName
from loadgen_harness.run import Run
from loadgen_harness.types import Limits, TestMode

TOGETHER = "inference_rules.adoc, System and framework must be consistent"
SAME_CODE = "inference_rules.adoc, LoadGen Operation: the same code for both the accuracy and performance LoadGen modes"
REPEAT = "Repeat every run of this result with one installation."


class Part(NamedTuple):
    """One run of a result and what it is: performance, accuracy, TEST01, …"""

    name: str
    run: Run


def check(evidence: Evidence) -> Iterator[Finding]:
    """All findings about one result that need more than one of its files."""
    for each in CHECKS:
        yield from each(evidence)


def loadgen(evidence: Evidence) -> Iterator[Finding]:
    """Every run was made with the same LoadGen: version and sources, whatever the commit that they were taken from."""
    first, others = _parts(evidence)
    for part in others:
        wanted, found = first.run.loadgen_version, part.run.loadgen_version
        said = {"wanted": f"{wanted}, as the {first.name} run", "clause": TOGETHER}
        sources = [each.run.loadgen_sources for each in (first, part)]
        if wanted and found and wanted != found:
            yield _in_log(evidence, part.run, "same-loadgen", key="loadgen_version", found=found, **said)
        elif all(sources) and sources[0] != sources[1]:
            found = f"other sources of {found}"
            yield _in_log(evidence, part.run, "same-loadgen", key="loadgen_file_sha1", found=found, **said)


def names(evidence: Evidence) -> Iterator[Finding]:
    """Every run names the same system under test and sample library, of the same size."""
    first, others = _parts(evidence)
    for key in ("sut_name", "qsl_name", "qsl_reported_total_count", "effective_performance_sample_count"):
        alike = [part for part in others if key in ("sut_name", "qsl_name", *_sizes(evidence, part))]
        said = [(part, part.run.log[key]) for part in (first, *alike) if part.run.log.get(key) is not None]
        usual, holder = _usual(said)
        for part, found in said:
            if found != usual:
                check_ = "same-data" if key.startswith(("qsl_", "effective_")) else "same-system"
                told = {"found": str(found), "wanted": f"{usual}, as the {holder}", "clause": SAME_CODE}
                yield _in_log(evidence, part.run, check_, key=key, **told)


def _usual(said: list[tuple[Part, Any]]) -> tuple[Any, str]:
    """What most runs say, else the first one, and who that is."""
    values = [value for _, value in said]
    if not values:
        return None, ""
    usual = max(values, key=values.count)  # of equally many the first
    many = values.count(usual)
    name = next(part.name for part, value in said if value == usual)
    return usual, f"{name} run" if many == 1 or name == "performance" else f"{many} other runs"


def _sizes(evidence: Evidence, part: Part) -> tuple[str, ...]:
    """Counts that agree between the runs, unless the task has other data for accuracy than for performance."""
    limits = _limits(evidence)
    if limits is None or limits.performance_sample_count > limits.accuracy_sample_count:
        return ()
    variant, modes = evidence.benchmark.variant, (TestMode.PERFORMANCE, TestMode.ACCURACY)
    totals = {variant(evidence.scenario, mode, "", evidence.round).total_count for mode in modes}
    total = () if part.name == "accuracy" and len(totals) > 1 else ("qsl_reported_total_count",)
    return (*total, "effective_performance_sample_count")


def _limits(evidence: Evidence) -> Limits | None:
    try:
        return evidence.rules.limits.get(evidence.scenario)
    except UnknownName:
        return None


def swapped(evidence: Evidence) -> Iterator[Finding]:
    """The performance run read no audit.config and the tests' runs did, not the other way round."""
    run = evidence.performance
    if run is None or not _audited(run):
        return
    for name, test in evidence.tests.items():
        if test.log and test.mode == run.mode and not _audited(test):
            said = {"found": f"the run of a compliance test, and in {name}/ one of none", "wanted": "each in its place"}
            clause = f"compliance test {name}: the performance run is made without audit.config"
            found = _in_log(evidence, run, "test-settings", key="run", **said, clause=clause)
            yield replace(found, fix=f"Put the logs of the performance run and of {name} in each other's place.")


def _audited(run: Run) -> bool:
    return any("audit.config" in warning for warning in run.log_warnings)


def origins(evidence: Evidence) -> Iterator[Finding]:
    """Runs of this suite: the same machine, code, model, backend and precision."""
    first, others = _parts(evidence)
    before = _origin(first.run)
    for part in others:
        after = _origin(part.run)
        for key in sorted(before.keys() & after.keys()):
            if before[key] != after[key]:
                yield Finding(
                    check="same-system",
                    severity=Severity.ERROR,
                    file=evidence.name(part.run.file("run.json")),
                    key=key,
                    found=str(after[key])[:120],
                    wanted=f"{str(before[key])[:120]}, as the {first.name} run",
                    clause=f"{TOGETHER}; {SAME_CODE}",
                    fix=REPEAT,
                )


def _origin(run: Run) -> dict[str, Any]:
    """What run.json says of where a run came from, keys that it lacks left out."""
    meta = run.meta
    known: dict[str, Any] = {"model_sha256": meta.get("model_sha256")}
    for table, keys in (
        ("suite", ("version", "git")),
        ("system", ("host_processor_model_name", "host_memory_capacity", "accelerator_model_name", "kernel")),
        ("backend", ("name", "provider", "precision")),
        ("spec", ("benchmark", "backend", "device", "precision")),
    ):
        entries = meta.get(table)
        if isinstance(entries, dict):
            known |= {f"{table}.{key}": entries.get(key) for key in keys}
    return {key: value for key, value in known.items() if value not in (None, "")}


def settings(evidence: Evidence) -> Iterator[Finding]:
    """A compliance test ran under the settings of the performance run, but for those that its audit.config sets."""
    reference = evidence.performance
    if reference is None:
        return
    for name, run in evidence.tests.items():
        for key in SHARED_SETTINGS if run.scenario == reference.scenario else ():  # else that is another check's fault
            wanted, found = (each.log.get(f"effective_{key}") for each in (reference, run))
            if _own(evidence, name, key) or wanted is None or found is None or wanted == found:
                continue
            said = {"found": str(found), "wanted": f"{wanted}, as the performance run"}
            clause = f"compliance test {name}: the test repeats the performance run"
            yield _in_log(evidence, run, "test-settings", key=f"effective_{key}", **said, clause=clause)


SHARED_SETTINGS = (
    "target_latency_ns",
    "target_latency_percentile",
    "min_duration_ms",
    "performance_sample_count",
    "sample_concatenate_permutation",
)


def _own(evidence: Evidence, test: str, key: str) -> bool:
    """Whether a test's audit.config sets a key itself."""
    try:
        return key.removesuffix("_ms") in evidence.rules.test_settings.get(test, {}) or test in SHORT
    except UnknownName:
        return True


SHORT = ("TEST06", "TEST07", "TEST09")  # judged by their responses, run short


def _parts(evidence: Evidence) -> tuple[Part, list[Part]]:
    """The run that the others are held against, and the others; runs without a readable log are left out."""
    parts = [Part(name, run) for name, run in evidence.runs() if run.log]
    return (parts[0], parts[1:]) if parts else (Part("", Run(evidence.root)), [])


def _in_log(evidence: Evidence, run: Run, check_: str, **said: str) -> Finding:
    file, line = evidence.name(run.file(DETAIL)), run.line(said["key"])
    return Finding(check=check_, severity=Severity.ERROR, file=file, fix=REPEAT, line=line, **said)


CHECKS: tuple[CrossCheck, ...] = (
    loadgen,
    names,
    origins,
    settings,
    swapped,
    *sampling.CHECKS,
    *clocks.CHECKS,
    *stated.CHECKS,
    *described.CHECKS,
)

"""Does a run obey its round? `check` yields a Finding for everything that the rules reject or that looks wrong.

Clauses name sections of the MLPerf Inference rules, or the LoadGen or checker fact behind a demand. The official
checker looks at a part of this only: it accepts INVALID runs, LoadGen errors and short runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from audit import (
    absent,
    consistency,
    dates,
    figures,
    limits,
    locked,
    order,
    record,
    release,
    requested,
    runtime,
    spans,
    stopping,
    summary,
    validity,
)
from audit.case import ACCURACY_LOG, DETAIL, Case, Check, Claim
from audit.compliance import _settings
from audit.finding import Finding, Severity
from loadgen_harness.run import Run
from loadgen_harness.types import Benchmark, Round

TRUNCATED_BYTES = 10240
WRITTEN = (
    "scenario",
    "test_mode",
    "samples_per_query",
    "target_qps",
    "min_duration_ms",
    "min_query_count",
    "qsl_rng_seed",
    "sample_index_rng_seed",
    "schedule_rng_seed",
    "performance_issue_unique",
    "performance_issue_same",
)
HOLE = 3  # of these: fewer are a key taken out, which has a finding of its own
CHECKS: tuple[Check, ...] = (
    *validity.CHECKS,
    *release.CHECKS,
    *limits.CHECKS,
    *locked.CHECKS,
    *requested.CHECKS,
    *figures.CHECKS,
    *spans.CHECKS,
    *dates.CHECKS,
    *order.CHECKS,
    *stopping.CHECKS,
    *summary.CHECKS,
    *absent.CHECKS,
    *consistency.CHECKS,
    *record.CHECKS,
    *runtime.CHECKS,
)


def check(run: Run, benchmark: Benchmark, round_: Round, claim: Claim | None = None) -> Iterator[Finding]:
    """All findings of one run; `claim` says what a folder without run.json stands for."""
    claim = claim or Claim.of(run)
    yield from readable(run, claim)
    if not run.log or claim.scenario is None:
        return
    if benchmark.name not in round_.benchmarks or claim.scenario not in round_.rules(benchmark.name).limits:
        yield _unknown(benchmark, round_, claim)
        return
    rules = round_.rules(benchmark.name)
    settings = _settings.merged(claim.test, rules)
    case = Case(run, benchmark, round_, claim, rules.limits[claim.scenario], settings)
    for each in CHECKS:
        yield from each(case)


def readable(run: Run, claim: Claim) -> Iterator[Finding]:
    """Whether the files can be read; a log truncated for submission is no damage."""
    for damage in run.damage:
        if not (damage.startswith(ACCURACY_LOG) and truncated(run)):
            yield _damaged(damage)
    yield from _holed(run)
    if not run.log and not run.damage:
        yield _file_finding(DETAIL, "empty", "no LoadGen record", "repeat the run.")
    elif run.log and claim.scenario is None:
        yield _file_finding(DETAIL, "effective_scenario", "missing", "repeat the run.")


def _holed(run: Run) -> Iterator[Finding]:
    """A log that states results lacks settings that every LoadGen since v0.7 writes one after another."""
    lacking = [key for key in WRITTEN if f"effective_{key}" not in run.log]
    if run.syntax == "mllog" and HOLE <= len(lacking) < len(WRITTEN) and "result_validity" in run.log:
        found = f"{len(lacking)} of {len(WRITTEN)} settings are not in the log: {', '.join(lacking)}"
        yield _file_finding(DETAIL, "settings", found, "restore the file or repeat the run.")


def truncated(run: Run) -> bool:
    """Whether the accuracy log was shortened for submission, as the rules demand (its full hash is in accuracy.txt)."""
    return b"\n...\n" in run.read(ACCURACY_LOG, TRUNCATED_BYTES)


def _damaged(damage: str) -> Finding:
    """What a Run says of a file, `name: what` or `name line 7: what`."""
    place = damage.split(":")[0]
    file, _, line = place.partition(" line ")
    found = _file_finding(file, "damaged", damage, "restore the file or repeat the run.")
    return replace(found, line=int(line) if line.isdecimal() else 0)


def _file_finding(file: str, key: str, found: str, fix: str) -> Finding:
    clause = "LoadGen's logs are submitted unaltered (inference_rules.adoc, Load Generator)"
    return Finding("readable", Severity.ERROR, file, key, found, "a log as LoadGen wrote it", clause, fix)


def _unknown(benchmark: Benchmark, round_: Round, claim: Claim) -> Finding:
    return Finding(
        check="round",
        severity=Severity.ERROR,
        file=DETAIL,
        key="scenario",
        found=f"{benchmark.name} in {claim.scenario}",
        wanted=f"a benchmark and scenario of round {round_.name}",
        clause="inference_rules.adoc, Benchmarks",
        fix="Choose a scenario that the round lists for this benchmark.",
    )

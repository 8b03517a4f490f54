"""Does a run obey its round? `check` yields a Finding for everything that the rules reject or that looks wrong.

Clauses name sections of the MLPerf Inference rules, or the LoadGen or checker fact behind a demand. The official
checker looks at a part of this only: it accepts INVALID runs, LoadGen errors and short runs.
"""

from __future__ import annotations

from collections.abc import Iterator

from audit import consistency, limits, runtime, validity
from audit.case import ACCURACY_LOG, DETAIL, Case, Check, Claim
from audit.compliance import _settings
from audit.finding import Finding, Severity
from loadgen_harness.run import Run
from loadgen_harness.types import Benchmark, Round

CHECKS: tuple[Check, ...] = (*validity.CHECKS, *limits.CHECKS, *consistency.CHECKS, *runtime.CHECKS)


def check(run: Run, benchmark: Benchmark, round_: Round, claim: Claim | None = None) -> Iterator[Finding]:
    """All findings of one run; `claim` says what a folder without run.json stands for."""
    claim = claim or Claim.of(run)
    readable = list(_readable(run, claim))
    yield from readable
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


def _readable(run: Run, claim: Claim) -> Iterator[Finding]:
    """Whether the files can be read; a log truncated for submission is no damage."""
    for damage in run.damage:
        if not (damage.startswith(ACCURACY_LOG) and truncated(run)):
            yield _file_finding(damage.split(":")[0], "damaged", damage, "restore the file or repeat the run.")
    if not run.log and not run.damage:
        yield _file_finding(DETAIL, "empty", "no LoadGen record", "repeat the run.")
    elif run.log and claim.scenario is None:
        yield _file_finding(DETAIL, "effective_scenario", "missing", "repeat the run.")


def truncated(run: Run) -> bool:
    """Whether the accuracy log was shortened for submission, as the rules demand (its full hash is in accuracy.txt)."""
    try:
        text = run.file(ACCURACY_LOG).read_bytes()
    except OSError:
        return False
    return len(text) <= 10240 and b"\n...\n" in text


def _file_finding(file: str, key: str, found: str, fix: str) -> Finding:
    clause = "LoadGen's logs are submitted unaltered (rules, Load Generator)"
    return Finding("readable", Severity.ERROR, file, key, found, "a log as LoadGen wrote it", clause, fix)


def _unknown(benchmark: Benchmark, round_: Round, claim: Claim) -> Finding:
    return Finding(
        check="round",
        severity=Severity.ERROR,
        file=DETAIL,
        key="scenario",
        found=f"{benchmark.name} in {claim.scenario}",
        wanted=f"a benchmark and scenario of round {round_.name}",
        clause="rules, Benchmarks",
        fix="Choose a scenario that the round lists for this benchmark.",
    )

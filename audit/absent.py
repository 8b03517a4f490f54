"""What every LoadGen writes and this log lacks: who takes lines out takes evidence away.

The lines stand in all 316 published and golden logs of the `:::MLLOG` syntax, v1.0 to v6.1, whatever else versions add.
"""

from __future__ import annotations

from collections.abc import Iterator

from audit.case import DETAIL, SUMMARY, Case, Check
from audit.finding import Finding, Severity
from audit.requested import EQUAL, EXPECTED, OWN
from loadgen_harness.types import TestMode

CLAUSE = "inference_rules.adoc, LoadGen Operation: LoadGen's logs are submitted as it wrote them"
FIX = "Put back the log as LoadGen wrote it, or repeat the run."
SHOWN = 5
HEAD = ("loadgen_build_date_utc", "loadgen_git_commit_date", "test_datetime")  # one tells LoadGen's own log,
SETTINGS = 22  # and so do this many settings in effect: v1.0 to v6.1 write 24 to 26
ALWAYS = (
    *HEAD,
    "sut_name",
    "loadgen_version",
    "loadgen_file_sha1",
    "loaded_qsl_set",
    "qsl_name",
    "power_begin",
    "power_end",
    *(f"requested_{name}" for name in EQUAL if name != "sample_concatenate_permutation"),
    "requested_performance_sample_count_override",
)
SUMMED = ("sut_name", "effective_scenario", "effective_test_mode", "num_errors", "num_warnings")
FLAGS = ("result_min_duration_met", "result_min_queries_met")


def written_by_loadgen(case: Case) -> bool:
    """Whether LoadGen itself wrote the detail log, as far as what is left of it tells."""
    settings = sum(key.startswith("effective_") for key in case.log)
    return case.run.syntax == "mllog" and (settings >= SETTINGS or any(key in case.log for key in HEAD))


def lines(case: Case) -> Iterator[Finding]:
    """A detail log of LoadGen's own holds every line that LoadGen always writes; one cut off is told elsewhere."""
    if case.run.finished and written_by_loadgen(case):
        scenario = case.run.scenario
        asked = (*OWN.get(scenario, {}).values(), *filter(None, (EXPECTED.get(scenario),)))
        wanted = (*ALWAYS, *(f"requested_{name}" for name in asked))
        yield from _missing(case, DETAIL, [key for key in wanted if key not in case.log])


def parts(case: Case) -> Iterator[Finding]:
    """So does the summary of a performance run, where one lies there."""
    said = case.run.summary
    if not said or not written_by_loadgen(case):
        return
    wanted = (*SUMMED, *FLAGS) if case.run.mode == TestMode.PERFORMANCE.value else SUMMED[3:]
    yield from _missing(case, SUMMARY, [key for key in wanted if key not in said])


def _missing(case: Case, file: str, keys: list[str]) -> Iterator[Finding]:
    if keys:
        more = f" and {len(keys) - SHOWN} more" if len(keys) > SHOWN else ""
        found = f"no {', '.join(keys[:SHOWN])}{more}"
        said = {"file": file, "found": found, "line": 0, "clause": CLAUSE, "fix": FIX, "severity": Severity.WARNING}
        yield case.finding("absent", keys[0], "every line that LoadGen always writes", **said)


CHECKS: tuple[Check, ...] = (lines, parts)

"""run.json against the files beside it: whatever they tell as well, it may not tell otherwise.

A digest proves nothing where the digests were rewritten too. What no other file tells (the model's digest, versions,
memory, the load of the machine, the backend's own words) cannot be checked from the folder, and is not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from audit.case import ACCURACY_LOG, DETAIL, SUMMARY, Case, Check
from audit.finding import Finding, Severity
from loadgen_harness.types import TestMode

FILE = "run.json"
ROUNDED = 1e-4  # LoadGen prints numbers that are not whole with six digits
SLACK_S = 5.0  # the clock may be set while a run lasts
LONGEST_S = 1e9
LOGGED = {  # key of run.json's `settings` -> LoadGen's, where it is not the same with requested_ in front
    "mode": "requested_test_mode",
    "ttft_latency": "requested_server_ttft_latency",
    "tpot_latency": "requested_server_tpot_latency",
}
KEPT = (DETAIL, SUMMARY, ACCURACY_LOG, "samples.npy", "user.conf", "audit.config")
AUDIT_CONFIG, MOST_BYTES = "audit.config", 1 << 16
OWN = "run.json says what LoadGen's log says"
FIX = "Restore run.json or repeat the run: it may not be edited."


def settings(case: Case) -> Iterator[Finding]:
    """Each setting is the one that LoadGen logged as asked for, but for what a compliance test's audit.config sets."""
    said = case.run.meta.get("settings")
    if not isinstance(said, Mapping) or case.run.mode == TestMode.FIND_PEAK:
        return
    changed = case.run.read(AUDIT_CONFIG, MOST_BYTES).decode("utf-8", "replace")
    for name, value in said.items():
        key = LOGGED.get(name, f"requested_{name}")
        logged = case.log.get(key, False if name == "use_token_latencies" else None)
        if logged is not None and f".{name}" not in changed and not _same(value, logged):
            yield _untrue(f"settings.{name}", value, f"{logged}, as {key} in {DETAIL}")


def _same(value: Any, logged: Any) -> bool:
    if isinstance(value, float) and isinstance(logged, int | float):
        return abs(value - logged) <= ROUNDED * abs(logged)
    return bool(value == logged)


def times(case: Case) -> Iterator[Finding]:
    """The run began before LoadGen's window and ended after it."""
    started, wall_s, window = case.run.meta.get("started"), case.run.meta.get("wall_s"), case.run.power_window
    begun = _utc_s(started)
    if begun is None or window is None or not isinstance(wall_s, int | float) or not 0 <= wall_s < LONGEST_S:
        return
    if not begun - SLACK_S <= window[0] <= window[1] <= begun + wall_s + SLACK_S:
        first, last = (datetime.fromtimestamp(each, UTC).isoformat(timespec="seconds") for each in window)
        yield _untrue("started, wall_s", f"{started} and {wall_s:g} s", f"LoadGen's {first} to {last} inside them")


def _utc_s(text: Any) -> float | None:
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def left_out(case: Case) -> Iterator[Finding]:
    """The samples that samples.npy has no row of are those that LoadGen counted beyond its rows.

    Of a record that stopped at its limit nothing is recomputed: the number may not be made up.
    """
    said, table = case.run.meta.get("samples_left_out"), case.run.samples
    counts = [case.number(key) for key in ("result_query_count", "generated_samples_per_query")]
    if not said or table is None or not case.performance or None in counts:
        return
    total = round((counts[0] or 0) * (counts[1] or 0))
    if said != total - len(table):
        yield _untrue("samples_left_out", said, f"{total - len(table)}: LoadGen counted {total}, {len(table)} rows")


def digests(case: Case) -> Iterator[Finding]:
    """Every file that a run writes has its digest: to take one out would take the file out of the check."""
    told = case.run.meta.get("digests")
    if not case.run.meta:
        return
    known = told if isinstance(told, Mapping) else {}
    power = sorted(path.relative_to(case.run.path).as_posix() for path in case.run.path.glob("power/*.csv"))
    for name in (*KEPT, *power):
        if name not in known and case.run.file(name).is_file():
            yield _untrue(f"digests.{name}", "missing", "the SHA-256 of every file that the run wrote")


def _untrue(key: str, found: object, wanted: str) -> Finding:
    return Finding("record", Severity.ERROR, FILE, key, str(found), wanted, f"this suite: {OWN}", FIX)


CHECKS: tuple[Check, ...] = (settings, times, left_out, digests)

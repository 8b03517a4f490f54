"""LoadGen's lines in the order in which it wrote them, and what shows that someone moved them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from audit import absent, order
from audit.case import Case, Claim
from audit.finding import Finding, Severity
from loadgen_harness.run import Run
from loadgen_harness.types import Limits
from tests.audit import folders

Line = tuple[str, float]
LINES: tuple[Line, ...] = (
    ("loadgen_version", 0.01),
    ("test_datetime", 0.01),
    ("requested_scenario", 0.02),
    ("effective_scenario", 0.03),
    ("generated_query_count", 4.0),
    ("power_begin", 900.0),
    ("power_end", 900.0),
    ("result_validity", 950.0),
    ("early_stopping_met", 950.5),
)


def judged(folder: Path, lines: Sequence[Line]) -> list[Finding]:
    """What the order of these lines gives."""
    return list(order.stamps(case(folder, lines)))


def case(folder: Path, lines: Sequence[Line]) -> Case:
    """A run whose detail log holds these lines."""
    folder.mkdir(parents=True, exist_ok=True)
    notes = {"is_error": False, "is_warning": False}
    records = [{"key": key, "value": 1, "time_ms": stamp, "metadata": notes} for key, stamp in lines]
    text = "".join(f":::MLLOG {json.dumps(record)}\n" for record in records)
    (folder / "mlperf_log_detail.txt").write_text(text)
    return Case(Run(folder), folders.benchmark(), folders.ROUND, Claim(), Limits())


def test_the_order_of_loadgen_has_no_finding(tmp_path: Path) -> None:
    assert judged(tmp_path, LINES) == []


def test_lines_turned_round_are_an_error(tmp_path: Path) -> None:
    (found,) = judged(tmp_path, (*LINES[:2], *reversed(LINES[2:])))
    assert (found.check, found.key, found.severity) == ("times", "time_ms", Severity.ERROR)
    assert found.found.startswith("5 steps backwards, the first to 950 ms at result_validity") and found.line == 4


def test_a_clock_that_was_set_back_once_is_a_warning(tmp_path: Path) -> None:
    set_back = [(key, stamp - 500 if stamp >= 950 else stamp) for key, stamp in LINES]
    (found,) = judged(tmp_path, set_back)
    assert (found.severity, found.wanted) == (
        Severity.WARNING,
        "times that rise: power_end above it has 900 ms",
    )


def test_results_above_the_settings_are_an_error_whatever_their_times(tmp_path: Path) -> None:
    keys = [key for key, _ in (*LINES[:2], *LINES[7:], *LINES[2:7])]
    (found,) = judged(tmp_path, [(key, 1.0) for key in keys])
    assert (found.severity, found.found) == (Severity.ERROR, "requested_scenario below early_stopping_met")


def test_errors_of_other_threads_may_come_late(tmp_path: Path) -> None:
    assert judged(tmp_path, (*LINES, ("error_runtime", 700.0), ("warning_generic_message", 0.1))) == []


def test_hand_written_logs_are_left_alone(tmp_path: Path) -> None:
    bare = [(key, stamp) for key, stamp in LINES if key != "test_datetime"]
    assert judged(tmp_path, bare[::-1]) == []


@pytest.mark.parametrize("settings", [absent.SETTINGS - 1, absent.SETTINGS])
def test_a_log_without_its_head_is_told_by_its_settings(tmp_path: Path, settings: int) -> None:
    lines = [*((f"effective_{number}", 0.03) for number in range(settings)), ("power_end", 900.0)]
    found = list(absent.lines(case(tmp_path, lines)))
    assert [each.found.split(",")[0] for each in found] == ["no loadgen_build_date_utc"] * (settings == absent.SETTINGS)

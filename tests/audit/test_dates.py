"""Dates that contradict each other; odd ones never raise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from audit import dates
from audit.case import Case, Claim
from loadgen_harness.types import Scenario
from tests.audit import folders
from tests.audit.folders import ROUND

BUILT, BEGAN = "2026-07-24T17:39:47.375453", "2026-11-22T04:59:54Z"


def keys(folder: Path, **changes: Any) -> list[str]:
    """Keys of the findings about a log with these dates."""
    values = {"loadgen_build_date_utc": BUILT, "test_datetime": BEGAN, **changes}
    run = folders.write(folder, {**folders.performance("Offline"), **values})
    limits = ROUND.rules("toy").limits[Scenario.OFFLINE]
    case = Case(run, folders.benchmark(), ROUND, Claim(Scenario.OFFLINE), limits)
    return [each.key for check in dates.CHECKS for each in check(case)]


@pytest.mark.parametrize("began", [BEGAN, "2026-11-21T20:59:54Z", "2026-11-22T18:00:00Z"])
def test_dates_in_order_whatever_the_time_zone(tmp_path: Path, began: str) -> None:
    assert keys(tmp_path, test_datetime=began) == []


@pytest.mark.parametrize("began", ["2026-11-21T04:59:54Z", "2026-11-23T04:59:54Z"])
def test_a_log_of_another_day(tmp_path: Path, began: str) -> None:
    assert keys(tmp_path, test_datetime=began) == ["test_datetime"]


def test_built_after_the_run(tmp_path: Path) -> None:
    assert keys(tmp_path, loadgen_build_date_utc="2026-12-24T17:39:47.375453") == ["loadgen_build_date_utc"]


@pytest.mark.parametrize("key", ["loadgen_build_date_utc", "test_datetime", "power_begin"])
@pytest.mark.parametrize("value", ["", None, 7, "0001-01-01T00:00:00", "9999-12-31T23:59:59", "2026-11-22T05+01:00"])
def test_odd_dates_never_raise(tmp_path: Path, key: str, value: object) -> None:
    assert isinstance(keys(tmp_path, **{key: value}), list)

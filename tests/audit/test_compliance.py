"""TEST01, TEST04 and TEST06 on small run folders written by hand."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audit.compliance.test01 import TEST as TEST01
from audit.compliance.test04 import TEST as TEST04
from audit.compliance.test06 import TEST as TEST06
from audit.finding import Severity
from loadgen_harness import registry, rounds
from loadgen_harness.run import Run
from loadgen_harness.types import Scenario, Score
from tests.audit import folders
from tests.audit.folders import AUDIT_WARNING, MS, ROUND

ENTRIES = [folders.response(index, np.float32(index).tobytes()) for index in range(10)]


def accurate(folder: Path) -> Run:
    """An accuracy run of ten samples."""
    return folders.write(folder / "accuracy", folders.common("Server", "AccuracyOnly"), responses=ENTRIES)


def reference(folder: Path, scenario: str = "Server", **changes: Any) -> Run:
    """The submission's performance run."""
    return folders.write(folder / "reference", {**folders.performance(scenario), **changes})


def audited(folder: Path, test: str, responses: list[dict[str, Any]] | None = None, **changes: Any) -> Run:
    """The test's run."""
    scenario = changes.pop("scenario", "Server")
    values = folders.audited(folders.performance(scenario), test, **changes)
    return folders.write(folder / "audit", values, warnings=[AUDIT_WARNING], responses=responses)


def score(responses: Mapping[int, bytes]) -> list[Score]:
    """The mean response as an accuracy."""
    values = [float(np.frombuffer(data, np.float32)[0]) for data in responses.values()]
    return [Score("acc", float(np.mean(values)), 0, 100, len(values), "exact")]


def test_each_is_a_plugin_under_its_file_name() -> None:
    found = {name: registry.load(registry.TESTS, name) for name in registry.names(registry.TESTS)}
    assert {name: test.name for name, test in found.items()} == {name: name.upper() for name in found}
    assert {"test01", "test04", "test06"} <= found.keys()


def test_they_apply_where_the_round_says() -> None:
    toy, talk = folders.benchmark("toy"), folders.benchmark("talk")
    assert TEST01.applies(toy, Scenario.SERVER, ROUND) and TEST04.applies(toy, Scenario.OFFLINE, ROUND)
    assert not TEST06.applies(toy, Scenario.SERVER, ROUND) and TEST06.applies(talk, Scenario.INTERACTIVE, ROUND)
    mini, digits = rounds.load("mini"), folders.benchmark("digits")
    assert TEST01.applies(digits, Scenario.OFFLINE, mini) and not TEST01.applies(digits, Scenario.SERVER, mini)
    assert not TEST01.applies(folders.benchmark("nothing"), Scenario.OFFLINE, ROUND)


def test_a_rounds_settings_reach_the_config() -> None:
    text = TEST01.config(folders.benchmark("digits"), rounds.load("mini"))
    assert "*.*.accuracy_log_sampling_target = 128\n" in text
    assert TEST06.config(folders.benchmark("talk"), ROUND).splitlines()[2:] == [
        "*.*.accuracy_log_sampling_target = 100",
        "*.*.min_query_count = 100",
        "*.*.min_duration = 0",
        "*.*.sample_concatenate_permutation = 0",
    ]


def test_test01_passes_on_equal_responses(tmp_path: Path) -> None:
    run = audited(tmp_path, "TEST01", ENTRIES[2:5] + ENTRIES[2:3])
    verdict = TEST01.verify(reference(tmp_path), accurate(tmp_path), run)
    assert verdict.passed and verdict.findings == ()
    assert set(verdict.files) == {"verify_accuracy.txt", "verify_performance.txt"}
    assert all(text.rstrip().endswith("TEST PASS") for text in verdict.files.values())
    assert str(tmp_path) not in "".join(verdict.files.values())


@pytest.mark.parametrize("responses", [[], None, [folders.response(3, b"\0\0\0\0")], [folders.response(99, b"1234")]])
def test_test01_fails_on_other_or_no_responses(tmp_path: Path, responses: list[dict[str, Any]] | None) -> None:
    verdict = TEST01.verify(reference(tmp_path), accurate(tmp_path), audited(tmp_path, "TEST01", responses))
    assert not verdict.passed and [f.key for f in verdict.findings] == ["data"]
    assert "TEST FAIL" in verdict.files["verify_accuracy.txt"]


def test_test01_compares_every_byte_of_a_response(tmp_path: Path) -> None:
    other = np.float32(3).tobytes()[:3] + b"\x41"
    verdict = TEST01.verify(
        reference(tmp_path), accurate(tmp_path), audited(tmp_path, "TEST01", [folders.response(3, other)])
    )
    assert not verdict.passed


@pytest.mark.parametrize(("factor", "passes"), [(1.005, True), (1.02, False)])
def test_test01_falls_back_to_accuracy_within_one_percent(tmp_path: Path, factor: float, passes: bool) -> None:
    near = [folders.response(index, np.float32(index * factor).tobytes()) for index in range(2, 6)]
    run = audited(tmp_path, "TEST01", near)
    verdict = TEST01.verify(reference(tmp_path), accurate(tmp_path), run, score=score)
    assert verdict.passed is passes
    assert [f.severity for f in verdict.findings] == [Severity.WARNING if passes else Severity.ERROR]
    assert verdict.files["accuracy/baseline_accuracy.txt"].startswith("accuracy=3.500%")
    assert not TEST01.verify(reference(tmp_path), accurate(tmp_path), run).passed


def test_test01_wants_its_audit_config_and_an_accuracy_run(tmp_path: Path) -> None:
    plain = folders.write(tmp_path / "plain", folders.performance("Server"), responses=ENTRIES)
    verdict = TEST01.verify(reference(tmp_path), accurate(tmp_path), plain)
    assert {f.key for f in verdict.findings} == {"audit.config", "effective_accuracy_log_sampling_target"}
    assert not TEST01.verify(reference(tmp_path), None, audited(tmp_path, "TEST01", ENTRIES)).passed


@pytest.mark.parametrize(("scenario", "key"), [
    ("SingleStream", "early_stopping_latency_ss"), ("MultiStream", "early_stopping_latency_ms"),
    ("Server", "result_completed_samples_per_sec"), ("Offline", "result_samples_per_second"),
])  # fmt: skip
def test_test04_fails_where_one_sample_is_faster(tmp_path: Path, scenario: str, key: str) -> None:
    before = folders.performance(scenario)[key]
    faster = before / 1.12 if "latency" in key else before * 1.12
    good = TEST04.verify(reference(tmp_path, scenario), None, audited(tmp_path, "TEST04", scenario=scenario))
    assert good.passed and set(good.files) == {"verify_performance.txt"}
    run = audited(tmp_path, "TEST04", scenario=scenario, **{key: faster})
    bad = TEST04.verify(reference(tmp_path, scenario), None, run)
    assert not bad.passed and [f.key for f in bad.findings] == ["score"]
    wider = {"performance_tolerance_percent": 15, "performance_issue_same": 1, "performance_issue_same_index": 3}
    assert TEST04.verify(reference(tmp_path, scenario), None, run, settings=wider).passed


def test_very_short_latencies_may_differ_by_twenty_percent(tmp_path: Path) -> None:
    short = reference(tmp_path, "SingleStream", early_stopping_latency_ss=200_000)
    run = audited(tmp_path, "TEST04", scenario="SingleStream", early_stopping_latency_ss=170_000)
    assert TEST04.verify(short, None, run).passed


@pytest.mark.parametrize("change", [
    {"result_validity": "INVALID"}, {"effective_scenario": "Offline"}, {"effective_target_latency_ns": 60 * MS},
    {"effective_performance_issue_same_index": 0}, {"effective_performance_issue_unique": True},
])  # fmt: skip
def test_test04_wants_like_and_valid_runs(tmp_path: Path, change: dict[str, Any]) -> None:
    verdict = TEST04.verify(reference(tmp_path), None, audited(tmp_path, "TEST04", **change))
    assert not verdict.passed and "TEST FAIL" in verdict.files["verify_performance.txt"]


def spoken(*ids: int, first: int | None = None, count: int | None = None) -> dict[str, Any]:
    """A token response; by default its first token and count are those of the output."""
    data = np.array(ids, "<i4").tobytes()
    head = np.array([ids[0] if first is None else first], "<i4").tobytes()
    return folders.response(0, data, token_data=head, token_count=len(ids) if count is None else count)


TALK = [(spoken(5, 6, 2), ""), (spoken(5, 6, 7), ""), (spoken(2), ""), (spoken(5, 2, 2), "EOS check"),
        (spoken(5, 6, first=6), "First token check"), (spoken(5, 6, count=3), "Sample length check")]  # fmt: skip


@pytest.mark.parametrize(("entry", "fails"), TALK)
def test_test06_looks_at_tokens(tmp_path: Path, entry: dict[str, Any], fails: str) -> None:
    values = folders.audited(folders.talking(), "TEST06")
    run = folders.write(tmp_path, values, warnings=[AUDIT_WARNING], responses=[spoken(4, 5), entry])
    verdict = TEST06.verify(run, None, run)
    assert verdict.passed is not bool(fails) and [f.key for f in verdict.findings] == [fails] * bool(fails)
    names = ("First token check", "EOS check", "Sample length check")
    ending = f"TEST06 verification {'failed' if fails else 'complete'}"
    shown = [*(f"{name} pass: {name != fails}" for name in names), ending]
    assert verdict.files["verify_accuracy.txt"].splitlines() == shown


def test_test06_skips_the_first_token_offline_and_knows_another_eos(tmp_path: Path) -> None:
    values = folders.audited(folders.performance("Offline"), "TEST06")
    entry = {key: value for key, value in spoken(5, 2, 2).items() if key != "token_data"}
    run = folders.write(tmp_path, values, warnings=[AUDIT_WARNING], responses=[entry])
    settings = {"eos_token_id": 0, "accuracy_log_sampling_target": 100}
    verdict = TEST06.verify(run, None, run, settings=settings)
    assert verdict.passed and "First token check pass: Skipped\n" in verdict.files["verify_accuracy.txt"]
    assert not TEST06.verify(run, None, run).passed


@pytest.mark.parametrize("responses", [[], [folders.response(0, b"123", token_count=1, token_data=b"1")]])
def test_test06_fails_on_nothing_and_on_odd_bytes(tmp_path: Path, responses: list[dict[str, Any]]) -> None:
    values = folders.audited(folders.talking(), "TEST06")
    run = folders.write(tmp_path, values, warnings=[AUDIT_WARNING], responses=responses)
    assert len(TEST06.verify(run, None, run).findings) == 3


def test_settings_come_from_the_runs_own_round(tmp_path: Path) -> None:
    near = [folders.response(3, ENTRIES[3] and bytes.fromhex(ENTRIES[3]["data"]))]
    run = audited(tmp_path, "TEST01", near, effective_accuracy_log_sampling_target=128)
    assert not TEST01.verify(reference(tmp_path), accurate(tmp_path), run).passed
    ours = folders.own(run, benchmark="digits", round="mini", test="TEST01", scenario="Server")
    assert TEST01.verify(reference(tmp_path), accurate(tmp_path), ours).passed

"""TEST06: first token, end of sequence and token count of logged responses, in every type of token."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from audit.compliance.test06 import DTYPES
from audit.compliance.test06 import TEST as TEST06
from audit.verdict import Trial
from tests.audit import folders, trials
from tests.audit.folders import AUDIT_WARNING
from tests.audit.trials import spoken

SETTINGS = {"accuracy_log_sampling_target": 100.0}
TALK = [(spoken(5, 6, 2), ""), (spoken(5, 6, 7), ""), (spoken(2), ""), (spoken(5, 2, 2), "EOS check"),
        (spoken(2, 2), "EOS check"), (spoken(2, 2, 5), ""), (spoken(5, 6, first=6), "First token check"),
        (spoken(5, 6, count=3), "Sample length check")]  # fmt: skip


def trial(folder: Path, entry: dict[str, Any], scenario: str = "Server") -> Trial:
    """A run that logged one response."""
    values = folders.talking() if scenario == "Server" else folders.performance(scenario)
    log = folders.audited(values, "TEST06")
    return Trial(folders.write(folder, log, warnings=[AUDIT_WARNING], responses=[entry]), SETTINGS)


@pytest.mark.parametrize(("entry", "fails"), TALK)
def test_it_looks_at_tokens(tmp_path: Path, entry: dict[str, Any], fails: str) -> None:
    verdict = TEST06.judge(trial(tmp_path, entry))
    assert [finding.key for finding in verdict.findings] == ([fails] if fails else [])
    assert verdict.passed is not bool(fails)
    text = verdict.files["verify_accuracy.txt"]
    assert text.count("pass: True\n") == (2 if fails else 3)
    assert text.endswith("verification failed\n" if fails else "verification complete\n")


@pytest.mark.parametrize("name", DTYPES)
def test_tokens_may_be_of_any_official_type(tmp_path: Path, name: str) -> None:
    good = trial(tmp_path / "good", spoken(5, 6, 2, dtype=DTYPES[name]))
    assert TEST06.judge(replace(good, dtype=name)).passed
    others = [other for other in DTYPES if DTYPES[other][-1] != DTYPES[name][-1]]
    wrong = [other for other in others if TEST06.judge(replace(good, dtype=other)).passed]
    assert wrong == []
    twice = trial(tmp_path / "twice", spoken(5, 2, 2, dtype=DTYPES[name]))
    found = [finding.key for finding in TEST06.judge(replace(twice, dtype=name)).findings]
    assert found == ["EOS check"]


def test_the_rounds_end_of_sequence_counts(tmp_path: Path) -> None:
    run = trial(tmp_path, spoken(5, 7, 7))
    assert TEST06.judge(run).passed
    other = replace(run, settings={**SETTINGS, "eos_token_id": 7})
    assert [finding.key for finding in TEST06.judge(other).findings] == ["EOS check"]


def test_the_first_token_is_skipped_offline(tmp_path: Path) -> None:
    entry = {key: value for key, value in spoken(5, 6, 2).items() if key != "token_data"}
    offline = TEST06.judge(trial(tmp_path / "offline", entry, "Offline"))
    assert offline.passed and "First token check pass: Skipped\n" in offline.files["verify_accuracy.txt"]
    server = TEST06.judge(trial(tmp_path / "server", entry))
    assert [finding.key for finding in server.findings] == ["First token check"]


@pytest.mark.parametrize("responses", [[], [folders.response(0, b"123", token_count=1, token_data=b"1")]])
def test_it_fails_on_nothing_and_on_odd_bytes(tmp_path: Path, responses: list[dict[str, Any]]) -> None:
    values = folders.audited(folders.talking(), "TEST06")
    run = folders.write(tmp_path, values, warnings=[AUDIT_WARNING], responses=responses)
    assert len(TEST06.verify(run, None, run).findings) == 3


def test_the_type_is_int32_by_default(tmp_path: Path) -> None:
    run = trials.talked(tmp_path, "TEST06", [spoken(5, 6, 2)])
    assert TEST06.verify(run, None, run, settings={"accuracy_log_sampling_target": trials.LIMIT}).passed

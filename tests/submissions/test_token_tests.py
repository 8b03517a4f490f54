"""Token tests in a tree: their whole logs go in; truncation shortens those of TEST07 and TEST09, as TEST01's."""

from __future__ import annotations

from pathlib import Path

import pytest

from audit.verdict import Verdict
from loadgen_harness.types import Scenario
from submissions.generate import Entry, generate
from submissions.truncate import truncate
from tests.submissions import trees
from tests.submissions.folders import DIGITS, Made, make


@pytest.mark.parametrize(
    ("test", "text"), [("TEST07", "verify_accuracy.txt"), ("TEST09", "verify_output_len.txt")], ids=["TEST07", "TEST09"]
)
def test_the_log_of_a_token_test_is_submitted_and_truncated(tmp_path: Path, test: str, text: str) -> None:
    performance, audited = (make(tmp_path / name, Made(Scenario.OFFLINE, 200, 5.0)) for name in ("one", "two"))
    verdict = Verdict(True, {text: "TEST PASS\n"}, ())
    entry = Entry(DIGITS, Scenario.OFFLINE, performance, compliance={test: (audited, verdict)})
    tree = generate([entry], trees.meta(), tmp_path / "tree")
    place = next(tree.glob(f"closed/*/results/*/digits/Offline/{test}"))
    assert (place / text).read_text() == "TEST PASS\n"
    assert (place / "performance/run_1/mlperf_log_detail.txt").is_file()
    log = place / "accuracy/mlperf_log_accuracy.json"
    assert log.read_bytes() == audited.file(log.name).read_bytes()
    truncate(tree, tmp_path / "backup")
    assert log.stat().st_size < 10_000
    assert (place / "accuracy/accuracy.txt").read_text().startswith(f"{test}: responses judged, see {text}\n\nhash=")


def test_the_log_of_test06_stays_whole(tmp_path: Path) -> None:
    performance, audited = (make(tmp_path / name, Made(Scenario.OFFLINE, 200, 5.0)) for name in ("one", "two"))
    verdict = Verdict(True, {"verify_accuracy.txt": "EOS check pass: True\n"}, ())
    entry = Entry(DIGITS, Scenario.OFFLINE, performance, compliance={"TEST06": (audited, verdict)})
    tree = generate([entry], trees.meta(), tmp_path / "tree")
    place = next(tree.glob("closed/*/results/*/digits/Offline/TEST06"))
    log = place / "accuracy/mlperf_log_accuracy.json"
    whole = audited.file(log.name).read_bytes()
    truncate(tree, tmp_path / "backup")
    assert log.read_bytes() == whole and not (place / "accuracy/accuracy.txt").exists()

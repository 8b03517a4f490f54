"""`lgh check` on the folder that `lgh power-session` left, or on the folder of any official power session."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from audit.finding import errors
from loadgen_harness import subjects
from loadgen_harness.errors import BadInput
from loadgen_harness.types import Scenario
from power import session
from power.simulator import MARK
from submissions.recognise import Kind, kind_of
from tests.audit.power_sessions import Draft, draft
from tests.submissions.folders import Made, make


def kept(folder: Path, made: Draft | None = None) -> Path:
    """What `lgh power-session` leaves: the official folder and both runs as folders of ours."""
    made = made or draft()
    for phase in session.ORDER:
        run = make(folder / "runs" / phase, Made(Scenario.SINGLE_STREAM, 200, 2.0))
        assert run.meta
    made.write(folder / "performance")
    return folder


def found(path: Path) -> list[tuple[str, str]]:
    """(check, file) of each error."""
    return [(each.check, each.file) for each in errors(subjects.audit(path, subjects.Asked()).findings)]


def test_a_session_in_order_has_the_runs_errors_alone(tmp_path: Path) -> None:
    folder = kept(tmp_path / "session")
    alone = subjects.audit(folder / "runs" / "testing", subjects.Asked())
    audited = subjects.audit(folder, subjects.Asked())
    assert (kind_of(folder), audited.kind, audited.round) == (Kind.SESSION, "power session", alone.round)
    assert not [each for each in found(folder) if each[0].startswith("power-")]
    names = [each.file for each in audited.findings]
    for phase in session.ORDER:
        assert [name for name in names if name.startswith(f"runs/{phase}/")]
    assert len(names) == 2 * len(alone.findings)
    [figures] = audited.figures.values()
    assert figures.value == next(iter(alone.figures.values())).value
    assert figures.power == "101 W", "the analyzer's"


def test_an_edit_after_the_session_is_found(tmp_path: Path) -> None:
    folder = kept(tmp_path / "session")
    log = folder / "performance/run_1/spl.txt"
    log.write_text(log.read_text().replace("Watts,101", "Watts,91"))
    assert ("power-digest", "performance/run_1/spl.txt") in found(folder)


def test_an_edit_of_a_kept_run_is_found(tmp_path: Path) -> None:
    folder = kept(tmp_path / "session")
    before = found(folder)
    log = folder / "runs/ranging/mlperf_log_detail.txt"
    log.write_text(log.read_text().replace('"VALID"', '"INVALID"'))
    assert {each[1] for each in found(folder) if each not in before} == {"runs/ranging/mlperf_log_detail.txt"}


def test_a_try_out_is_refused_once_a_file(tmp_path: Path) -> None:
    made = draft()
    made.say("Identify", f"{MARK},version=1.11.1-{MARK}")
    marked = [each for each in found(kept(tmp_path / "session", made)) if each[0] == "power-simulated"]
    assert marked and len(set(marked)) == len(marked)


def test_a_session_of_others_is_judged_by_its_logs(tmp_path: Path) -> None:
    """The official folder alone: power/, ranging/ and run_1/."""
    home = draft().write(tmp_path / "lab")
    assert kind_of(home) is Kind.SESSION
    assert not [each for each in found(home) if each[0].startswith("power-")]
    (home / "power/client.json").unlink()
    assert "power/client.json" in {file for _, file in found(home)}


def test_a_session_inside_a_tree_is_a_part_of_it(tmp_path: Path) -> None:
    place = tmp_path / "closed/Acme/results/box/resnet50/Offline"
    draft().write(place / "performance")
    with pytest.raises(BadInput, match="part of the submission tree"):
        kind_of(place)
    shutil.move(place, tmp_path / "apart")
    assert kind_of(tmp_path / "apart") is Kind.SESSION

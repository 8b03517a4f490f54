"""Foreign folders are judged under a round's settings, and the official texts are written."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from audit.compliance_folder import Exhibit, round_of, verify_folder
from audit.verdict import Verdict
from loadgen_harness import rounds
from loadgen_harness.errors import BadInput, UnknownName
from loadgen_harness.types import Round
from tests.audit import folders
from tests.audit.trials import ENTRIES, accurate, audited, logged, mean_score, reference, spoken, talked

TOY = rounds.parse(
    {
        "name": "toys",
        "seeds": folders.SEEDS,
        "benchmarks": {
            name: {"tests": tests, "scenarios": {"Server": {}}, "test_settings": settings}
            for name, tests, settings in [
                ("toy", ["TEST01", "TEST04"], {"TEST01": {"accuracy_log_sampling_target": 64}}),
                ("talk", ["TEST06", "TEST07", "TEST09"], {
                    "TEST06": {"accuracy_log_sampling_target": 50},
                    "TEST07": {**logged(2), "accuracy_threshold": 3.0},
                    "TEST09": {**logged(2), "min_output_tokens": 1.0, "max_output_tokens": 2.5},
                }),
            ]
        },
    }
)  # fmt: skip


def exhibit(folder: Path) -> Exhibit:
    """Folders of TEST01 that pass under the round's 64 samples."""
    run = audited(folder, "TEST01", ENTRIES[2:5], effective_accuracy_log_sampling_target=64)
    return Exhibit(run.path, reference(folder).path, accurate(folder).path)


def verified(test: str, folder: Exhibit, output: Path, name: str = "toy", round_: Round = TOY) -> Verdict:
    """The verdict on a folder."""
    benchmark = replace(folders.benchmark(name), response_dtype="uint8")
    return verify_folder(test, folder, benchmark=benchmark, round_=round_, output=output, score=mean_score)


def test_the_texts_are_written_and_nothing_else(tmp_path: Path) -> None:
    output = tmp_path / "new" / "TEST01"
    verdict = verified("test01", exhibit(tmp_path), output)
    assert verdict.passed
    assert sorted(path.name for path in output.iterdir()) == ["verify_accuracy.txt", "verify_performance.txt"]
    assert {path.name: path.read_text() for path in output.iterdir()} == dict(verdict.files)


def test_an_old_text_is_replaced_and_accuracy_texts_get_their_folder(tmp_path: Path) -> None:
    near = [folders.response(index, np.float32(4).tobytes()) for index in (4, 5)]
    run = audited(tmp_path, "TEST01", near, effective_accuracy_log_sampling_target=64)
    folder = Exhibit(run.path, reference(tmp_path).path, accurate(tmp_path).path)
    (tmp_path / "out").mkdir()
    (tmp_path / "out/verify_accuracy.txt").write_text("TEST PASS\n")
    verdict = verified("TEST01", folder, tmp_path / "out")
    assert not verdict.passed and "TEST FAIL" in (tmp_path / "out/verify_accuracy.txt").read_text()
    assert (tmp_path / "out/accuracy/baseline_accuracy.txt").read_text().startswith("accuracy=4.500%")


def test_token_tests_need_the_audited_run_alone(tmp_path: Path) -> None:
    entries = [spoken(3, 4, index=0), spoken(5, 6, index=1)]
    for test in ("TEST06", "TEST09"):
        run = talked(tmp_path / test, test, entries)
        verdict = verified(test, Exhibit(run.path), tmp_path / "out" / test, "talk")
        assert verdict.passed, verdict.findings
    assert (tmp_path / "out/TEST09/verify_output_len.txt").is_file()


def test_the_type_of_tokens_may_be_stated(tmp_path: Path) -> None:
    run = talked(tmp_path, "TEST06", [spoken(3, 4, 2, dtype="<i8")])
    assert not verified("TEST06", Exhibit(run.path), tmp_path / "out", "talk").passed
    assert verified("TEST06", Exhibit(run.path, dtype="int64"), tmp_path / "out", "talk").passed
    with pytest.raises(UnknownName, match=r"type of tokens 'int46'.*'int64'"):
        verified("TEST06", Exhibit(run.path, dtype="int46"), tmp_path / "out", "talk")


@pytest.mark.parametrize(("test", "drop", "message"), [
    ("TEST01", {"performance": None}, "TEST01 cannot be judged without --performance"),
    ("TEST01", {"performance": None, "accuracy": None}, "--performance .* and --accuracy"),
    ("TEST04", {"performance": None}, "--performance"),
])  # fmt: skip
def test_a_missing_folder_is_named_by_its_option(
    tmp_path: Path, test: str, drop: dict[str, None], message: str
) -> None:
    with pytest.raises(BadInput, match=message):
        verified(test, replace(exhibit(tmp_path), **drop), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_test07_needs_labels(tmp_path: Path) -> None:
    run = talked(tmp_path, "TEST07", [spoken(3, 4)])
    with pytest.raises(BadInput, match="without --data"):
        verify_folder("TEST07", Exhibit(run.path), benchmark=folders.benchmark("talk"), round_=TOY, output=tmp_path)


def test_a_folder_without_logs_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput, match=r"holds no mlperf_log_detail\.txt"):
        verified("TEST06", Exhibit(tmp_path / "empty"), tmp_path / "out", "talk")
    with pytest.raises(BadInput, match=r"--accuracy: .* holds no mlperf_log_accuracy\.json"):
        verified("TEST01", replace(exhibit(tmp_path), accuracy=tmp_path / "empty"), tmp_path / "out")


def test_unknown_tests_and_tests_of_other_benchmarks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="unknown compliance test 'TEST05'"):
        verified("TEST05", exhibit(tmp_path), tmp_path / "out")
    with pytest.raises(UnknownName, match="of toy in round toys"):
        verified("TEST06", exhibit(tmp_path), tmp_path / "out")


def test_the_round_is_the_one_named_or_the_one_of_the_seeds(tmp_path: Path) -> None:
    seeds = {f"effective_{name}_rng_seed": seed for name, seed in vars(rounds.load("v6.1").seeds).items()}
    foreign = folders.write(tmp_path / "foreign", {**folders.performance("Server"), **seeds})
    assert round_of(foreign).name == "v6.1"
    assert round_of(folders.own(foreign, round="mini")).name == "mini"
    with pytest.raises(BadInput, match="seeds of no known round"):
        round_of(folders.write(tmp_path / "other", folders.performance("Server")))

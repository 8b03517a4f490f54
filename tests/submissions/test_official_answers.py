"""Whatever the official checkers answer, `lgh check` shows it beside ours and says why they disagree."""

from __future__ import annotations

import json
import re
import shutil
import time
from pathlib import Path

import psutil
import pytest

from loadgen_harness.errors import BadInput, MissingDependency
from submissions import official
from tests.loadgen_harness.test_auditing import lgh, spoil
from tests.submissions.stand_ins import BODY, checkout, saying

MULTI = "closed/Acme/toybox_1x_cpu/resnet50/MultiStream"
SINGLE = "closed/Acme/toybox_1x_cpu/resnet50/SingleStream"


def check(tree: Path, repository: Path | str) -> tuple[int, str]:
    """Exit code and the report as text."""
    output = tree.parent / "report.txt"
    code = lgh("check", tree, "--official", repository, "--output", output)
    return code, output.read_text(encoding="utf-8")


def test_an_answer_that_was_not_expected_is_explained(tree: Path, tmp_path: Path) -> None:
    code, said = check(tree, checkout(tmp_path / "c", new=saying({"MultiStream": "the moon is full"})))
    assert code == 1
    lines = [line.strip() for line in said.splitlines() if line.strip().startswith(MULTI)]
    assert len(lines) == 3, "the rules and the new, the expected and the new, the new and the old"
    assert all("the moon is full" in line for line in lines)
    assert "the new official checker was expected to accept it and rejects" in said
    assert "the new official checker rejects, the old official checker accepts" in said
    assert "official, new" in said and "official, old" in said


def test_a_fault_that_this_checker_passes_over_is_named(tree: Path, tmp_path: Path) -> None:
    path = next(tree.glob("closed/*/results/*/*/SingleStream/performance/run_1/mlperf_log_detail.txt"))
    old, new = ('"key": "effective_qsl_rng_seed", "value": ' + seed for seed in ("", "1"))
    path.write_text(path.read_text().replace(old, new))  # of the expected checker: rejects
    code, said = check(tree, checkout(tmp_path / "c"))
    assert code == 1
    assert f"{SINGLE}: the new official checker was expected to reject it and accepts. Seeds" in said
    assert "does otherwise here than the one of b66003e1 that was read" in said


def test_stricter_rules_are_said_with_their_clause(tree: Path, tmp_path: Path) -> None:
    spoil(tree)
    code, said = check(tree, checkout(tmp_path / "c", old=saying({"SingleStream": "invalid"})))
    assert (
        code == 1
        and f"{SINGLE}: the rules reject, the new official checker accepts. Ours is stricter: validity" in said
    )
    assert "the rules: inference_rules.adoc, LoadGen Operation: the run must be valid" in said
    assert "the old official checker: it demands result_validity VALID" in said


def test_agreement_needs_no_sentence(tree: Path, tmp_path: Path) -> None:
    code, said = check(tree, checkout(tmp_path / "c"))
    assert code == 0 and "disagree" not in said and "the rules accept," not in said


def test_a_checkout_without_the_old_checker_has_no_column_of_it(tree: Path, tmp_path: Path) -> None:
    code, said = check(tree, checkout(tmp_path / "c", old=None))
    assert code == 0 and "official, new" in said and "official, old" not in said


def test_all_that_it_printed_lies_in_a_log(tree: Path, tmp_path: Path) -> None:
    check(
        tree, checkout(tmp_path / "c", new=saying({}, more="print('chatter', chr(233)); print('x', file=sys.stderr)"))
    )
    log = (tmp_path / "tree.official" / "new.log").read_bytes()
    assert b"chatter" in log and b"x\n" in log and (tmp_path / "tree.official" / "old.log").is_file()


def test_where_no_log_can_lie_beside_the_tree_it_lies_elsewhere(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "tree.official").write_text("a file of somebody's")
    code, said = check(tree, checkout(tmp_path / "c"))
    (log,) = re.findall(r"log: (\S*new\.log)", said)
    assert code == 0 and "SUMMARY" in Path(log).read_text()
    shutil.rmtree(Path(log).parent)


def test_a_crash_is_told_in_a_sentence(tree: Path, tmp_path: Path) -> None:
    code, said = check(tree, checkout(tmp_path / "c", new="print('begun')\n{}['cooling']\n"))
    assert code == 1
    assert "the tree: the rules accept, the new official checker crashes." in said
    assert "came to no verdict: it ended before its summary: KeyError: 'cooling'." in said
    assert said.count("crashes") >= 5, "every result stands without a verdict of its"


@pytest.mark.parametrize(
    ("program", "sentence"),
    [
        ("import sys; sys.exit(3)", "it ended with exit code 3 before its summary and named no reason"),
        ("import os; os.kill(os.getpid(), 9)", "it was killed by signal 9 before its summary"),
        ("print(b'\\xff\\xfe'); import os; os.write(1, b'\\xff'); raise SystemError('bad')", "SystemError: bad"),
    ],
)
def test_every_early_end_has_its_sentence(tree: Path, tmp_path: Path, program: str, sentence: str) -> None:
    verdict = official.official(tree, checkout(tmp_path / "c", new=program), "v6.1")
    assert verdict.word == "crashes" and sentence in verdict.fault and not verdict.passed


def test_one_that_does_not_end_is_ended_with_its_children(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(official, "TIMEOUT_S", 1.0)
    child = "import subprocess; subprocess.Popen(['sleep', '98.7654'])"
    hang = f"{child}; import time; print('on', flush=True); time.sleep(99)"
    begun = time.monotonic()
    verdict = official.official(tree, checkout(tmp_path / "c", new=hang), "v6.1", log=tmp_path / "log")
    assert time.monotonic() - begun < 20 and verdict.word == "crashes"
    assert "no verdict within 1.0 s" in verdict.fault and (tmp_path / "log").read_text() == "on\n"
    assert not [each for each in psutil.process_iter(["cmdline"]) if "98.7654" in (each.info["cmdline"] or ())]


def test_a_package_that_it_needs_is_named(tree: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingDependency, match="nowhere_to_be_found"):
        official.official(tree, checkout(tmp_path / "c", new="import nowhere_to_be_found.x"), "v6.1")
    with pytest.raises(BadInput, match="lacks its own module log_parser"):
        official.official_old(tree, checkout(tmp_path / "d", old="import log_parser"), "v6.1")


def test_the_installed_one_is_asked_by_that_word(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadInput, match="no package submission_checker is installed"):
        official.official(tree, Path("installed"), "v6.1")
    home = checkout(tmp_path / "c", new=saying({"Offline": "not today"})) / "tools" / "submission"
    monkeypatch.syspath_prepend(str(home))
    code, said = check(tree, "installed")
    assert code == 1 and "not today" in said and "official, old" in said


def test_programs_get_the_disagreements_too(tree: Path, tmp_path: Path) -> None:
    repository, output = checkout(tmp_path / "c", new=saying({"MultiStream": "no"})), tmp_path / "out.json"
    lgh("check", tree, "--official", repository, "--format", "json", "--output", output)
    (found,) = json.loads(output.read_text())["audited"]
    assert {tuple(each["between"]) for each in found["disagreements"]} == {
        ("rules", "new"),
        ("expected", "new"),
        ("new", "old"),
    }
    assert all(each["places"] == [MULTI] and each["why"] for each in found["disagreements"])


def test_what_is_rejected_as_a_whole_rejects_its_results(tree: Path, tmp_path: Path) -> None:
    (tree / "closed/Acme/results/toybox_1x_cpu/resnet50/SingleStream/.hidden").write_text("x")
    lines = [
        f"[now old.py:1 {said}" for said in ("ERROR] NoResults closed/Acme", "INFO] SUMMARY: submission has errors")
    ]
    code, said = check(tree, checkout(tmp_path / "c", old=BODY.format(lines=lines, code=1, more="")))
    assert code == 1 and "2 results: the rules accept, the old official checker rejects. A fault outside of the" in said
    assert "files path; the old official checker: it looks at names, links and empty folders itself" in said


def test_a_scenario_that_lacks_fails_the_others_in_the_new_one_alone(tree: Path, tmp_path: Path) -> None:
    shutil.rmtree(tree / "closed/Acme/results/toybox_1x_cpu/resnet50/MultiStream")
    whole = "print('[now x ERROR] NoResults closed/Acme/results/toybox_1x_cpu/resnet50')"
    old = saying({}, more=whole).replace("looks OK", "has errors")
    repository = checkout(tmp_path / "c", new=saying({"SingleStream": "alone", "Offline": "alone"}), old=old)
    said = check(tree, repository)[1]
    assert "2 results: the rules accept, the new official checker rejects. A fault outside of the result" in said
    assert "the old official checker rejects closed/Acme/toybox_1x_cpu/resnet50 for it, and counts this result" in said

"""A tree is there whole or not at all, whenever the building is cut off, and the same call finishes."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from audit.verdict import Verdict
from loadgen_harness.errors import BadInput
from loadgen_harness.run import Run
from loadgen_harness.types import Scenario
from submissions.build import Places, build, difference, private_id
from submissions.generate import Entry, Kept
from tests.submissions import trees
from tests.submissions.folders import DIGITS, Made, make

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("performance", "accuracy", "TEST01")
KILLS = 5
CHILD = """
import sys
from pathlib import Path
from tests.submissions.test_build import once
print("ready", flush=True)
sys.stdin.readline()
once(Path(sys.argv[1]))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with three runs."""
    for seed, part in enumerate(PARTS):
        make(tmp_path / part, Made(Scenario.OFFLINE, 200, 1.0), seed)
    return tmp_path


def entry(folder: Path) -> Entry:
    """One result with a compliance test."""
    performance, accuracy, audited = (Run(folder / part) for part in PARTS)
    verdict = Verdict(True, {"verify_accuracy.txt": "TEST PASS\n", "verify_performance.txt": "TEST PASS\n"}, ())
    return Entry(DIGITS, Scenario.OFFLINE, performance, accuracy, "accuracy=98.1%", {"TEST01": (audited, verdict)})


def once(folder: Path, name: str = "tree") -> bool:
    """Build it once."""
    return build([entry(folder)], trees.meta(), Places(folder / name, folder / f"{name}-sealed"), private_ids=True)


def test_the_second_call_finds_nothing_to_do(folder: Path) -> None:
    assert once(folder)
    before = {path: path.stat().st_mtime_ns for path in (folder / "tree").rglob("*")}
    assert not once(folder)
    assert before == {path: path.stat().st_mtime_ns for path in (folder / "tree").rglob("*")}
    assert not list(folder.glob("*.partial"))


def test_a_tree_of_other_content_is_never_overwritten(folder: Path) -> None:
    once(folder)
    text = folder / "tree" / "closed" / "Acme" / "documentation" / "calibration.md"
    text.write_text("mine\n")
    with pytest.raises(BadInput, match=r"first in closed/Acme/documentation/calibration\.md"):
        once(folder)
    assert text.read_text() == "mine\n" and not list(folder.glob("*.partial"))


def test_private_ids_are_as_the_checker_reads_them(folder: Path) -> None:
    once(folder)
    (file,) = (folder / "tree").rglob("privateid.json")
    assert file.parent.name == "toybox_1x_cpu"
    assert json.loads(file.read_text()) == {"toybox_1x_cpu": private_id("Acme", "toybox_1x_cpu")}
    assert private_id("Acme", "box") != private_id("Other", "box") and "box" not in private_id("Acme", "box")


def test_documents_of_a_person_are_copied_and_an_inferred_result_says_so(folder: Path) -> None:
    (folder / "README.md").write_bytes("wie man es fährt".encode())
    kept = replace(entry(folder), kept=Kept(readme=folder / "README.md"))
    told = replace(kept, scenario=Scenario.MULTI_STREAM, inferred="Inferred from Offline, not measured.")
    build([kept, told], trees.meta(), Places(folder / "tree", folder / "sealed"))
    result = folder / "tree" / "closed" / "Acme" / "results" / "toybox_1x_cpu" / "digits"
    assert (result / "Offline" / "README.md").read_bytes() == (folder / "README.md").read_bytes()
    text = (result / "MultiStream" / "README.md").read_text()
    assert text.startswith("**Inferred from Offline, not measured.**\n") and "wie man es fährt" in text


def test_what_cannot_become_a_tree_leaves_none(folder: Path) -> None:
    with pytest.raises(BadInput, match="inside the submission"):
        build([entry(folder)], trees.meta(), Places(folder / "tree", folder / "tree" / "sealed"))
    (folder / "file").write_text("")
    with pytest.raises(BadInput, match=r"cannot write .*choose another --output"):
        build([entry(folder)], trees.meta(), Places(folder / "file" / "tree", folder / "sealed"))
    (folder / "TEST01" / "mlperf_log_accuracy.json").unlink()
    with pytest.raises(BadInput, match=r"mlperf_log_accuracy\.json is missing"):
        once(folder)
    assert not list(folder.glob("tree*"))


def test_a_kill_leaves_no_half_tree_and_the_same_call_finishes(folder: Path) -> None:
    begun = time.monotonic()
    once(folder, "whole")
    length = time.monotonic() - begun
    chance = random.Random(6)
    for _ in range(KILLS):
        command = [sys.executable, "-c", CHILD, str(folder)]
        with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdin and child.stdout and child.stdout.readline() == "ready\n"
            child.stdin.write("\n")
            child.stdin.flush()
            time.sleep(chance.uniform(0, 1.2 * length))
            child.kill()
        assert not (folder / "tree").exists() or not difference(folder / "tree", folder / "whole")
    once(folder)
    assert not difference(folder / "tree", folder / "whole")
    assert not difference(folder / "tree-sealed", folder / "whole-sealed")
    assert not list(folder.glob("*.partial"))

"""`lgh system` writes, refreshes, merges and checks, and never overwrites what a person wrote."""

from __future__ import annotations

import json
import os
import pty
import subprocess
from pathlib import Path
from typing import Any

import pytest

from loadgen_harness import cli, describing, system_files, system_survey
from loadgen_harness.errors import BadInput
from submissions.system import IS_NETWORK, NETWORK, REQUIRED, faults
from tests.fakes import environment, lgh

SEEN = {
    "number_of_nodes": "1", "host_processor_model_name": "Toy", "host_processors_per_node": "1",
    "host_processor_core_count": "4", "host_memory_capacity": "8 GiB", "host_memory_configuration": "N/A",
    "accelerators_per_node": "1", "accelerator_model_name": "G1", "accelerator_memory_capacity": "8 GiB",
    "operating_system": "Toy 1", "framework": "toy 1", "other_software_stack": "Python 3",
}  # fmt: skip


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What the survey sees, to be changed."""
    seen = dict(SEEN)
    monkeypatch.setattr(system_survey, "seen", lambda: dict(seen))
    return seen


def call(*words: str | Path) -> int:
    return describing.system_(cli.build().parse_args(["system", *map(str, words)]))


def written(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def edit(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**written(path), **changes}), encoding="utf-8")


def test_writes_what_the_checker_takes(tmp_path: Path) -> None:
    output = tmp_path / "a.json"
    assert call("--output", output, "--submitter", "Acme", "--name", "Box", "--set", "cooling=air") == 0
    described = written(output)
    assert tuple(described) == REQUIRED and not list(faults(described))
    assert (described["cooling"], described["hw_notes"], described["host_networking"]) == ("air", "", "N/A")


def test_keeps_what_a_person_edited_and_refreshes_the_rest(tmp_path: Path, machine: dict[str, str]) -> None:
    output = tmp_path / "a.json"
    call("--output", output, "--submitter", "Acme")
    edit(output, host_processor_model_name="Toy 4-core", cooling="water", my_own="kept", host_networking="")
    machine |= {"host_processor_model_name": "Other", "host_memory_capacity": "16 GiB", "framework": "N/A"}
    before = output.read_bytes()
    with pytest.raises(BadInput, match="--update"):
        call("--output", output)
    assert output.read_bytes() == before
    assert call("--output", output, "--update") == 0
    described = written(output)
    assert (described["host_processor_model_name"], described["cooling"]) == ("Toy 4-core", "water")
    assert (described["host_memory_capacity"], described["my_own"]) == ("16 GiB", "kept")
    assert described["framework"] == "toy 1"  # not seen today, seen before
    assert described["host_networking"] == "N/A" and described["submitter"] == "Acme"


def test_a_system_of_the_network_division_has_its_keys_and_loses_the_flag_with_it(tmp_path: Path) -> None:
    output = tmp_path / "a.json"
    ends = [word for key in NETWORK for word in ("--set", f"{key}=100GbE")]
    assert call("--output", output, "--division", "network", "--type", "datacenter", *ends) == 0
    described = written(output)
    assert described[IS_NETWORK] == "true" and tuple(described) == (*REQUIRED, IS_NETWORK, *NETWORK)
    assert not list(faults(described)) and call("--check", output) == 0
    edit(output, network_protocol="N/A")
    assert call("--check", output) == 1
    assert call("--output", output, "--division", "closed", "--update") == 0
    assert IS_NETWORK not in written(output) and not list(faults(written(output)))


def test_nothing_changes_twice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "a.json"
    call("--output", output)
    before = output.read_bytes()
    assert call("--output", output) == 0
    assert output.read_bytes() == before and "nothing changes" in capsys.readouterr().out


def test_a_gpu_that_was_taken_out_is_gone(tmp_path: Path, machine: dict[str, str]) -> None:
    output = tmp_path / "a.json"
    call("--output", output)
    machine["accelerators_per_node"] = "0"
    del machine["accelerator_memory_capacity"]
    machine["accelerator_model_name"] = "N/A"
    call("--output", output, "--update")
    told = written(output)
    assert told["accelerators_per_node"] == "0"
    assert (told["accelerator_model_name"], told["accelerator_memory_capacity"]) == ("N/A", "N/A")


def test_a_file_that_a_person_made_is_only_filled(tmp_path: Path) -> None:
    output = tmp_path / "a.json"
    output.write_text(json.dumps({"host_memory_capacity": "64 GB", "framework": "N/A"}), encoding="utf-8")
    call("--output", output, "--update")
    assert (written(output)["host_memory_capacity"], written(output)["framework"]) == ("64 GB", "toy 1")


def test_merges_equal_nodes_and_refuses_unequal_ones(tmp_path: Path) -> None:
    one, two, three, whole = (tmp_path / f"{name}.json" for name in ("one", "two", "three", "whole"))
    call("--output", one, "--submitter", "Acme")
    call("--output", two)
    call("--output", three, "--set", "host_processor_model_name=Big")
    assert call("--nodes", one, two, "--output", whole) == 0
    assert (written(whole)["number_of_nodes"], written(whole)["submitter"]) == ("2", "Acme")
    with pytest.raises(BadInput, match=r"one\.json and three\.json differ in host_processor_model_name"):
        call("--nodes", one, three)
    assert call("--nodes", whole, three, "--heterogeneous", "--output", whole, "--update") == 0
    assert written(whole)["host_processor_model_name"] == "Toy (2 nodes); Big (1 node)"
    assert written(whole)["number_of_nodes"] == "3"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"accelerators_per_node": "8"}, "describe two systems"),
        ({"submitter": "Other"}, "one system has one"),
        ({"number_of_nodes": "many"}, "a whole number, 1 or more"),
    ],
)
def test_nodes_that_make_no_system(tmp_path: Path, changes: dict[str, str], sentence: str) -> None:
    one, two = tmp_path / "one.json", tmp_path / "two.json"
    call("--output", one, "--submitter", "Acme")
    call("--output", two, "--submitter", "Acme")
    edit(two, **changes)
    with pytest.raises(BadInput, match=sentence):
        call("--nodes", one, two, "--heterogeneous")
    with pytest.raises(BadInput, match="twice"):
        call("--nodes", one, tmp_path / "." / "one.json")


def test_check_says_what_the_rules_want(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    call("--output", good, "--submitter", "Acme", "--name", "Box")
    capsys.readouterr()
    assert call("--check", good) == 0
    assert "host_storage_type" in capsys.readouterr().out
    edit(good, accelerators_per_node="0")
    call("--check", good)
    assert "accelerator" not in capsys.readouterr().out  # where there is none, N/A is the answer
    bad.write_bytes(good.read_bytes())
    assert call("--check", good, bad) == 1
    assert "Two systems with one name" in capsys.readouterr().out
    edit(bad, system_name="Other", submitter="Ácme", status=["soon"], accelerators_per_node=0, framework=True)
    assert call("--check", good, bad) == 1
    told = capsys.readouterr().out
    assert all(word in told for word in ("submitter", "status", "accelerators_per_node", "framework"))
    bad.write_text(json.dumps({"submitter": "Acme"}), encoding="utf-8")
    assert call("--check", bad) == 1 and "missing" in capsys.readouterr().out


@pytest.mark.parametrize("text", ["", "[1]", '{"a": 1', '{"a": "1", "a": "2"}', "\xff"])
def test_a_file_that_is_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(BadInput, match=r"a\.json"):
        call("--check", path)
    with pytest.raises(BadInput, match=r"a\.json"):
        call("--output", path, "--update")
    assert path.read_bytes() == text.encode("latin-1") and not system_files.beside(path).exists()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--submitter", "Ácme"), "registered with MLCommons"),
        (("--submitter", "A B"), "without blanks"),
        (("--set", "colour=red"), "KEY=VALUE"),
        (("--heterogeneous",), "--nodes"),
        (("--update",), "--output"),
        (("--check", "a.json", "--update"), "writes none"),
        (("--output", "no/such/folder/a.json"), "does not exist"),
    ],
)
def test_words_that_cannot_be(
    words: tuple[str, ...], sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadInput, match=sentence):
        call(*words)
    assert not list(tmp_path.iterdir())


def test_asks_at_a_terminal_what_nobody_told(tmp_path: Path) -> None:
    output = tmp_path / "a.json"
    ours, theirs = pty.openpty()
    os.write(ours, b"\nBox 7\nrdi\n\n\n\nliquid\n\n\n")  # submitter: later
    command = lgh("system", "--output", str(output), "--sw-notes", "none")
    try:
        done = subprocess.run(command, stdin=theirs, stdout=theirs, env=environment(), timeout=60, check=False)
    finally:
        os.close(theirs)
        os.close(ours)
    assert done.returncode == 0
    described = written(output)
    assert (described["submitter"], described["system_name"], described["status"]) == ("N/A", "Box 7", "rdi")
    assert (described["cooling"], described["division"], described["sw_notes"]) == ("liquid", "closed", "none")

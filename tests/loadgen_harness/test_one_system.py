"""Runs of two machines are never taken for one system's: neither in a campaign nor in a submission."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from loadgen_harness import campaign, cli, one_system, plan, submitting
from loadgen_harness.errors import BadInput
from loadgen_harness.run import Run

PLAN = """
round = "tiny"
tax = false
[submission]
submitter = "Me"
system_name = "box"
[[benchmark]]
name = "tiny"
backend = "null"
scenarios = ["SingleStream"]
"""


def run(folder: Path, **seen: str) -> Run:
    """A run made on a machine of which this was seen."""
    folder.mkdir()
    (folder / "run.json").write_text(json.dumps({"format": 2, "system": seen}))
    return Run(folder)


def test_runs_of_one_machine_pass(tmp_path: Path) -> None:
    toy = {"host_processor_model_name": "Toy", "accelerators_per_node": "0"}
    one_system.refuse_mixed([])
    one_system.refuse_mixed([run(tmp_path / "a", **toy), run(tmp_path / "b", **toy, kernel="6.1"), run(tmp_path / "c")])


@pytest.mark.parametrize("key", one_system.KEYS)
def test_runs_of_two_machines_are_refused(tmp_path: Path, key: str) -> None:
    found = [run(tmp_path / "a"), run(tmp_path / "b", **{key: "1"}), run(tmp_path / "c", **{key: "2"})]
    with pytest.raises(BadInput, match=rf"b and .*c were made on two machines \({key} '1', '2'\)"):
        one_system.refuse_mixed(found)


def arguments(*words: object) -> argparse.Namespace:
    args = cli.build().parse_args(list(map(str, words)))
    args.round = ""
    return args


def moved(output: Path) -> None:
    """The campaign's first run as if another machine had made it."""
    record = next(output.rglob("run.json"))
    meta = json.loads(record.read_text())
    meta["system"]["host_processor_model_name"] = "Another CPU"
    record.write_text(json.dumps(meta))


@pytest.mark.usefixtures("plugin")
def test_a_campaign_goes_on_and_is_submitted_on_its_machine_alone(tmp_path: Path) -> None:
    file, output = tmp_path / "plan.toml", tmp_path / "out"
    file.write_text(PLAN)
    for resumed in (False, True):
        assert {each.resumed for each in campaign.execute(plan.read(file), output, only="performance")} == {resumed}
    submit = arguments("submit", file, "--campaign", output, "--output", tmp_path / "tree", "--dry-run")
    assert submitting.submit(submit) == 0
    moved(output)
    with pytest.raises(BadInput, match=r"made on another machine .*Another CPU.* here.: two systems cannot share one"):
        list(campaign.execute(plan.read(file), output, only="performance"))
    with pytest.raises(BadInput, match="give its description with --system"):
        submitting.submit(submit)

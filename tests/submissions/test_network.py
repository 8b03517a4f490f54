"""The network division: a datacenter tree whose runs a Query Dispatch Library drove, and what is wrong without one."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from audit.finding import Finding, Severity
from loadgen_harness import rounds
from loadgen_harness.errors import BadInput
from loadgen_harness.run import Run
from loadgen_harness.types import Division, Scenario
from submissions import layout
from submissions.check import check
from submissions.generate import Entry, generate
from submissions.official import official
from submissions.system import IS_NETWORK, NETWORK
from tests.submissions import synthetic, trees
from tests.submissions.differential import predicted
from tests.submissions.folders import DIGITS, Made, make

DESCRIPTION = Path("network/Acme/systems/rack_8x.json")
LOG = Path("network/Acme/results/rack_8x/llama2-70b-99.9")
ENDS = dict.fromkeys(NETWORK, "100GbE") | {"number_connections": "1", "number_nic_sut": "1", "number_nic_loadgen": "1"}
Fault = Callable[[Path], None]


@pytest.fixture
def tree(shared: Path, tmp_path: Path) -> Path:
    """A tree of the network division without a fault."""
    made = synthetic.tree(tmp_path / "tree", shared / "golden-v6.1/closed/Acme/systems/toybox_1x_cpu.json")
    (made / "closed").rename(made / "network")
    said(made, division="network", **{IS_NETWORK: "true"}, **ENDS)
    for log in made.rglob("mlperf_log_detail.txt"):
        log.write_text(log.read_text().replace("PySUT", "Acme Network SUT"))
    return made


def said(tree: Path, **keys: Any) -> None:
    """Other values in the description; None takes a key out."""
    file = tree / DESCRIPTION
    described = {**json.loads(file.read_text()), **keys}
    file.write_text(json.dumps({key: value for key, value in described.items() if value is not None}))


def renamed(part: str) -> Fault:
    """The log of one run with a name that no Query Dispatch Library has."""

    def change(tree: Path) -> None:
        log = tree / LOG / "Offline" / part / "mlperf_log_detail.txt"
        log.write_text(log.read_text().replace("Acme Network SUT", "PySUT"))

    return change


NAMELESS = [("network", "sut_name"), ("same-system", "sut_name")]
FAULTS: dict[str, tuple[Fault, list[tuple[str, str]]]] = {
    "": (lambda tree: None, []),
    "no flag": (lambda tree: said(tree, is_network=None), [("system", IS_NETWORK)]),
    "a flag that says no": (lambda tree: said(tree, is_network="false"), [("system", IS_NETWORK)]),
    "a boolean flag": (lambda tree: said(tree, is_network=True), [("system", IS_NETWORK)]),
    "no protocol": (lambda tree: said(tree, network_protocol=None), [("system", "network_protocol")]),
    "an empty protocol": (lambda tree: said(tree, network_protocol=""), [("system", "network_protocol")]),
    "performance run without a library": (renamed("performance/run_1"), NAMELESS),
    "accuracy run without a library": (renamed("accuracy"), NAMELESS),
}  # fmt: skip


def findings(tree: Path) -> list[Finding]:
    """Everything but notes."""
    return [each for each in check(tree, rounds.load("v6.1")) if each.severity is not Severity.NOTE]


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_has_its_findings_and_no_other(tree: Path, name: str) -> None:
    change, wanted = FAULTS[name]
    change(tree)
    assert sorted((each.check, each.key) for each in findings(tree)) == sorted(wanted)


def test_the_edge_suite_has_no_network_division(tree: Path) -> None:
    said(tree, system_type="datacenter,edge")
    assert ("system", "system_type") in {(each.check, each.key) for each in findings(tree)}


@pytest.mark.slow
@pytest.mark.parametrize("name", FAULTS)
def test_the_checker_does_what_was_predicted(tree: Path, name: str) -> None:
    checkout = os.environ.get("LGH_MLCOMMONS_INFERENCE")
    if not checkout:
        pytest.skip("LGH_MLCOMMONS_INFERENCE names no checkout of mlcommons/inference")
    FAULTS[name][0](tree)
    assert predicted(findings(tree)) == official(tree, Path(checkout), "v6.1").word


def entry(folder: Path, name: str) -> Entry:
    """A result whose runs call their system by a name."""
    more = {"sut_name": name}
    run = make(folder / "performance", Made(Scenario.OFFLINE, 200, 1.0, more=more))
    accuracy = make(folder / "accuracy", Made(Scenario.OFFLINE, 200, 1.0, mode="AccuracyOnly", more=more), 8)
    assert Run(run.path).sut_name == name
    return Entry(DIGITS, Scenario.OFFLINE, run, accuracy, "accuracy=98.1%")


def test_runs_of_a_library_become_a_tree_under_network(tmp_path: Path) -> None:
    meta = trees.meta(Division.NETWORK)
    meta = replace(meta, system={**meta.system, **ENDS, "system_type": "datacenter"})
    made = generate([entry(tmp_path, "Acme Network SUT")], meta, tmp_path / "tree")
    described = json.loads(layout.submitter(made, "network", "Acme").system("toybox_1x_cpu").read_text())
    assert described[IS_NETWORK] == "true" and described["division"] == "network"
    assert {*NETWORK} < {*described}


def test_runs_without_a_library_or_a_described_network_are_refused(tmp_path: Path) -> None:
    meta = trees.meta(Division.NETWORK)
    whole = replace(meta, system={**meta.system, **ENDS, "system_type": "datacenter"})
    cases = (
        (entry(tmp_path / "a", "PySUT"), whole, "run against 'PySUT', and the network division wants a Query Dispatch"),
        (entry(tmp_path / "b", "Network SUT"), meta, "lacks network_type, network_media"),
        (
            entry(tmp_path / "c", "Network SUT"),
            replace(whole, system={**whole.system, "system_type": "edge"}),
            "system_type = 'edge': write 'datacenter'",
        ),
    )
    for given, about, sentence in cases:
        with pytest.raises(BadInput, match=sentence):
            generate([given], about, tmp_path / "tree")
        assert not (tmp_path / "tree").exists()

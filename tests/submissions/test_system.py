"""The system description is filled where it may be and refused where only a person can tell."""

from __future__ import annotations

import pytest

from loadgen_harness.errors import BadInput
from submissions.system import FILLED, MEANINGFUL, OPTIONAL, REQUIRED, TOLD, complete, faults
from tests.submissions.trees import SYSTEM

GIVEN = {**SYSTEM, "division": "closed", "submitter": "Acme", "system_name": "Toybox"}


def test_there_are_35_keys_of_which_26_must_say_something() -> None:
    assert len(set(REQUIRED)) == 35 and len(MEANINGFUL) == 26
    assert not {*TOLD} & {*FILLED} and not {*MEANINGFUL} & {*OPTIONAL}


def test_fills_and_writes_text() -> None:
    described = complete({**GIVEN, "is_network": False, "hw_notes": None, "kernel": "6.1"})
    assert not list(faults(described))
    assert described["accelerators_per_node"] == "0"
    assert described["cooling"] == "N/A" and described["hw_notes"] == ""
    assert described["kernel"] == "6.1" and "is_network" not in described


@pytest.mark.parametrize("key", TOLD)
def test_refuses_what_it_cannot_know(key: str) -> None:
    with pytest.raises(BadInput, match=key):
        complete({name: value for name, value in GIVEN.items() if name != key})


@pytest.mark.parametrize(("key", "value"), [("number_of_nodes", "N/A"), ("system_type", "Edge"), ("status", "soon")])
def test_refuses_what_the_checker_dies_of(key: str, value: str) -> None:
    with pytest.raises(BadInput, match=key):
        complete({**GIVEN, key: value})

"""Were all runs made on one machine? Two systems under one name would be taken for each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from loadgen_harness import system
from loadgen_harness.errors import BadInput
from loadgen_harness.run import Run

KEYS = (
    "host_processor_model_name",
    "host_processors_per_node",
    "host_processor_core_count",
    "accelerators_per_node",
    "accelerator_model_name",
)


def refuse_mixed(runs: Sequence[Run]) -> None:
    """Raise BadInput where two runs say that they were made on different machines."""
    told = [run for run in runs if _machine(run)]
    for run in told[1:]:
        if why := _difference(_machine(told[0]), _machine(run)):
            raise BadInput(
                f"{told[0].path} and {run.path} were made on two machines ({why}), and two systems cannot share one "
                "name: give each machine a campaign and a system_name of its own."
            )


def refuse_elsewhere(runs: Sequence[Run], remedy: str) -> None:
    """Raise BadInput with the remedy where a run was made on another machine than this one."""
    here = system.describe()
    for run in runs:
        if why := _difference(_machine(run), here):
            raise BadInput(f"{run.path} was made on another machine ({why} here): {remedy}.")


def _machine(run: Run) -> Mapping[str, Any]:
    found = run.meta.get("system")
    return found if isinstance(found, dict) else {}


def _difference(one: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """The first key of which both tell different things."""
    for key in KEYS:
        if one.get(key) and other.get(key) and str(one[key]) != str(other[key]):
            return f"{key} {one[key]!r}, {other[key]!r}"
    return ""

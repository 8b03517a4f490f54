"""The cpufreq policies of a machine: one folder for each group of CPUs that share a clock."""

from __future__ import annotations

from pathlib import Path

from loadgen_harness.errors import BadInput
from power.knob import sysfs


def root() -> Path:
    """Where cpufreq's policies lie."""
    return sysfs() / "devices/system/cpu/cpufreq"


def files(name: str, what: str) -> list[str]:
    """`policyN/name` of every policy that has it; raises BadInput where none has."""
    found = sorted(root().glob(f"policy*/{name}"), key=lambda path: (len(path.parent.name), path.parent.name))
    if not found:
        raise BadInput(f"no {what} under {root()}: it needs Linux on a bare machine (virtual machines rarely have it).")
    return [f"{path.parent.name}/{name}" for path in found]

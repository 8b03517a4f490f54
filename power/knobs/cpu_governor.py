"""The cpufreq governor of all CPUs: how the kernel chooses their clock."""

from __future__ import annotations

from loadgen_harness.errors import BadInput, UnknownName
from power.knob import Raw
from power.knobs import _policies
from power.knobs._files import Files

OWN = "userspace"  # waits for a program that sets the clock: nothing to sweep


class Governor:
    """One governor for every policy."""

    title, unit, verifiable, note = "CPU governor", "", True, ""

    def __init__(self) -> None:
        """Find the policies; raises BadInput where there are none."""
        self._names = _policies.files("scaling_governor", "cpufreq governor")
        self._files = Files(_policies.root(), self._names)

    def read(self) -> Raw:
        """The governor of every policy."""
        return self._files.read()

    def steps(self) -> tuple[str, ...]:
        """What all policies offer, in the kernel's order, but `userspace`."""
        offered = [self._files.text(f"{name.partition('/')[0]}/scaling_available_governors") for name in self._names]
        common = [word for word in offered[0].split() if word != OWN and all(word in each.split() for each in offered)]
        if not common:
            raise BadInput("the CPUs offer no governor in common: leave out --governors.")
        return tuple(common)

    def raw(self, value: str) -> Raw:
        """`value` for every policy."""
        if value not in self.steps():
            raise UnknownName("CPU governor", value, self.steps())
        return dict.fromkeys(self._names, value)

    def put(self, device: str, raw: str) -> None:
        """Set one policy."""
        self._files.write(device, raw)

    def close(self) -> None:
        """Nothing stays open."""


KNOB = Governor

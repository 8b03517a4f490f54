"""The highest clock that cpufreq lets the CPUs have."""

from __future__ import annotations

from loadgen_harness.errors import BadInput
from power.knob import Raw, grid, number, spread
from power.knobs import _policies
from power.knobs._files import Files

KHZ = 1000  # in a MHz
STEP_MHZ = 100


class Frequency:
    """One ceiling in MHz for every policy, held to what each can do (small and large cores differ)."""

    title, unit, verifiable, note = "CPU frequency limit", "MHz", True, ""

    def __init__(self) -> None:
        """Find the policies; raises BadInput where there are none."""
        self._names = _policies.files("scaling_max_freq", "cpufreq frequency limit")
        self._files = Files(_policies.root(), self._names)

    def read(self) -> Raw:
        """The ceiling of every policy in kHz."""
        return self._files.read()

    def steps(self) -> tuple[str, ...]:
        """What the driver lists, else steps between the least and the most."""
        listed = sorted({khz for name in self._names for khz in self._listed(name)})
        spans = [self._span(name) for name in self._names]
        low, high = min(span[0] for span in spans), max(span[1] for span in spans)
        inside = [khz for khz in listed if low <= khz <= high]
        found = [khz / KHZ for khz in spread(inside)] if inside else grid(low / KHZ, high / KHZ, STEP_MHZ)
        return tuple(f"{mhz:g}" for mhz in found)

    def raw(self, value: str) -> Raw:
        """`value` MHz for every policy, in kHz."""
        khz = round(number(value, "a CPU frequency in MHz") * KHZ)
        spans = {name: self._span(name) for name in self._names}
        low, high = min(span[0] for span in spans.values()), max(span[1] for span in spans.values())
        if not low <= khz <= high:
            raise BadInput(f"the CPUs run at {low / KHZ:g} to {high / KHZ:g} MHz, not at {value}: choose one of those.")
        return {name: str(min(max(khz, span[0]), span[1])) for name, span in spans.items()}

    def put(self, device: str, raw: str) -> None:
        """Set one policy."""
        self._files.write(device, raw)

    def close(self) -> None:
        """Nothing stays open."""

    def _span(self, name: str) -> tuple[int, int]:
        """Least and most kHz of a policy; a floor that was set is kept."""
        policy = name.partition("/")[0]
        low, floor, high = (
            int(self._files.text(f"{policy}/{file}"))
            for file in ("cpuinfo_min_freq", "scaling_min_freq", "cpuinfo_max_freq")
        )
        return max(low, floor), high

    def _listed(self, name: str) -> list[int]:
        file = f"{name.partition('/')[0]}/scaling_available_frequencies"
        if not (_policies.root() / file).exists():
            return []
        return [int(word) for word in self._files.text(file).split() if word.isdigit()]


KNOB = Frequency

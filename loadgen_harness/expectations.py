"""How fast a system is expected to be: `--expect` of the verb `plan`."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from loadgen_harness.errors import BadInput
from loadgen_harness.types import Scenario

FORM = re.compile(r"(?:([^=]*)=)?([0-9.eE+-]+)\s*(us|ms|s|/s|qps)")
SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0}
WIDTH = 8  # samples of a MultiStream query


@dataclass(frozen=True)
class Expectation:
    """A rate in samples per second, or the latency of a query in seconds; 0 is unknown."""

    rate: float = 0.0
    latency_s: float = 0.0

    def query_s(self, scenario: Scenario) -> float:
        """Seconds of one query of a scenario whose queries come one after the other; 0 is unknown."""
        if self.latency_s:
            return self.latency_s
        return (WIDTH if scenario is Scenario.MULTI_STREAM else 1) / self.rate if self.rate else 0.0

    def sample_s(self, scenario: Scenario) -> float:
        """Seconds of one sample; 0 is unknown."""
        return self.query_s(scenario) / (WIDTH if scenario is Scenario.MULTI_STREAM else 1)

    @property
    def samples_per_s(self) -> float:
        """The rate; where only a latency is known, that of samples one after the other. 0 is unknown."""
        return self.rate or (1 / self.latency_s if self.latency_s else 0.0)


Expectations = Mapping[tuple[str, str], Expectation]  # by benchmark and scenario; "" is all of them
UNKNOWN = Expectation()


def read(given: Iterable[str]) -> dict[tuple[str, str], Expectation]:
    """What `[BENCHMARK[/SCENARIO]=]FIGURE` says; raises BadInput and UnknownName."""
    return dict(map(_one, given))


def _one(text: str) -> tuple[tuple[str, str], Expectation]:
    found = FORM.fullmatch(text.strip())
    figure = _number(found[2]) if found else 0.0
    if not found or not 0 < figure < math.inf:
        raise BadInput(
            f"--expect {text!r} cannot be read: write [BENCHMARK[/SCENARIO]=]FIGURE, such as resnet50/Offline=4800/s "
            "or resnet50/SingleStream=2ms."
        )
    name, _, scenario = (found[1] or "").strip().partition("/")
    what = Expectation(latency_s=figure * SECONDS[found[3]]) if found[3] in SECONDS else Expectation(rate=figure)
    return (name, Scenario(scenario).value if scenario else ""), what


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


def of(given: Expectations, benchmark: str, scenario: Scenario) -> Expectation:
    """The most specific expectation there is."""
    keys = ((benchmark, scenario.value), (benchmark, ""), ("", ""))
    return next((given[key] for key in keys if key in given), UNKNOWN)

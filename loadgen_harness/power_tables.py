"""Rows of `lgh doctor` on power: meters, knobs of `lgh maxq`, and the variables that set them."""

from __future__ import annotations

from typing import Any

from loadgen_harness import registry
from loadgen_harness.errors import SuiteError
from loadgen_harness.maxq import FLAGS
from loadgen_harness.repeats import DEFAULT
from power import knob, variables

METERS = ("meter", "state", "scope", "every>", "step>", "±>", "what to know")
KNOBS = ("knob", "state", "flag", "what to know")
VARIABLES = ("variable", "of", "now", "sets")
REPEATS = f"`lgh run … --meters auto --repeats [N]` makes N runs (default: {DEFAULT}), `lgh energy` their mean."


def meter(name: str) -> tuple[str, ...]:
    """A row of METERS: of an open meter where it works here, else of its class and with what it needs."""
    found: Any = None
    try:
        found = registry.load(registry.METERS, name)
        about = found.available()
        if not about:
            found = found()
            about = found.describe().get("source", "")
            state = "estimate" if found.estimated else "ok"
            found.close()
        else:
            state = "absent"
    except SuiteError as error:
        state, about = "absent", str(error)
    if not hasattr(found, "resolution"):  # not installed, or known only once it is open, as a replayed log's
        return name, state, "", "", "", "", about
    step = _step(found.resolution, "J" if found.counting else "W")
    return name, state, found.scope, f"{found.interval_s:g} s", step, f"{found.uncertainty:.0%}", about


def _step(value: float, unit: str) -> str:
    """A meter's resolution, such as 61 µJ."""
    for size, prefix in ((1.0, ""), (1e-3, "m"), (1e-6, "µ")):
        if value >= size:
            return f"{value / size:.2g} {prefix}{unit}"
    return "not told"


def knob_row(name: str) -> tuple[str, ...]:
    """A row of KNOBS: what may be set where this machine has it; nothing is changed."""
    flag = next((f"--{argument.replace('_', '-')}" for argument, known in FLAGS.items() if known == name), "")
    try:
        opened = knob.load(name)
    except SuiteError as error:
        return name, "absent", flag, str(error)
    try:
        steps = opened.steps()
        return name, "ok", flag, f"{opened.title}: {', '.join(steps)} {opened.unit}".rstrip()
    except SuiteError as error:
        return name, "absent", flag, str(error)
    finally:
        opened.close()


def variable(name: str) -> tuple[str, ...]:
    """A row of VARIABLES."""
    known = variables.VARIABLES[name]
    return name, known.reader, variables.now(name), known.sets

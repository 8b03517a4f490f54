"""What the simulator can be told to do wrong, so that clients and checks are seen to notice."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from loadgen_harness.errors import BadInput, UnknownName

FLAGS = {"error", "over-range", "lower", "quiet"}
VALUES = {"drop": str, "slow": float, "version": str, "refuse": str}


@dataclass(frozen=True)
class Faults:
    """`drop=Go,` ends the connection at such a command, `refuse=SR,A` answers it with an error, `slow=2.5` waits before
    every reply, `version=1.9.2` is another version; `error` writes ERROR lines while testing, `over-range` draws more
    there than the range allows, `lower` draws a tenth less; `quiet` writes as little as possible.
    """

    drop: str = ""
    refuse: str = ""
    slow: float = 0.0
    version: str = "1.11.1"
    error: bool = False
    over_range: bool = False
    lower: bool = False
    quiet: bool = False


def parse(texts: Iterable[str]) -> Faults:
    """Faults by name, some with a value; raises UnknownName or BadInput."""
    found: dict[str, Any] = {}
    for text in texts:
        name, _, value = text.partition("=")
        if name in FLAGS and not value:
            found[name.replace("-", "_")] = True
        elif name in VALUES and value:
            found[name] = _value(name, value)
        else:
            raise UnknownName("fault", text, [*FLAGS, *(f"{each}=VALUE" for each in VALUES)])
    return Faults(**found)


def _value(name: str, value: str) -> Any:
    try:
        return VALUES[name](value)
    except ValueError as error:
        raise BadInput(f"fault {name} takes a number of seconds, not {value!r}.") from error

"""Whether a meter works here, tried by opening it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from loadgen_harness.errors import SuiteError


def refusal(make: Callable[[], Any]) -> str:
    """Empty where `make()` opens a meter, which is closed again, else the sentence with which it refused."""
    try:
        make().close()
    except SuiteError as error:
        return str(error)
    return ""

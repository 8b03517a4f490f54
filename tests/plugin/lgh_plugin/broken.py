"""A backend that fails as its option `fault` says, from its call number `after` on."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from loadgen_harness.backends import Batch, checked
from loadgen_harness.errors import BadInput

FOREVER_S = 3600


def _raise(outputs: np.ndarray) -> np.ndarray:
    raise ArithmeticError("the device caught fire")


def _hang(outputs: np.ndarray) -> np.ndarray:
    time.sleep(FOREVER_S)
    return outputs


def _slow(outputs: np.ndarray) -> np.ndarray:
    time.sleep(0.02)
    return outputs


def _die(outputs: np.ndarray) -> np.ndarray:
    os.kill(os.getpid(), signal.SIGKILL)
    return outputs


def _crash(outputs: np.ndarray) -> np.ndarray:
    os.abort()


def _exit(outputs: np.ndarray) -> np.ndarray:
    raise SystemExit(0)


FAULTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "raise": _raise,
    "hang": _hang,
    "die": _die,
    "crash": _crash,
    "exit": _exit,
    "few": lambda outputs: outputs[:-1],
    "many": lambda outputs: np.concatenate([outputs, outputs]),
    "strided": lambda outputs: np.concatenate([outputs, outputs], axis=1)[:, :1],
    "slow": _slow,
    "load": _raise,
    "refuse": _raise,
    "hang-load": _hang,
}


class Broken:
    """Echoes its input until its fault comes."""

    thread_safe = True
    needs_model = False
    formats, casts, keeps_precision = (), (), True

    def __init__(self, options: Mapping[str, str]) -> None:
        """Options: fault, after."""
        chosen = checked(options, {"fault": "raise", "after": 0}, "broken")
        self._fault, self._left = chosen["fault"], chosen["after"]

    def load(self, model: Path | None, device: str, precision: str) -> None:
        """Fail here already where the fault says so."""
        if self._fault == "refuse":
            raise BadInput("this backend runs on full moon only: wait for it.")
        if self._fault in ("load", "hang-load"):
            FAULTS[self._fault](np.zeros((1, 1)))

    def predict(self, batch: Batch) -> Sequence[np.ndarray]:
        """The input, or the fault."""
        outputs = batch["input"]
        self._left -= 1
        if self._left == -1:
            sys.stderr.write(f"fault at {time.time()}\n")
            sys.stderr.flush()
        return [FAULTS[self._fault](outputs) if self._left < 0 else outputs]

    def describe(self) -> dict[str, str]:
        """Its fault."""
        return {"framework": "broken", "fault": self._fault}

    def close(self) -> None:
        """Nothing to give back."""


BACKEND = Broken

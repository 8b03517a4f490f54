"""A backend that is as fast as the device's settings let it be."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from lgh_device import seconds, setting
from loadgen_harness.backends import Batch


class Device:
    """Echoes its input after the time that the device takes."""

    thread_safe, needs_model = False, False
    formats, casts, keeps_precision = (), (), True

    def __init__(self, options: Mapping[str, str]) -> None:
        """No options."""

    def load(self, model: Path | None, device: str, precision: str) -> None:
        """Settings hold for a whole run."""
        self._seconds = seconds(*setting())

    def predict(self, batch: Batch) -> Sequence[np.ndarray]:
        """The input."""
        outputs = list(batch.values())
        time.sleep(self._seconds * len(outputs[0]))
        return outputs

    def describe(self) -> dict[str, str]:
        return {"framework": "device"}

    def close(self) -> None: ...


BACKEND = Device

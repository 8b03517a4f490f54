"""Runs TensorFlow SavedModels through their serving signature.

A SavedModel is a folder: `saved_model.zip` holds all of it, which one digest covers; where the folder itself is at hand
its `saved_model.pb` is named.
"""

from __future__ import annotations

import gc
import os
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from loadgen_harness.backends import Batch, checked
from loadgen_harness.errors import BadInput, UnknownName

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # read when TensorFlow is imported: its notes are no errors
import tensorflow as tf

OPTIONS = {"threads": 0, "inter_threads": 0, "signature": "serving_default", "xla": False}
FILE, ARCHIVE = "saved_model.pb", "saved_model.zip"
UNNAMED = "input"  # what the default collate calls a model's only input
PLACES = {"cpu": "CPU", "cuda": "GPU", "gpu": "GPU", "tpu": "TPU"}
_pool: list[tuple[int, int]] = []  # threads that TensorFlow was started with, which it keeps


class TensorFlow:
    """One signature of a SavedModel as a graph function; outputs come in the order of their names."""

    thread_safe, needs_model = True, True
    formats, casts, keeps_precision = (ARCHIVE, FILE), (), True

    def __init__(self, options: Mapping[str, str]) -> None:
        """Options: threads and inter_threads (0: TensorFlow's choice), signature, xla (compile per batch size).

        TensorFlow makes its threads once per process, so that all backends of a process must ask for the same number.
        """
        self._options = checked(options, OPTIONS, "tensorflow")
        if min(self._options["threads"], self._options["inter_threads"]) < 0:
            raise BadInput("options threads and inter_threads of backend tensorflow must not be negative.")
        _start((self._options["threads"], self._options["inter_threads"]))
        self._model: Any = None  # holds the variables that the function refers to weakly
        self._function: Any = None
        self._inputs: dict[str, Any] = {}
        self._asked = self._device = self._ran = self._precision = ""

    def load(self, model: Path | None, device: str, precision: str) -> None:
        """Read the SavedModel and its variables; the graph is optimised at the first answer."""
        if model is None or not Path(model).is_file():
            raise BadInput(f"backend tensorflow needs a {ARCHIVE} or {FILE}, and {model or 'none'} is not there.")
        self._asked, self._device, self._precision = device, _device(device), precision
        try:
            with _folder(Path(model)) as folder, tf.device(self._device):
                self._model = tf.saved_model.load(str(folder))
        except (OSError, zipfile.BadZipFile, ValueError, RuntimeError, KeyError, tf.errors.OpError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
            raise BadInput(f"{Path(model).name} cannot be read ({reason}): restore or choose the file.") from error
        function = _signature(self._model, self._options["signature"])
        self._inputs = dict(function.structured_input_signature[1])
        self._function = tf.function(function, jit_compile=True) if self._options["xla"] else function

    def predict(self, batch: Batch) -> Sequence[np.ndarray]:
        """The model's outputs by name; a single array called "input" goes to the model's only input."""
        count = len(next(iter(batch.values())))
        if not count:
            one = {name: np.zeros((1, *array.shape[1:]), array.dtype) for name, array in batch.items()}
            return [output[:0] for output in self.predict(one)]
        if UNNAMED in batch and UNNAMED not in self._inputs:
            batch = {next(iter(self._inputs)): batch[UNNAMED]}
        with tf.device(self._device):
            given = {name: tf.constant(batch[name], spec.dtype) for name, spec in self._inputs.items()}
            outputs = self._function(**given)
        first = next(iter(outputs.values()))
        self._ran = first.device
        return [np.array(outputs[name]) for name in sorted(outputs)]

    def describe(self) -> dict[str, str]:
        """Device, threads, whether XLA compiled."""
        elsewhere = bool(self._ran) and self._device not in self._ran
        intra, inter = _pool[0] if _pool else (0, 0)
        return {
            "framework": "TensorFlow",
            "version": tf.__version__,
            "device": self._asked,
            "provider": self._ran.rpartition("/")[2] or self._device,
            "precision": self._precision,
            "mode": "graph, compiled by XLA" if self._options["xla"] else "graph",
            "threads": str(intra or "default"),
            "inter_threads": str(inter or "default"),
            "signature": self._options["signature"],
            **({"fallback": f"outputs come from {self._ran}, not {self._device}"} if elsewhere else {}),
        }

    def close(self) -> None:
        """Drop the model and its variables."""
        self._model = self._function = None
        self._inputs = {}
        gc.collect()


def _start(threads: tuple[int, int]) -> None:
    """Before TensorFlow starts: its threads, and GPU memory taken as needed, not all at once."""
    if not _pool:
        try:
            tf.config.threading.set_intra_op_parallelism_threads(threads[0])
            tf.config.threading.set_inter_op_parallelism_threads(threads[1])
            for each in tf.config.list_physical_devices("GPU"):
                tf.config.experimental.set_memory_growth(each, True)
        except RuntimeError as error:
            raise BadInput("TensorFlow was started before its backend was made: use a new process.") from error
        _pool.append(threads)
    if any(asked not in (0, made) for asked, made in zip(threads, _pool[0], strict=True)):
        made = f"threads={_pool[0][0]} and inter_threads={_pool[0][1]}"
        raise BadInput(f"TensorFlow runs with {made} in this process and keeps them: use a new process.")


@contextmanager
def _folder(model: Path) -> Iterator[Path]:
    """The SavedModel's folder; an archive's lives until its variables are read."""
    if not zipfile.is_zipfile(model) and model.name == FILE:
        yield model.parent
        return
    with tempfile.TemporaryDirectory(prefix="tensorflow-") as folder, zipfile.ZipFile(model) as archive:
        archive.extractall(folder)
        yield next((file.parent for file in Path(folder).rglob(FILE)), Path(folder))


def _device(name: str) -> str:
    """TensorFlow's name of "cpu" or "cuda:1"."""
    kind, _, number = name.partition(":")
    if kind not in PLACES:
        raise UnknownName("device of backend tensorflow", name, PLACES)
    full = f"{PLACES[kind]}:{number or 0}"
    known = [each.name.removeprefix("/device:") for each in tf.config.list_logical_devices()]
    if full not in known:
        raise BadInput(f"TensorFlow finds no device {name!r} here: choose one of {', '.join(known)}.")
    return full


def _signature(model: Any, name: str) -> Any:
    """The signature called `name`, with outputs by name and an open batch axis or none."""
    if name not in model.signatures:
        raise UnknownName("signature of this SavedModel", name, model.signatures.keys())
    return model.signatures[name]


def check_device(backend: TensorFlow, device: str) -> None:
    """See backends.ModelReader."""
    _device(device)


BACKEND = TensorFlow

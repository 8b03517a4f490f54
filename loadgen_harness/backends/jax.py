"""Runs JAX functions, a task's own (`jax_model.py`) or exported ones (`.stablehlo`), compiled by XLA per batch size.

A batch is cut into pieces of the largest of the sizes in `buckets` and its rest is padded to the next one. On GPUs and
TPUs it was never run.
"""

from __future__ import annotations

import gc
import os
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from loadgen_harness.backends import Batch, Calibration, checked, task_model
from loadgen_harness.backends._pieces import Pieces, joined, padded, parse_buckets, rows_of, up_to
from loadgen_harness.errors import BadInput, UnknownName

# Read when JAX starts a GPU: it would take three quarters of the device's memory at once, whatever else runs there.
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
import jax
import jax.export
from jax import numpy as jnp

AUTO = "auto"
OPTIONS = {"threads": 0, "buckets": AUTO, "cache": ""}
EXPORTED = ".stablehlo"
UNNAMED = "input"  # what the default collate calls a model's only input
KINDS = {"bf16": jnp.bfloat16, "fp16": jnp.float16}
NAMES = {"f32": "fp32", "f16": "fp16", "bf16": "bf16", "f64": "fp64", "s32": "int32", "s8": "int8"}
PRODUCTS = re.compile(r"= (\w+)\[[^ ]* (?:dot|convolution)\(")  # in XLA's text of a compiled program
PLATFORMS = {"cuda": "gpu"}
_pool: list[int] = []  # threads asked for by the first backend of this process, which XLA keeps

Function = Callable[[Any, Mapping[str, Any]], Any]


class Jax:
    """One compiled program per size of `buckets` and shape of samples."""

    thread_safe, needs_model = True, True
    formats, casts, keeps_precision = ("jax_model.py", EXPORTED), ("bf16", "fp16"), True

    def __init__(self, options: Mapping[str, str]) -> None:
        """Options: threads (CPU only, 0: all cores), buckets (sizes to compile for), cache (folder of programs).

        Buckets are 1, 8, 64, … and the largest batch of the run; where the option is empty, each size as it comes.

        XLA makes its threads once per process, so that all backends of a process must ask for the same number.
        """
        self._options = checked(options, OPTIONS, "jax")
        if self._options["threads"] < 0:
            raise BadInput("option threads of backend jax must not be negative.")
        self.max_batch = 0
        chosen = self._options["buckets"]
        self._asked_buckets = None if chosen == AUTO else parse_buckets(chosen, "jax")
        self._pieces = Pieces(up_to(0) if self._asked_buckets is None else self._asked_buckets)
        self.calibration: Calibration | None = None  # nothing is quantised: its first batch tells the inputs' shapes
        _start(self._options["threads"])
        if cache := self._options["cache"]:
            jax.config.update("jax_compilation_cache_dir", cache)
        self._lock = threading.Lock()
        self._programs: dict[Any, Any] = {}
        self._ran: Counter[str] = Counter()  # matrix products and convolutions by type
        self._seconds, self._late = 0.0, 0
        self._name = self._asked = self._precision = ""
        self._function: Function | None = None
        self._parameters: Any = None
        self._device: Any = None

    def load(self, model: Path | None, device: str, precision: str) -> None:
        """Read function and weights, bring them to the device, compile where a calibration set tells the shapes.

        Otherwise `warm_up` does, or the first batch, which describe() tells as `recompiled`.
        """
        if model is None or not Path(model).is_file():
            raise BadInput(f"backend jax needs a jax_model.py or {EXPORTED} file, and {model or 'none'} is not there.")
        self._asked, self._device, self._precision = device, _device(device), precision
        if self._asked_buckets is None:
            self._pieces = Pieces(up_to(self.max_batch))
        if Path(model).suffix == EXPORTED:
            if precision in self.casts:
                raise BadInput(f"{Path(model).name} cannot be cast to {precision}: export the model at that precision.")
            self._function, self._name = _exported(Path(model))
            parameters: Any = {}
        else:
            self._function, parameters = _pair(Path(model))
        kind = KINDS.get(precision)
        self._parameters = jax.device_put(jax.tree.map(lambda array: _cast(array, kind), parameters), self._device)

        if example := self._example():
            self.warm_up(example)

    def warm_up(self, batch: Batch) -> None:
        """Compile and run every size that is prepared for, with rows like these; not timed."""
        late = self._late
        for size in self._pieces.buckets:
            self._run({name: padded(array[:size], size) for name, array in batch.items()})
        self._late = late

    def predict(self, batch: Batch) -> Sequence[np.ndarray]:
        """The model's outputs, padding cut off."""
        parts = []
        for piece in self._pieces.cut(rows_of(batch)):
            rows = {name: padded(array[piece.start : piece.stop], piece.size) for name, array in batch.items()}
            parts.append([output[: piece.stop - piece.start] for output in self._run(rows)])
        return [np.ascontiguousarray(output) for output in joined(parts)]

    def describe(self) -> dict[str, str]:
        """Platform, precision of the products, programs compiled so far."""
        ran = {NAMES.get(kind, kind): count for kind, count in self._ran.items()}
        wrong = sum(count for kind, count in ran.items() if kind != self._precision)
        cast = self._precision in self.casts and wrong
        return {
            "framework": "JAX",
            "version": jax.__version__,
            "device": self._asked,
            "provider": f"XLA on {self._device}" if self._device else "",
            "precision": "fp32" if cast and wrong == sum(ran.values()) else self._precision,
            "mode": "compiled",
            "threads": str((_pool[:1] or [0])[0] or "default"),
            "buckets": self._options["buckets"] or "none",
            "compiled": f"{len(self._programs)} programs in {self._seconds:.1f} s",
            **({"recompiled": str(self._late)} if self._late else {}),
            **({"fallback": f"{wrong} of {sum(ran.values())} matrix products are not computed in {self._precision}: "
                f"{', '.join(f'{kind} {count}' for kind, count in sorted(ran.items()))}"} if cast else {}),
        }  # fmt: skip

    def close(self) -> None:
        """Drop weights and programs; JAX's own caches hold the weights that an exported function has inside."""
        self._programs.clear()
        self._function = self._parameters = self.calibration = None
        jax.clear_caches()
        gc.collect()

    def _example(self) -> Batch | None:
        """The first batch of the task's calibration set; nothing where the task has none."""
        if self.calibration is None:
            return None
        try:
            return next(iter(self.calibration()), None)
        except BadInput:
            return None

    def _run(self, batch: Batch) -> list[np.ndarray]:
        if self._name and UNNAMED in batch:
            batch = {self._name: batch[UNNAMED]}
        given = jax.device_put(dict(batch), self._device)
        outputs: list[np.ndarray] = jax.device_get(self._program(given)(self._parameters, given))
        return outputs

    def _program(self, given: Mapping[str, Any]) -> Any:
        """The compiled program for arrays of these shapes."""
        key = tuple((name, array.shape, array.dtype) for name, array in given.items())
        program = self._programs.get(key)
        if program is None:
            with self._lock:
                program = self._programs.get(key) or self._compile(given)
                self._programs[key] = program
        return program

    def _compile(self, given: Mapping[str, Any]) -> Any:
        function, kind, begun = self._function, KINDS.get(self._precision), time.perf_counter()
        if function is None:
            raise BadInput("backend jax has no model: call load() first.")

        def run(parameters: Any, batch: Mapping[str, Any]) -> list[Any]:
            outputs = function(parameters, {name: _cast(array, kind) for name, array in batch.items()})
            listed = outputs if isinstance(outputs, list | tuple) else [outputs]
            return [array.astype(jnp.float32) if kind and array.dtype == kind else array for array in listed]

        # On GPUs and TPUs JAX would compute fp32 products in fewer bits.
        with jax.default_matmul_precision("highest" if self._precision == "fp32" else "default"):
            program = jax.jit(run).lower(self._parameters, given).compile()
        self._ran.update(PRODUCTS.findall(program.as_text() or ""))
        self._late += 1
        self._seconds += time.perf_counter() - begun
        return program


def _start(threads: int) -> None:
    """Before JAX starts: how many threads its programs share on the CPU."""
    if not _pool:
        _pool.append(threads)
        if threads:
            os.environ["NPROC"] = str(threads)  # the one setting that XLA's pool of threads heeds
    if threads not in (0, _pool[0]):
        raise BadInput(f"JAX runs with threads={_pool[0]} in this process and keeps them: use a new process.")


def _device(name: str) -> Any:
    """The device called "cpu", "cuda:1", "gpu" or "tpu"."""
    kind, _, number = name.partition(":")
    try:
        return jax.devices(PLATFORMS.get(kind, kind))[int(number or 0)]
    except RuntimeError as error:
        if kind in ("cuda", "gpu", "tpu", "rocm"):
            raise BadInput(f"JAX has no device {name!r} here: choose cpu, or `pip install jax[{kind}]`.") from error
        raise UnknownName("device of backend jax", name, ("cpu", "cuda", "gpu", "tpu")) from error
    except (IndexError, ValueError) as error:
        raise BadInput(f"JAX has no device {name!r} here: choose one of {jax.devices()}.") from error


def _pair(model: Path) -> tuple[Function, Any]:
    """Function and parameters of a task's own file."""
    made = task_model(model)
    if not (isinstance(made, tuple) and len(made) == 2 and callable(made[0])):
        raise BadInput(f"{model.name} must give a pair of a function and its parameters: see docs of backend jax.")
    return made


def _exported(model: Path) -> tuple[Function, str]:
    """The function that jax.export wrote, over a dict of arrays, and the name of its only input."""
    try:
        exported = jax.export.deserialize(bytearray(model.read_bytes()))
        (batch,), _ = jax.tree.unflatten(exported.in_tree, exported.in_avals)
        names = list(batch)
        fixed = [name for name in names if isinstance(batch[name].shape[0], int)]
    except Exception as error:  # the reader of the format fails in as many ways as a file can be broken
        raise BadInput(
            f"{model.name} is no function over a dict of arrays as jax.export writes it: export it anew."
        ) from error
    if fixed:
        raise BadInput(f"{model.name} has a fixed batch axis: export it with jax.export.symbolic_shape.")
    return lambda parameters, given: exported.call(given), names[0] if len(names) == 1 else ""


def _cast(array: Any, kind: Any) -> Any:
    return jnp.asarray(array, kind) if kind and jnp.issubdtype(array.dtype, jnp.floating) else array


def check_device(backend: Jax, device: str) -> None:
    """See backends.ModelReader."""
    _device(device)


BACKEND = Jax

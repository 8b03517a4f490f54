"""Runs PyTorch models: a task's own nn.Module or an exported program; eager, compiled, or as CUDA graphs.

The model computes in the precision asked for (weights and activations cast as a whole, no autocast) and its outputs
come back as fp32. Sizes of batches: `buckets` names those that are compiled or captured for; a batch is cut into pieces
of the largest and its rest is padded to the next one, and what is padded is thrown away. Without buckets, eager mode
takes batches as they are, and the others prepare 1, 8, 64, … (graphs: 1, 2, 4, …) up to the largest batch of the run;
where that is not known either, compile mode compiles twice, for one sample and for any number.
The paths for CUDA were written to PyTorch's documentation and tested against a stand-in: never run on a GPU.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from loadgen_harness.backends import Batch, Calibration, checked
from loadgen_harness.backends._pieces import Pieces, parse_buckets, up_to
from loadgen_harness.backends.torch import int8 as _int8
from loadgen_harness.backends.torch import model as _model
from loadgen_harness.backends.torch.cuda import Cuda
from loadgen_harness.backends.torch.run import Compiled, Forward, HostPath
from loadgen_harness.backends.torch.stages import Stages
from loadgen_harness.errors import BadInput, UnknownName

OPTIONS = {
    "mode": "", "threads": 0, "inter_threads": 0, "channels_last": False, "compile_mode": "default", "buckets": "",
    "pinned": True, "quantizer": "", "deterministic": False,
}  # fmt: skip
MODES = ("eager", "compile", "graph")
COMPILE_MODES = ("default", "reduce-overhead", "max-autotune")
# Compiling takes seconds a size where capturing takes milliseconds.
STEP = {"graph": 2, "compile": 8}  # from one size that is prepared to the next
DTYPES = {"fp32": torch.float32, "tf32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class Torch:
    """One model on one device; several threads may predict at once in eager mode and compile mode's default."""

    needs_model, keeps_precision = True, False
    formats, casts = ("torch_model.py", ".pt2"), ("fp32", "tf32", "bf16", "fp16", "int8")

    def __init__(self, options: Mapping[str, str]) -> None:
        """Options: mode, threads and inter_threads (0: PyTorch's choice), channels_last, compile_mode, buckets
        ("1,8,32"), pinned (staging memory for CUDA), quantizer (of int8: static, dynamic), deterministic."""
        chosen = checked(options, OPTIONS, "torch")
        for key, known in (("mode", MODES), ("compile_mode", COMPILE_MODES), ("quantizer", _int8.QUANTIZERS)):
            if chosen[key] and chosen[key] not in known:
                raise UnknownName(f"{key} of backend torch", chosen[key], known)
        if min(chosen["threads"], chosen["inter_threads"]) < 0:
            raise BadInput("options threads and inter_threads of backend torch must not be negative.")
        self._options, self._asked = chosen, parse_buckets(chosen["buckets"], "torch")
        self.thread_safe = chosen["mode"] != "graph" and chosen["compile_mode"] == "default"
        self.calibration: Calibration | None = None
        self.max_batch = 0
        self._path: HostPath | Stages | None = None
        self._lock, self._warm = threading.Lock(), False
        self._said: dict[str, str] = {}
        self._before: dict[str, Any] = {}

    def load(self, model: Path | None, device: str, precision: str) -> None:
        """Read and cast the model; compile, capture and warm up where the shapes of its inputs are known.

        They are known of an exported program and of a task with a calibration set; else by `warm_up`, or the first
        batch, and whatever is compiled only then is told by describe() as `recompiled`.
        """
        if model is None or not Path(model).is_file():
            raise BadInput(f"backend torch needs a model file, and {model or 'none'} is not there: name one.")
        cuda = _open(device)
        mode = _mode(self._options["mode"], cuda, precision)
        self._before = _model.settle(_wanted(self._options, cuda, precision), self._options["inter_threads"])
        try:
            self._read(Path(model), cuda, mode, precision)
        except BaseException:
            self.close()
            raise

    def warm_up(self, batch: Batch) -> None:
        """Compile, capture and run for batches like this one at every size that is prepared; not timed."""
        with self._lock:
            self._prepare(batch)

    def predict(self, batch: Batch) -> Sequence[np.ndarray]:
        """The model's outputs; its only input goes to it by position, several by name."""
        path = self._loaded()
        if not self._warm:
            with self._lock:  # what could not be known while loading
                if not self._warm:
                    self._prepare(batch)
                    path.forward.count_as_late()
        return path(batch)

    def describe(self) -> dict[str, str]:
        """What ran; `recompiled` counts what was compiled or captured after loading, `graph_breaks` its cause."""
        if self._path is None:
            return dict(self._said)
        counted = self._path.account()
        fallbacks = [each["fallback"] for each in (self._said, counted) if "fallback" in each]
        return self._said | counted | ({"fallback": "; ".join(fallbacks)} if fallbacks else {})

    def close(self) -> None:
        """Drop the model and what was compiled, give device memory back, restore PyTorch's global settings."""
        self._said = self.describe()
        path, self._path, self._warm = self._path, None, False
        if path is not None:
            path.close()
        del path
        _model.restore(self._before)
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _read(self, model: Path, cuda: Cuda | None, mode: str, precision: str) -> None:
        device = cuda.device if cuda else torch.device("cpu")
        module, example = _model.read(model, device)
        example = self._example() or example
        notes: dict[str, str] = {}
        if precision == "int8":
            module, notes = self._quantised(module, cuda, mode, example)
        adapted = _model.Adapted(module, DTYPES.get(precision, torch.float32), self._options["channels_last"])
        fixed = mode == "graph" or precision == "int8" or (mode == "compile" and self.max_batch)
        buckets = self._asked or (up_to(self.max_batch, STEP[mode]) if fixed else ())
        compiled = None
        if mode == "compile":
            compiled = Compiled(self._options["compile_mode"], bool(buckets), freezing=precision == "int8" and not cuda)
        forward = Forward(adapted.to(device), Pieces(buckets), compiled)
        pinned = self._options["pinned"]
        self._path = Stages(forward, cuda, graphs=mode == "graph", pinned=pinned) if cuda else HostPath(forward)
        self._said = self._description(cuda, precision, mode, buckets) | notes
        if example:
            self.warm_up(example)

    def _prepare(self, batch: Batch) -> None:
        try:
            self._loaded().warm_up(batch)
        # Exported programs assert the shapes that they were exported for.
        except (RuntimeError, AssertionError) as error:
            raise _unusable(self._said, error) from error
        self._warm = True

    def _loaded(self) -> HostPath | Stages:
        if self._path is None:
            raise BadInput("backend torch has no model: load one before predicting.")
        return self._path

    def _quantised(
        self, module: torch.nn.Module, cuda: Cuda | None, mode: str, example: Batch | None
    ) -> tuple[torch.nn.Module, dict[str, str]]:
        quantizer = _quantizer(self, cuda, mode)
        if cuda:
            return _int8.on_cuda(module, quantizer)
        return _int8.on_cpu(module, quantizer, example, self.calibration)

    def _example(self) -> Batch | None:
        """The first batch of the task's calibration set; nothing where the task has none."""
        if self.calibration is None:
            return None
        try:
            return next(iter(self.calibration()), None)
        except BadInput:
            return None

    def _description(self, cuda: Cuda | None, precision: str, mode: str, buckets: Sequence[int]) -> dict[str, str]:
        device = f"cuda:{cuda.device.index or 0}" if cuda else "cpu"
        said = {
            "framework": "PyTorch", "version": torch.__version__, "device": device, "provider": _provider(device),
            "precision": precision, "mode": f"compile ({self._options['compile_mode']})" if mode == "compile" else mode,
            "threads": str(torch.get_num_threads()), "inter_threads": str(torch.get_num_interop_threads()),
            "channels_last": str(self._options["channels_last"]).lower(),
            "deterministic": str(self._options["deterministic"]).lower(),
        }  # fmt: skip
        return said | ({"buckets": ",".join(map(str, buckets))} if buckets else {})


def _mode(asked: str, cuda: Cuda | None, precision: str) -> str:
    """Eager unless asked otherwise: int8 on the CPU computes in int8 only where compiled."""
    if precision not in Torch.casts:
        raise UnknownName("precision of backend torch", precision, Torch.casts)
    if asked == "graph" and not cuda:
        raise BadInput("mode graph of backend torch is for CUDA devices: choose mode=compile or --device cuda.")
    if precision == "tf32" and not cuda:
        raise BadInput("tf32 is a precision of CUDA devices: choose --precision fp32 or --device cuda.")
    return asked or ("compile" if precision == "int8" else "eager")


def _quantizer(backend: Torch, cuda: Cuda | None, mode: str) -> str:
    """How int8 is made; raises BadInput where the mode would not compute in it."""
    if not cuda and mode != "compile":
        raise BadInput(f"mode {mode} of backend torch only imitates int8 on a CPU, in fp32: choose mode=compile.")
    return str(backend._options["quantizer"] or ("dynamic" if cuda else "static"))


def _wanted(options: Mapping[str, Any], cuda: Cuda | None, precision: str) -> dict[str, Any]:
    """Global settings of PyTorch for this load."""
    wanted: dict[str, Any] = {"deterministic": options["deterministic"]}
    if options["threads"]:
        wanted["threads"] = options["threads"]
    if cuda:
        wanted["fp32"] = "tf32" if precision == "tf32" else "ieee"
        # cuDNN tries its kernels at the first batch of a size: only where all sizes are known while loading.
        sizes_known = bool(options["buckets"]) or options["mode"] == "graph"
        wanted["benchmark"] = sizes_known and not options["deterministic"]
    return wanted


def _open(device: str) -> Cuda | None:
    """The device's calls, none for the CPU."""
    kind, _, number = device.partition(":")
    if kind not in ("cpu", "cuda"):
        raise UnknownName("device of backend torch", device, ("cpu", "cuda", "cuda:1"))
    if kind == "cpu":
        return None
    if not torch.cuda.is_available():
        raise BadInput(
            f"PyTorch {torch.__version__} finds no CUDA device: install a CUDA build, or choose --device cpu."
        )
    count = torch.cuda.device_count()
    if not (number or "0").isdigit() or int(number or 0) >= count:
        raise BadInput(f"there is no device {device} among {count} CUDA devices: choose cuda:0 to cuda:{count - 1}.")
    return Cuda(int(number or 0))


def _provider(device: str) -> str:
    """What computes: the GPU's name, or the instructions that PyTorch uses on this CPU."""
    if device.startswith("cuda"):
        return str(torch.cuda.get_device_name(device))
    return f"CPU ({torch.backends.cpu.get_cpu_capability()})"


def _unusable(said: Mapping[str, str], error: Exception) -> BadInput:
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
    return BadInput(
        f"the model does not run in PyTorch as {said['mode']} at {said['precision']} ({reason}): "
        "choose --option mode=eager or another --precision."
    )


def check_device(backend: Torch, device: str) -> None:
    """See backends.ModelReader."""
    _open(device)


def check_precision(backend: Torch, precision: str, device: str) -> None:
    """See backends.ModelReader."""
    cuda = _open(device)
    mode = _mode(backend._options["mode"], cuda, precision)
    if precision == "int8":
        _int8.check(_quantizer(backend, cuda, mode), on_cuda=cuda is not None)


BACKEND = Torch

"""Runs ONNX models, or engines built before, with TensorRT 10 or 11 on NVIDIA GPUs.

Engines are built once for a model, a GPU, a version and the options, and kept on disk (see the option `cache`).
`contexts` batches, or pieces of a large batch, are under way at once, each with a stream and memory of its own, so that
copies of one overlap with another's kernels. In mode graph a batch is padded to the next of `buckets`, each captured
while loading. Written to TensorRT's documentation and tested against a stand-in: never run on real TensorRT.
"""

from __future__ import annotations

import hashlib
import queue
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorrt

from loadgen_harness.backends import Batch, Calibration, checked
from loadgen_harness.backends._pieces import Piece, Pieces, joined, padded, parse_buckets, rows_of
from loadgen_harness.backends.tensorrt import cache
from loadgen_harness.backends.tensorrt.build import Log, Recipe, build, named
from loadgen_harness.backends.tensorrt.cuda import Cuda
from loadgen_harness.backends.tensorrt.lanes import Lane, Loaded
from loadgen_harness.cache import locked
from loadgen_harness.errors import BadInput, UnknownName

OPTIONS = {
    "mode": "graph", "buckets": "", "contexts": 2, "profiles": "", "axes": "", "level": 3, "cache": "",
}  # fmt: skip
MODES = ("graph", "enqueue")
PRECISIONS = ("fp32", "tf32", "fp16", "bf16", "int8", "fp8")
ENGINES = (".plan", ".engine")
UNKNOWN = 32  # the largest batch that an engine is built for where the run does not say
OLDEST = 10


class TensorRT:
    """One engine; `predict` may be called from several threads, which share the contexts."""

    thread_safe, needs_model, keeps_precision = True, True, True
    formats, casts = (".onnx", *ENGINES), ("tf32", "fp16", "bf16", "int8")

    def __init__(self, options: Mapping[str, str]) -> None:
        """Options: mode (graph, enqueue), buckets (sizes captured; by default powers of two up to the largest batch),
        contexts, profiles ("1:8:32,33:64:64": smallest, best and largest batch; by default up to the run's largest),
        axes (the same of other open axes), level (0 to 5, how long to search for kernels), cache (folder)."""
        self._options = checked(options, OPTIONS, "tensorrt")
        if self._options["mode"] not in MODES:
            raise UnknownName("mode of backend tensorrt", self._options["mode"], MODES)
        if self._options["contexts"] < 1 or not 0 <= self._options["level"] <= 5:
            raise BadInput("backend tensorrt needs at least 1 context, and a level of 0 to 5.")
        self._asked = parse_buckets(self._options["buckets"], "tensorrt")
        self._profiles = tuple(_range("profiles", part) for part in self._options["profiles"].split(",") if part)
        self.max_batch = 0
        self._axes = _range("axes", self._options["axes"]) if self._options["axes"] else None
        self.calibration: Calibration | None = None
        self._loaded: Loaded | None = None
        self._pieces = Pieces(())
        self._lanes: queue.LifoQueue[Lane] = queue.LifoQueue()
        self._said: dict[str, str] = {}
        self._captured = 0

    def load(self, model: Path | None, device: str, precision: str) -> None:
        """Build the engine or take it from the cache, make its contexts, warm up and capture every bucket."""
        if model is None or not Path(model).is_file():
            raise BadInput(f"backend tensorrt needs an ONNX file, and {model or 'none'} is not there: name one.")
        _recent()
        check_precision(self, precision, device)
        cuda = _open(device)
        before = cuda.used_bytes()
        self._said = {
            "framework": "TensorRT", "version": tensorrt.__version__, "device": device, "precision": precision,
            "provider": f"{cuda.name} (compute capability {cuda.capability})", "mode": self._options["mode"],
            "threads": "0", "contexts": str(self._options["contexts"]),
        }  # fmt: skip
        self._loaded = self._open(Path(model), precision, cuda)
        try:
            self._prepare(self._loaded, cuda)
        except RuntimeError as error:
            raise BadInput(
                f"{Path(model).name} does not run ({error}): use fewer contexts, or smaller profiles."
            ) from error
        self._said["device_bytes"] = str(max(cuda.used_bytes() - before, 0))

    def predict(self, batch: Batch) -> Sequence[np.ndarray]:
        """The model's outputs; a single array goes to the model's only input."""
        if self._loaded is None:
            raise BadInput("backend tensorrt has no model: load one before predicting.")
        arrays = named(batch, [port.name for port in self._loaded.inputs])
        pieces = self._pieces.cut(rows_of(arrays))
        lanes = self._take(len(pieces))
        parts: list[list[np.ndarray]] = []
        try:
            for number, piece in enumerate(pieces):
                lane = lanes[number % len(lanes)]
                parts += filter(None, [lane.finish()])
                lane.start(piece, _rows(arrays, piece))
            for number in range(len(pieces), len(pieces) + len(lanes)):
                parts += filter(None, [lanes[number % len(lanes)].finish()])
        finally:
            for lane in lanes:
                lane.forget()
                self._lanes.put(lane)
        return list(joined(parts))

    def describe(self) -> dict[str, str]:
        """What runs; `recompiled` counts graphs captured after loading."""
        late = sum(len(lane.graphs) for lane in self._lanes.queue) - self._captured
        return dict(self._said) | ({"recompiled": str(late)} if late > 0 else {})

    def close(self) -> None:
        """Give the engine's, the contexts' and the staging memory back."""
        self._said = self.describe()
        while not self._lanes.empty():
            self._lanes.get().close()
        self._loaded, self._captured = None, 0

    def _open(self, model: Path, precision: str, cuda: Cuda) -> Loaded:
        """The engine in a file, or one built from it."""
        if model.suffix not in ENGINES:
            return self._built(model, precision, cuda)
        try:
            self._said["engine"] = "a file"
            return Loaded(model.read_bytes(), Log())
        except ValueError as error:
            raise BadInput(
                f"{model.name} is no engine for TensorRT {tensorrt.__version__} on {cuda.name} ({error}): "
                "build it there, or name an .onnx file."
            ) from error

    def _built(self, model: Path, precision: str, cuda: Cuda) -> Loaded:
        largest = self.max_batch or UNKNOWN
        recipe = Recipe(precision, self._profiles or ((1, largest, largest),), self._axes, self._options["level"])
        facts = {
            "model": cache.digest(model), "gpu": cuda.name, "capability": cuda.capability,
            "tensorrt": tensorrt.__version__, "precision": precision, "profiles": recipe.profiles,
            "axes": recipe.axes, "level": recipe.level,
            "calibration": _digest(self.calibration) if precision == "int8" else "",
        }  # fmt: skip
        folder = cache.folder(self._options["cache"])
        path = folder / f"{model.stem}-{precision}-{cache.key(facts)}.engine"
        machine = cache.key({name: facts[name] for name in ("gpu", "capability", "tensorrt")})
        with locked(path):
            found = _usable(cache.read(path))
            if found:
                self._said |= {"engine": "cached", "typing": found[1]}
                return found[0]
            began = time.monotonic()
            timings = folder / f"timings-{machine}.cache"
            built = build(model, recipe, cache.read(timings), self.calibration, cuda)
            cache.write(timings, built.timings)
            cache.write(path, f"{built.typing}\n".encode() + built.engine)
        self._said |= {"engine": f"built in {time.monotonic() - began:.0f} s", "typing": built.typing}
        return Loaded(built.engine, Log())

    def _prepare(self, loaded: Loaded, cuda: Cuda) -> None:
        """Contexts, memory and graphs; every size twice, the second time as a graph."""
        graphs, largest = self._options["mode"] == "graph", loaded.largest
        least = min(batches[0] for batches in loaded.batches)
        powers = {2**power for power in range(largest.bit_length()) if least <= 2**power <= largest}
        sizes = tuple(sorted(size for size in (self._asked or powers | {least, largest}) if least <= size <= largest))
        self._pieces = Pieces(sizes or (largest,), exact=not graphs)
        if graphs:
            self._said["buckets"] = ",".join(map(str, self._pieces.buckets))
        for _ in range(self._options["contexts"]):
            lane = Lane(loaded, cuda, graphs=graphs)
            self._lanes.put(lane)
            for size in self._pieces.buckets[::-1] * 2:
                zeros = {port.name: _zeros(loaded, port, size) for port in loaded.inputs}
                lane.start(Piece(0, size, size), zeros)
                lane.finish()
            self._captured += len(lane.graphs)

    def _take(self, count: int) -> list[Lane]:
        """One lane, waiting for it, and as many more as there is use for and nobody else uses."""
        lanes = [self._lanes.get()]
        while len(lanes) < count:
            try:
                lanes.append(self._lanes.get_nowait())
            except queue.Empty:
                break
        return lanes


def _recent() -> None:
    if int(tensorrt.__version__.split(".")[0]) < OLDEST:
        raise BadInput(f"TensorRT {tensorrt.__version__} is too old: install {OLDEST} or later.")


def _open(device: str) -> Cuda:
    kind, _, number = device.partition(":")
    if kind != "cuda" or not (number or "0").isdigit():
        raise BadInput(f"TensorRT runs on NVIDIA GPUs, not on {device}: choose --device cuda, or another --backend.")
    return Cuda(int(number or 0))


def _range(option: str, text: str) -> tuple[int, int, int]:
    """Three numbers from "1:8:32", ascending."""
    parts = text.strip().split(":")
    if len(parts) == 3 and all(part.isdigit() for part in parts):
        least, best, most = map(int, parts)
        if 1 <= least <= best <= most:
            return least, best, most
    raise BadInput(f"option {option} of backend tensorrt must be smallest:best:largest such as 1:8:32, not {text!r}.")


def _digest(calibration: Calibration | None) -> str:
    """Of a calibration set, by which an engine is known."""
    found = hashlib.sha256()
    for batch in calibration() if calibration else ():
        for name, array in batch.items():
            found.update(f"{name}{array.dtype}{array.shape}".encode() + np.ascontiguousarray(array).tobytes())
    return found.hexdigest()


def _usable(stored: bytes) -> tuple[Loaded, str] | None:
    """The engine that was stored, and its typing; nothing where it is absent or TensorRT refuses it."""
    typing, _, engine = stored.partition(b"\n")
    if not engine:
        return None
    try:
        return Loaded(engine, Log()), typing.decode()
    except ValueError:
        return None


def _rows(arrays: Batch, piece: Piece) -> dict[str, np.ndarray]:
    return {name: padded(array[piece.start : piece.stop], piece.size) for name, array in arrays.items()}


def _zeros(loaded: Loaded, port: Any, size: int) -> np.ndarray:
    """A batch of an input, as large as its profile allows in every other axis."""
    return np.zeros((size, *loaded.most(port, loaded.profile(size))[1:]), np.float32 if port.bf16 else port.raw)


def check_device(backend: TensorRT, device: str) -> None:
    """See backends.ModelReader."""
    _recent()
    _open(device)


def check_precision(backend: TensorRT, precision: str, device: str) -> None:
    """See backends.ModelReader."""
    if precision not in PRECISIONS:
        raise UnknownName("precision of backend tensorrt", precision, PRECISIONS)


BACKEND = TensorRT

"""Runs TensorFlow Lite models with LiteRT (`ai-edge-litert`) on the CPU, by its XNNPACK delegate where that can."""

from __future__ import annotations

import gc
import threading
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from loadgen_harness.backends import Batch, checked
from loadgen_harness.errors import BadInput, UnknownName

OPTIONS = {"threads": 0, "xnnpack": True, "sizes": 4}
RESOLVERS = {True: OpResolverType.AUTO, False: OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES}
UNNAMED = "input"  # what the default collate calls a model's only input
DELEGATE = "DELEGATE"  # LiteRT's name for an operator that stands for those which a delegate took
UNUSABLE = (ValueError, RuntimeError)


class LiteRt:
    """Interpreters with fixed batch sizes, a few for each thread; those of a model fixed to one sample loop."""

    thread_safe, needs_model = True, True
    formats, casts, keeps_precision = (".tflite",), (), True

    def __init__(self, options: Mapping[str, str]) -> None:
        """Options: threads (0: LiteRT's choice), xnnpack, sizes (batch sizes that stay allocated per thread)."""
        self._options = checked(options, OPTIONS, "litert")
        if self._options["threads"] < 0 or self._options["sizes"] < 1:
            raise BadInput("backend litert wants threads of at least 0 and sizes of at least 1.")
        self._model: Path | None = None
        self._own = threading.local()
        self._fixed = 0  # the batch size of a model that has no other, 0 where it takes any
        self._precision = self._operators = ""
        self._delegated: tuple[int, int] = 0, 0

    def load(self, model: Path | None, device: str, precision: str) -> None:
        """Open the file, learn whether its batch can be resized, and answer one batch of zeros."""
        check_device(self, device)
        if model is None or not Path(model).is_file():
            raise BadInput(
                f"backend litert needs a TensorFlow Lite file, and {model or 'none'} is not there: name one."
            )
        self._model, self._precision = Path(model), precision
        try:
            self._open()
        except UNUSABLE as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise BadInput(
                f"{self._model.name} cannot be used by LiteRT ({reason}): restore or choose the file."
            ) from error

    def predict(self, batch: Batch) -> Sequence[np.ndarray]:
        """The model's outputs, as fp32 where the file quantises them."""
        count = len(next(iter(batch.values())))
        if not count:
            one = {name: np.zeros((1, *array.shape[1:]), array.dtype) for name, array in batch.items()}
            return [output[:0] for output in self.predict(one)]
        if not self._fixed:
            return _run(self._interpreter(tuple(array.shape for array in batch.values()), batch), batch, count)
        step = self._fixed
        parts = []
        for begin in range(0, count, step):
            part = {name: _padded(array[begin : begin + step], step) for name, array in batch.items()}
            shapes = tuple(array.shape for array in part.values())
            parts.append(_run(self._interpreter(shapes, part), part, min(step, count - begin)))
        return [np.concatenate(outputs) for outputs in zip(*parts, strict=True)]

    def describe(self) -> dict[str, str]:
        """Threads, the operators that XNNPACK took, whether samples loop."""
        taken, total = self._delegated
        asked = self._options["xnnpack"]
        return {
            "framework": "LiteRT",
            "version": metadata.version("ai-edge-litert"),
            "device": "cpu",
            "provider": f"XNNPACK: {taken} of {total} operators" if taken else "built-in kernels",
            "precision": self._precision,
            "mode": f"batches of {self._fixed}, one after the other" if self._fixed else "interpreter per batch size",
            "threads": str(self._options["threads"] or "default"),
            "xnnpack": str(asked).lower(),
            **({"builtin": self._operators} if self._operators else {}),
            **(
                {"fallback": "XNNPACK took no operator: built-in kernels ran all of them"}
                if asked and not taken
                else {}
            ),
        }

    def close(self) -> None:
        """Drop the interpreters of all threads."""
        self._own = threading.local()
        gc.collect()

    def _new(self) -> Any:
        return Interpreter(
            model_path=str(self._model),
            num_threads=self._options["threads"] or None,
            experimental_op_resolver_type=RESOLVERS[self._options["xnnpack"]],
        )

    def _open(self) -> None:
        interpreter = self._new()
        inputs = interpreter.get_input_details()
        if not inputs:
            raise ValueError("the model has no input")
        first = inputs[0]["shape"]
        signature = inputs[0].get("shape_signature", first)
        self._fixed = 0 if len(first) and signature[0] == -1 else _fixed(self._new(), inputs)
        _answer_zeros(interpreter)
        self._delegated, self._operators = _operators(interpreter)

    def _interpreter(self, shapes: tuple[tuple[int, ...], ...], batch: Batch) -> Any:
        """This thread's interpreter for inputs of these shapes, which keeps its memory between batches."""
        kept: dict[Any, Any] = self._own.__dict__.setdefault("kept", {})
        interpreter = kept.get(shapes)
        if interpreter is None:
            while len(kept) >= self._options["sizes"]:
                del kept[next(iter(kept))]
            interpreter = kept[shapes] = self._new()
            for detail in interpreter.get_input_details():
                interpreter.resize_tensor_input(detail["index"], _given(detail, batch).shape)
            interpreter.allocate_tensors()
        return interpreter


def _fixed(interpreter: Any, inputs: Sequence[Mapping[str, Any]]) -> int:
    """0 where twice the file's batch is answered like its halves, although the file states one size; else that size."""
    size = int(inputs[0]["shape"][0]) if len(inputs[0]["shape"]) else 1
    random = np.random.default_rng(0)
    both = {each["name"]: random.random((2 * size, *each["shape"][1:])).astype(each["dtype"]) for each in inputs}
    halves = [{name: array[part] for name, array in both.items()} for part in (slice(size), slice(size, None))]
    try:
        interpreter.allocate_tensors()
        alone = [np.concatenate(pair) for pair in zip(*(_run(interpreter, half, size) for half in halves), strict=True)]
        for detail in inputs:
            interpreter.resize_tensor_input(detail["index"], both[detail["name"]].shape)
        interpreter.allocate_tensors()
        together = _run(interpreter, both, 2 * size)
    except UNUSABLE:
        return size
    alike = (
        one.shape == two.shape and np.allclose(one, two, 1e-3, 1e-4) for one, two in zip(alone, together, strict=True)
    )
    return 0 if all(alike) else size


def _answer_zeros(interpreter: Any) -> None:
    """One answer to zeros: fresh memory may hold indices that are out of bounds."""
    interpreter.allocate_tensors()
    for detail in interpreter.get_input_details():
        interpreter.set_tensor(detail["index"], np.zeros(detail["shape"], detail["dtype"]))
    interpreter.invoke()


def _given(detail: Mapping[str, Any], batch: Batch) -> np.ndarray:
    """The array for an input: by its name, without the prefix and number that converters add, or the only one."""
    if UNNAMED in batch and len(batch) == 1:
        return batch[UNNAMED]
    name = detail["name"]
    short = name.removeprefix("serving_default_").partition(":")[0]
    found = batch.get(name, batch.get(short))
    if found is None:
        raise BadInput(f"the model's input {name!r} is not among {', '.join(batch)}: name the batch's arrays like it.")
    return found


def _run(interpreter: Any, batch: Batch, count: int) -> list[np.ndarray]:
    for detail in interpreter.get_input_details():
        interpreter.set_tensor(detail["index"], _quantised(_given(detail, batch), detail))
    interpreter.invoke()
    return [_real(interpreter.get_tensor(each["index"]), each)[:count] for each in interpreter.get_output_details()]


def _quantised(array: np.ndarray, detail: Mapping[str, Any]) -> np.ndarray:
    """Real numbers as the file wants them; arrays of its own type pass."""
    wanted, (scale, zero) = detail["dtype"], detail["quantization"]
    if array.dtype == wanted:
        return np.ascontiguousarray(array)
    if scale and np.issubdtype(array.dtype, np.floating):
        limits = np.iinfo(wanted)
        array = np.clip(np.rint(array / scale) + zero, limits.min, limits.max)
    return np.asarray(array, wanted)


def _real(array: np.ndarray, detail: Mapping[str, Any]) -> np.ndarray:
    scale, zero = detail["quantization"]
    if not (scale and np.issubdtype(array.dtype, np.integer)):
        return array
    return np.asarray((array.astype(np.float32) - zero) * scale, np.float32)


def _padded(array: np.ndarray, size: int) -> np.ndarray:
    lacking = size - len(array)
    return np.concatenate([array, np.ones((lacking, *array.shape[1:]), array.dtype)]) if lacking else array


def _operators(interpreter: Any) -> tuple[tuple[int, int], str]:
    """How many operators the delegate took, how many there are, and the names of those that it left."""
    listed = interpreter._get_ops_details()  # LiteRT offers no public way to ask
    own = [each for each in listed if each["op_name"] != DELEGATE]
    makers = {int(tensor): number for number, each in enumerate(own) for tensor in each["outputs"]}
    taken: set[int] = set()
    for part in (each for each in listed if each["op_name"] == DELEGATE):
        given, waiting = set(map(int, part["inputs"])), list(map(int, part["outputs"]))
        while waiting:
            tensor = waiting.pop()
            number = makers.get(tensor)
            if number is not None and tensor not in given and number not in taken:
                taken.add(number)
                waiting.extend(map(int, own[number]["inputs"]))
    left = sorted({each["op_name"] for number, each in enumerate(own) if number not in taken})
    return (len(taken), len(own)), ", ".join(left)


def check_device(backend: LiteRt, device: str) -> None:
    """See backends.ModelReader."""
    if device != "cpu":
        raise UnknownName("device of backend litert", device, ("cpu",))


BACKEND = LiteRt

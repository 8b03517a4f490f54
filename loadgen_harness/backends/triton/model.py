"""What a Triton or KServe v2 server says of a model, and batches to and from its tensors; imports no framework."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from loadgen_harness.backends import Batch
from loadgen_harness.errors import BadInput

DTYPES: dict[str, Any] = {
    "BOOL": np.bool_, "INT8": np.int8, "INT16": np.int16, "INT32": np.int32, "INT64": np.int64, "UINT8": np.uint8,
    "UINT16": np.uint16, "UINT32": np.uint32, "UINT64": np.uint64, "FP16": np.float16, "FP32": np.float32,
    "FP64": np.float64, "BYTES": np.object_,
}  # fmt: skip
TYPED = {  # where the protocol's typed contents keep a datatype; FP16 and BF16 have no place there
    "BOOL": "bool_contents", "INT8": "int_contents", "INT16": "int_contents", "INT32": "int_contents",
    "INT64": "int64_contents", "UINT8": "uint_contents", "UINT16": "uint_contents", "UINT32": "uint_contents",
    "UINT64": "uint64_contents", "FP32": "fp32_contents", "FP64": "fp64_contents", "BYTES": "bytes_contents",
}  # fmt: skip
OPEN = -1


class Malformed(ValueError):
    """An answer that contradicts itself or the request."""


@dataclass(frozen=True)
class Tensor:
    """One input or output as the server's metadata state it; -1 is an open dimension."""

    name: str
    datatype: str
    shape: tuple[int, ...]

    def __str__(self) -> str:
        """Name, datatype and shape."""
        return f"{self.name} {self.datatype} {list(self.shape)}"


def dtype(datatype: str) -> np.dtype[Any]:
    """numpy's type; BF16 is known once the client library has registered it."""
    if datatype != "BF16" and datatype not in DTYPES:
        raise BadInput(f"the server names a datatype {datatype!r}, which KServe v2 does not have: mend the model.")
    return np.dtype("bfloat16") if datatype == "BF16" else np.dtype(DTYPES[datatype])


@dataclass(frozen=True)
class Served:
    """A model as the server describes it; `config` is Triton's extension, empty for a plain KServe v2 server."""

    name: str
    platform: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]  # those asked for, in that order
    config: Mapping[str, Any]
    renamed: Mapping[str, str]  # our input name -> the server's, where the user said so
    limit: int = 0  # samples per request; 0: any number

    @property
    def decoupled(self) -> bool:
        """Whether the model answers a request with any number of responses."""
        return bool(self.config.get("model_transaction_policy", {}).get("decoupled", False))

    @property
    def precision(self) -> str:
        """The floating type of the tensors, else the first output's; kernels are the server's secret."""
        if self.decoupled:
            return "unknown"
        known = [each.datatype for each in (*self.outputs, *self.inputs) if each.datatype != "BYTES"]
        floats = [each for each in known if each.startswith(("FP", "BF"))]
        return (floats or known or ["unknown"])[0].lower()

    def arranged(self, batch: Batch, *, convert: bool) -> dict[str, np.ndarray]:
        """The batch under the server's names, in its datatypes; raises BadInput for what does not fit."""
        tensors = {each.name: each for each in self.inputs}
        found = {}
        for key, array in batch.items():
            name = self.renamed.get(key) or (self.inputs[0].name if len(self.inputs) == len(batch) == 1 else key)
            if name not in tensors:
                known = "; ".join(map(str, self.inputs))
                raise BadInput(f"model {self.name} has no input {name!r} ({known}): map it with --option inputs=a=b,…")
            found[name] = _fitting(tensors[name], array, self.name, convert=convert)
        if missing := sorted(tensors.keys() - found.keys() - self._optional()):
            raise BadInput(f"model {self.name} also wants {', '.join(missing)}: map them with --option inputs=a=b,…")
        return found

    def _optional(self) -> set[str]:
        return {each["name"] for each in self.config.get("input", ()) if each.get("optional")}

    def pieces(self, arrays: dict[str, np.ndarray], count: int) -> list[dict[str, np.ndarray]]:
        """The batch of `count` in parts of at most `limit` samples."""
        step = self.limit or count
        if count <= step:
            return [arrays]
        return [{key: array[n : n + step] for key, array in arrays.items()} for n in range(0, count, step)]

    def empty(self, tails: Sequence[tuple[int, ...]]) -> list[np.ndarray]:
        """Outputs of no sample: `tails` are the shapes of one sample's, as far as answers have shown them."""
        known = tails or [tuple(max(length, 0) for length in each.shape[1:]) for each in self.outputs]
        return [np.empty((0, *tail), shown(each.datatype)) for each, tail in zip(self.outputs, known, strict=True)]

    def example(self) -> dict[str, np.ndarray]:
        """A batch of one of zeros, or nothing where a shape is open or a text."""
        required = [each for each in self.inputs if each.name not in self._optional()]
        if any(OPEN in each.shape[1:] or each.datatype == "BYTES" for each in required):
            return {}
        return {each.name: np.zeros((1, *each.shape[1:]), dtype(each.datatype)) for each in required}


def size(arrays: Batch) -> int:
    """How many samples a batch holds."""
    counts = {array.shape[0] if array.ndim else 0 for array in arrays.values()}
    if len(counts) != 1:
        raise BadInput(f"the inputs of one batch hold {sorted(counts)} samples: they must agree.")
    return counts.pop()


def _fitting(tensor: Tensor, array: np.ndarray, model: str, *, convert: bool) -> np.ndarray:
    wanted = tensor.shape[1:]
    pairs = zip(wanted, array.shape[1:], strict=False)
    if array.ndim != len(tensor.shape) or any(want not in (OPEN, got) for want, got in pairs):
        raise BadInput(f"model {model} wants {tensor}, and the batch is {list(array.shape)}: choose the task's model.")
    if tensor.datatype == "BYTES" and array.dtype.kind in "USO":
        return array if array.dtype == np.object_ else np.char.encode(array.astype(np.str_)).astype(np.object_)
    target = dtype(tensor.datatype)
    if array.dtype == target:
        return array
    if not convert:
        raise BadInput(
            f"model {model} wants {tensor}, and the task gives {array.dtype}: add --option convert=true to convert "
            f"each batch, which is measured too."
        )
    return array.astype(target)


def read_model(metadata: Mapping[str, Any], config: Mapping[str, Any], *, chosen: Mapping[str, Any]) -> Served:
    """The model from the server's own words (JSON of either protocol) and the options inputs, outputs, max_batch."""
    name = metadata.get("name", chosen["model"])
    inputs, outputs = (tuple(_tensors(metadata.get(key, ()))) for key in ("inputs", "outputs"))
    wanted = [each.strip() for each in chosen["outputs"].split(",") if each.strip()]
    known = {each.name: each for each in outputs}
    if strange := [each for each in wanted if each not in known]:
        raise BadInput(f"model {name} has no output {strange[0]!r}: choose from {', '.join(known)}.")
    if not inputs or not outputs:
        raise BadInput(f"the server names no {'outputs' if inputs else 'inputs'} of {name}: mend its configuration.")
    renamed = _pairs(chosen["inputs"])
    limit = _limit(name, inputs, int(config.get("max_batch_size", 0)), chosen["max_batch"])
    asked = tuple(known[each] for each in wanted) or outputs
    return Served(name, str(metadata.get("platform", "")), inputs, asked, config, renamed, limit)


def _tensors(found: Sequence[Mapping[str, Any]]) -> Iterator[Tensor]:
    for each in found:
        # int64 travels as text in protobuf's JSON
        yield Tensor(each["name"], each["datatype"], tuple(int(length) for length in each.get("shape", ())))


def _pairs(text: str) -> dict[str, str]:
    pairs = [each.partition("=") for each in text.split(",") if each.strip()]
    if not all(sign and ours.strip() and theirs.strip() for ours, sign, theirs in pairs):
        raise BadInput(f"option inputs of backend triton is {text!r}: write ours=theirs, separated by commas.")
    return {ours.strip(): theirs.strip() for ours, _, theirs in pairs}


def _limit(name: str, inputs: Sequence[Tensor], batching: int, chosen: int) -> int:
    """Samples per request: the configuration's max_batch_size, else what the first dimensions allow."""
    if batching:
        return min(batching, chosen or batching)
    fixed = {each.shape[0] for each in inputs if each.shape and each.shape[0] != OPEN}
    if fixed - {1}:
        raise BadInput(f"model {name} takes batches of exactly {max(fixed)}: serve it with an open batch dimension.")
    return 1 if fixed else chosen


def shown(datatype: str) -> np.dtype[Any]:
    """The type in which an output is handed on: BF16 as float32, which holds it exactly."""
    return np.dtype(np.float32) if datatype == "BF16" else dtype(datatype)


def output(tensor: Tensor, found: np.ndarray, count: int) -> np.ndarray:
    """One output, checked: `count` samples, the datatype that the metadata state; an array of its own."""
    if found.ndim == 0 or found.shape[0] != count:
        raise Malformed(f"output {tensor.name} has shape {list(found.shape)} for a batch of {count}")
    return np.array(found, shown(tensor.datatype), order="C")


def decoded(datatype: str, shape: Sequence[int], raw: bytes) -> np.ndarray:
    """An array from the protocol's raw contents: little-endian, row-major; texts with their length before each."""
    if datatype == "BYTES":
        return np.array([*texts(raw)], np.object_).reshape(shape)
    kind = dtype(datatype)
    wanted = math.prod(shape) * kind.itemsize
    if min(shape, default=0) < 0 or len(raw) != wanted:
        raise Malformed(f"{len(raw)} bytes came where {datatype} {list(shape)} takes {max(wanted, 0)}")
    return np.frombuffer(raw, kind).reshape(shape)


def texts(raw: bytes) -> Iterator[bytes]:
    """The byte strings of raw contents."""
    place = 0
    while place < len(raw):
        if place + 4 > len(raw):
            raise Malformed("a text's length is cut short")
        (length,) = struct.unpack_from("<I", raw, place)
        if place + 4 + length > len(raw):
            raise Malformed(f"a text of {length} bytes is cut short")
        yield raw[place + 4 : place + 4 + length]
        place += 4 + length


def encoded(array: np.ndarray) -> bytes:
    """The protocol's raw contents of an array."""
    if array.dtype != np.object_:
        return array.tobytes()
    return b"".join(struct.pack("<I", len(each)) + each for each in array.reshape(-1))

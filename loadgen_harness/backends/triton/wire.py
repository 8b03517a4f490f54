"""gRPC messages of a streaming request and its responses; the library's stub and messages are handed in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from loadgen_harness.backends.triton.address import Address
from loadgen_harness.backends.triton.model import TYPED, Malformed, decoded, dtype, encoded
from loadgen_harness.backends.triton.server import AGAIN
from loadgen_harness.backends.triton.stream import Call, Said
from loadgen_harness.backends.triton.text import Prompting
from loadgen_harness.errors import BadInput

FINAL, EMPTY_FINAL = "triton_final_response", "triton_enable_empty_final_response"
PARAMETERS = {bool: "bool_param", int: "int64_param", float: "double_param", str: "string_param"}


def array_of(answer: Any, name: str, datatype: str) -> np.ndarray:
    """One output of a ModelInferResponse, from raw or typed contents."""
    for place, each in enumerate(answer.outputs):
        if each.name == name and each.datatype == datatype:
            return _content(answer, place)
    came = ", ".join(f"{each.name} {each.datatype}" for each in answer.outputs) or "nothing"
    raise Malformed(f"{came} came where {name} {datatype} was asked for")


def _content(answer: Any, place: int) -> np.ndarray:
    each = answer.outputs[place]
    if place < len(answer.raw_output_contents):
        return decoded(each.datatype, list(each.shape), answer.raw_output_contents[place])
    if each.datatype not in TYPED:
        raise Malformed(f"output {each.name} came without contents")
    values = list(getattr(each.contents, TYPED[each.datatype]))
    return np.array(values, dtype(each.datatype)).reshape(list(each.shape))


class GrpcStream:
    """One bidirectional stream of grpc's event-loop half."""

    def __init__(self, call: Any, read: Callable[[Any], Said], end: Any) -> None:
        """`read` turns a response into words; `end` is what grpc hands out after the last."""
        self._call, self._read, self._end = call, read, end

    async def write(self, request: Any) -> None:
        """Send a request."""
        await self._call.write(request)

    async def read(self) -> Said | None:
        """The next response, None after the last."""
        response = await self._call.read()
        return None if response is self._end else self._read(response)

    def usable(self) -> bool:
        """Whether the stream is still open."""
        return not self._call.done()

    def cancel(self) -> None:
        """End it, and what the server computes for it."""
        self._call.cancel()


class GrpcWire:
    """Streams of one channel."""

    def __init__(
        self, channel: Any, stub: Any, message: Callable[[], Any], *, address: Address, prompting: Prompting, end: Any
    ) -> None:
        """`message` gives an empty request for the model."""
        self._channel, self._stub, self._message, self._end = channel, stub, message, end
        self._address, self._prompting = address, prompting

    def open(self) -> Call:
        """A new stream."""
        call = self._stub.ModelStreamInfer(metadata=tuple(self._address.headers.items()))
        return GrpcStream(call, self._said, self._end)

    def request(self, id: int, input: Any) -> Any:
        """The message for a request; the server is asked to mark its last response."""
        question = self._prompting.question(input)
        message = self._message()
        message.id = str(id)
        for name, array in question.tensors.items():
            message.inputs.add(name=name, datatype=self._prompting.datatype(name), shape=array.shape)
            message.raw_input_contents.append(encoded(array))
        for key, value in question.parameters.items():
            setattr(message.parameters[key], _field(key, value), value)
        message.parameters[EMPTY_FINAL].bool_param = True
        return message

    def reason(self, error: BaseException) -> tuple[str, bool]:
        """An error in words, and whether trying again may help."""
        if hasattr(error, "code") and hasattr(error, "details"):
            status = str(error.code().name)
            return self._address.safe(f"{status}: {error.details()}"), status in AGAIN
        kind = "malformed answer" if isinstance(error, ValueError) else type(error).__name__
        words = str(error) if isinstance(error, BadInput) else f"{kind}: {error}"
        return self._address.safe(words), False

    async def close(self) -> None:
        """Close the channel."""
        await self._channel.close()

    def _said(self, response: Any) -> Said:
        answer = response.infer_response
        if response.error_message:
            return Said(answer.id, (), "", final=True, error=self._address.safe(response.error_message))
        final = FINAL in answer.parameters and answer.parameters[FINAL].bool_param
        arrays: Mapping[str, np.ndarray] = {
            each.name: _content(answer, place) for place, each in enumerate(answer.outputs)
        }
        piece = self._prompting.piece(arrays)
        return Said(answer.id, piece.tokens, piece.text, final=final, error="")


def _field(key: str, value: Any) -> str:
    if type(value) not in PARAMETERS:
        raise BadInput(f"request parameter {key} is {value!r}: give a number, a text, true or false.")
    return PARAMETERS[type(value)]

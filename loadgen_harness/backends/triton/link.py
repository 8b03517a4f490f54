"""Calls to one server through the client library, whose modules are handed in; imports no framework."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from loadgen_harness.backends.triton.address import Address
from loadgen_harness.backends.triton.memory import Regions
from loadgen_harness.backends.triton.model import Malformed, Served, output
from loadgen_harness.backends.triton.server import CallFailed
from loadgen_harness.backends.triton.wire import array_of
from loadgen_harness.errors import BadInput


class Library(NamedTuple):
    """What the client library is made of, for one protocol."""

    protocol: Any  # tritonclient.grpc or tritonclient.http: both name their classes alike
    memory: Any  # tritonclient.utils.shared_memory
    failures: tuple[type[Exception], ...]  # what a call may raise, beside CallFailed


class Client(Protocol):
    """What carries calls."""

    def call(self, method: str, *args: Any, headers: Mapping[str, str], **more: Any) -> Any:
        """The client library's method of this name, or what does the same."""

    def close(self) -> None:
        """Close the connection."""


class GrpcClient:
    """The client library's client, whose unary methods any thread may call."""

    def __init__(self, client: Any, timeout_s: float) -> None:
        """Every call fails after `timeout_s`."""
        self._client, self._timeout_s = client, timeout_s

    def call(self, method: str, *args: Any, headers: Mapping[str, str], **more: Any) -> Any:
        """The method, its answer as JSON where it is none of tensors."""
        if method.startswith("get_"):
            more["as_json"] = True
        return getattr(self._client, method)(*args, headers=headers, client_timeout=self._timeout_s, **more)

    def close(self) -> None:
        """Close the channel."""
        self._client.close()


class Link:
    """One protocol's calls, from any thread: gRPC shares one client, HTTP's belong to a thread each."""

    def __init__(self, address: Address, library: Library, make: Callable[[], Client]) -> None:
        """`make` gives a client: the same one each time where it may be shared among threads."""
        self.address, self._library, self._make = address, library, make
        self._grpc = address.protocol == "grpc"
        self._own = threading.local()
        self._clients: list[Client] = []
        self._regions: Regions | None = None
        self._binary: dict[str, bool] = {}
        self._kinds: dict[str, str] = {}
        self._wanted: list[Any] = []

    def call(self, method: str, *args: Any, **more: Any) -> Any:
        """The client library's method; raises CallFailed."""
        try:
            return self._client().call(method, *args, headers=dict(self.address.headers), **more)
        except self._library.failures as error:
            raise self._failed(error) from None  # the error itself may hold the key

    def prepare(self, served: Served, extensions: Sequence[str], *, shared: bool) -> None:
        """Once before the first infer(): how tensors travel."""
        kinds = {each.datatype for each in (*served.inputs, *served.outputs)}
        if not self._grpc:
            self._binary = {"binary_data": "binary_tensor_data" in extensions}
            if not self._binary["binary_data"] and kinds & {"FP16", "BF16"}:
                raise BadInput(f"model {served.name} has 16-bit floats, which JSON cannot hold: use grpc://.")
        if shared and ("system_shared_memory" not in extensions or "BYTES" in kinds):
            raise BadInput(f"model {served.name} at {self.address} cannot take shared memory: leave the option out.")
        self._regions = Regions(self._library.memory, self.call) if shared else None
        self._kinds = {each.name: each.datatype for each in served.inputs}
        wanted = self._library.protocol.InferRequestedOutput
        self._wanted = [wanted(each.name, **self._binary) for each in served.outputs]  # only read: for all threads

    def infer(self, arrays: Mapping[str, np.ndarray], served: Served, version: str) -> list[np.ndarray]:
        """One request's outputs, each an array of its own; raises CallFailed."""
        make, kinds, count = self._library.protocol.InferInput, self._kinds, len(next(iter(arrays.values())))
        tensors = [make(name, list(array.shape), kinds[name]) for name, array in arrays.items()]
        if self._regions:
            self._regions.fill(tensors, list(arrays.values()))
        else:
            for tensor, array in zip(tensors, arrays.values(), strict=True):
                tensor.set_data_from_numpy(array, **self._binary)
        result = self.call("infer", served.name, tensors, model_version=version, outputs=self._wanted)
        read = array_of if self._grpc else _of_json
        try:
            answer = result.get_response() if self._grpc else result
            return [output(each, read(answer, each.name, each.datatype), count) for each in served.outputs]
        except (ValueError, TypeError, KeyError, IndexError) as error:
            raise CallFailed("malformed answer", self.address.safe(error)) from error

    def close(self) -> None:
        """End every thread's connection."""
        if self._regions:
            self._regions.close()
        for client in self._clients:
            client.close()
        self._clients = []

    def _client(self) -> Client:
        client: Client | None = getattr(self._own, "client", None)
        if client is None:
            client = self._own.client = self._make()
            if client not in self._clients:
                self._clients.append(client)
        return client

    def _failed(self, error: Exception) -> CallFailed:
        if hasattr(error, "status"):  # the library's own exception
            status = str(error.status() or "").removeprefix("StatusCode.")
            return CallFailed(status, self.address.safe(error.message()))  # type: ignore[attr-defined]
        timeout, lost = isinstance(error, TimeoutError), isinstance(error, OSError)
        kind = "timeout" if timeout else "connection" if lost else type(error).__name__
        return CallFailed(kind, self.address.safe(error) or type(error).__name__)


def _of_json(result: Any, name: str, datatype: str) -> np.ndarray:
    """One output of an HTTP answer, binary or JSON."""
    stated = result.get_output(name)
    if stated is None or stated["datatype"] != datatype:
        raise Malformed(f"output {name} came as {stated and stated['datatype']}, not as {datatype}")
    found: np.ndarray = result.as_numpy(name)
    return found

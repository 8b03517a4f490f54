"""Runs models behind a Triton or KServe v2 server, batches and token streams; a response cache is refused.

What is measured is the whole hop: encoding, the network, the server's queue and computation, decoding.
"""

from __future__ import annotations

import contextlib
import importlib
import itertools
import queue
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException
from pathlib import Path
from typing import Any

import numpy as np
import tritonclient.grpc as grpcclient
from tritonclient.grpc import service_pb2, service_pb2_grpc
from tritonclient.utils import InferenceServerException, shared_memory

from loadgen_harness.backends import Batch, TokenEvent, checked, drained
from loadgen_harness.backends.triton.address import Address, address
from loadgen_harness.backends.triton.http import HttpClient
from loadgen_harness.backends.triton.link import GrpcClient, Library, Link
from loadgen_harness.backends.triton.model import Served, read_model, size
from loadgen_harness.backends.triton.server import (
    AGAIN,
    CallFailed,
    account,
    configuration,
    counters,
    find_model,
    find_server,
    instances,
    pause,
)
from loadgen_harness.backends.triton.stream import Streams
from loadgen_harness.backends.triton.text import Prompting, prefix_cache
from loadgen_harness.backends.triton.wire import GrpcWire
from loadgen_harness.errors import BadInput, MissingDependency, RunFailed, UnknownName

OPTIONS = {
    "url": "", "model": "", "version": "", "protocol": "", "inputs": "", "outputs": "", "max_batch": 0,
    "convert": False, "concurrency": 1, "slots": 1, "timeout_s": 60.0, "retries": 0, "shared_memory": "none", "ca": "",
    "verify": True, "key_env": "TRITON_API_KEY", "key_header": "authorization", "text_input": "text_input",
    "text_output": "text_output", "max_tokens": "", "token_ids": "auto", "parameters": "",
}  # fmt: skip
CHOICES = {"shared_memory": ("none", "system"), "token_ids": ("auto", "logprobs")}
CHANNEL = [  # the client library's limits, but no second try and no proxy that nobody would hear of
    ("grpc.max_send_message_length", grpcclient.MAX_GRPC_MESSAGE_SIZE),
    ("grpc.max_receive_message_length", grpcclient.MAX_GRPC_MESSAGE_SIZE),
    ("grpc.enable_retries", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.enable_http_proxy", 0),
]
FAILURES = (InferenceServerException, OSError, ValueError, RuntimeError)
WARM_UPS, WARM_UP = 3, {"prompt": "Warm up.", "max_new_tokens": 2}
POLL_S = 0.1


class Triton:
    """One model of one server; `predict` may be called from several threads at once."""

    thread_safe, needs_model = True, False
    formats, casts, keeps_precision = (), (), True

    def __init__(self, options: Mapping[str, str]) -> None:
        """Options: see docs/triton.md."""
        chosen = self._chosen = checked(options, OPTIONS, "triton")
        for key, known in CHOICES.items():
            if chosen[key] not in known:
                raise UnknownName(f"{key} of backend triton", chosen[key], known)
        if min(chosen["concurrency"], chosen["slots"]) < 1 or min(chosen["max_batch"], chosen["retries"]) < 0:
            raise BadInput(
                "backend triton wants slots and concurrency of at least 1, no negative max_batch or retries."
            )
        if not chosen["model"] or not chosen["timeout_s"] > 0:
            raise BadInput("backend triton wants --option model=NAME and a timeout_s above 0.")
        self.slots: int = chosen["slots"]
        self._address = address(chosen)
        self._link: Link | None = None
        self._served: Served
        self._server: Mapping[str, Any] = {}
        self._pool: ThreadPoolExecutor | None = None
        self._streams: Streams | None = None
        self._prompting: Prompting | None = None
        self._events: queue.SimpleQueue[TokenEvent] = queue.SimpleQueue()
        self._tails: list[tuple[int, ...]] = []
        self._before: dict[str, int] = {}
        self._counting = threading.Lock()
        self._retried, self._in_pieces = 0, 0

    def load(self, model: Path | None, device: str, precision: str) -> None:
        """Find the model on the server, refuse what would falsify a result, warm up; the device is the server's."""
        with contextlib.ExitStack() as undo:
            undo.callback(self.close)
            chosen, name, version = self._chosen, self._chosen["model"], self._chosen["version"]
            link = self._link = _link(self._address, chosen["timeout_s"])
            self._server = find_server(link)
            extensions = self._server.get("extensions", ())
            metadata = find_model(link, name, version)
            config = configuration(link, name, version) if "model_configuration" in extensions else {}
            self._served = read_model(metadata, config, chosen=chosen)
            if self._served.decoupled:
                self._start_streams()
            else:
                link.prepare(self._served, extensions, shared=chosen["shared_memory"] == "system")
                self._warm_up()
            if "statistics" in extensions:
                self._before = counters(link, name, version)
            undo.pop_all()

    def predict(self, batch: Batch) -> Sequence[np.ndarray]:
        """The outputs for a batch, sent in pieces where it exceeds what the server takes."""
        if self._streams:
            raise BadInput(f"model {self._served.name} is decoupled and streams: run a task that streams.")
        arrays = self._served.arranged(batch, convert=self._chosen["convert"])
        count = size(arrays)
        if not count:
            return self._served.empty(self._tails)
        pieces = self._served.pieces(arrays, count)
        if len(pieces) == 1:
            return self._answer(pieces[0])
        with self._counting:
            self._in_pieces += 1
        parts = self._pool.map(self._answer, pieces) if self._pool else map(self._answer, pieces)
        return [np.concatenate(column) for column in zip(*parts, strict=True)]

    def submit(self, id: int, input: Any) -> None:
        """Begin a request, or queue it until a stream is free."""
        if self._streams is None:
            raise BadInput(f"model {self._served.name} is not decoupled and cannot stream: see docs/triton.md.")
        self._streams.submit(id, input)

    def poll(self, timeout: float) -> list[TokenEvent]:
        """Events since the last poll; waits up to `timeout` seconds for one."""
        return drained(self._events, timeout)

    def cancel(self, id: int) -> None:
        """Stop a request, here and on the server; one that is over stays as it ended."""
        if self._streams:
            self._streams.cancel(id)

    def describe(self) -> dict[str, str]:
        """Server, model and wire, and where the server says that time went."""
        served, at = self._served, self._address
        retried = self._retried + (self._streams.retried if self._streams else 0)
        return {
            "framework": str(self._server.get("name", "") or "KServe v2 server"),
            "version": str(self._server.get("version", "") or "unknown"),
            "device": "remote",
            "provider": at.protocol,
            "precision": served.precision,  # of the tensors; what the kernels compute in stays with the server
            "mode": "decoupled" if served.decoupled else "batch",
            "threads": "the server's",
            "url": str(at),
            "tls": ("verified" if at.verify else "not verified, as asked") if at.tls else "none",
            "model": f"{served.name} {self._chosen['version']}".strip(),
            "platform": served.platform or str(served.config.get("backend", "")) or "unknown",
            "instances": instances(served.config),
            "response_cache": "off" if served.config else "unknown: the server shows no model configuration",
            **({"retries": str(retried)} if retried else {}),
            **self._kind(),
            **(account(self._link, served.name, self._chosen["version"], self._before) if self._link else {}),
        }

    def close(self) -> None:
        """End streams and connections."""
        if self._streams:
            self._streams.close()
        if self._pool:
            self._pool.shutdown()
        if self._link:
            self._link.close()
        self._link = self._streams = self._pool = None

    def _kind(self) -> dict[str, str]:
        """What is said of a streaming model alone, or of one that takes batches."""
        if self._prompting:
            counted = self._prompting.counted or "unknown: no answer yet"
            lacking = {"fallback": "the server tells no token counts: each response with text counted as one token"}
            return {
                "slots": str(self.slots),
                "batching": "unknown: the server's",
                "prefix_cache": prefix_cache(self._served),
                "tokens": counted,
                **(lacking if counted == "responses" else {}),
            }
        return {
            "request_batch": f"at most {self._served.limit}" if self._served.limit else "any",
            "batches_in_pieces": str(self._in_pieces),
            "concurrency": str(self._chosen["concurrency"]),
            "shared_memory": "inputs" if self._chosen["shared_memory"] == "system" else "none",
        }

    def _warm_up(self) -> None:
        """A few answers to zeros, untimed; they also show the outputs' shapes."""
        if self._chosen["concurrency"] > 1:
            self._pool = ThreadPoolExecutor(self._chosen["concurrency"], thread_name_prefix="triton")
        example = self._served.example()
        try:
            for _ in range(WARM_UPS if example else 0):
                self._answer(example)
        except RunFailed as error:
            raise BadInput(f"{str(error).rstrip('.')} when it was warmed up with zeros: mend or choose it.") from error

    def _start_streams(self) -> None:
        name, chosen = self._served.name, self._chosen
        if self._address.protocol != "grpc":
            raise BadInput(f"model {name} is decoupled, and only gRPC streams it: use --option url=grpc://….")
        if prefix_cache(self._served) == "on":
            raise BadInput(f"model {name} reuses prefixes across queries: set enable_kv_cache_reuse to false there.")
        prompting = self._prompting = Prompting(self._served, chosen)
        self._streams = Streams(
            self.slots, put=self._events.put, timeout_s=chosen["timeout_s"], retries=chosen["retries"]
        )
        self._streams.start(lambda: _wire(self._address, prompting, self._served, chosen["version"]))
        if not prompting.takes_text:
            return
        self._streams.submit(0, WARM_UP)
        events = itertools.chain.from_iterable(iter(lambda: self.poll(POLL_S), None))
        last = next(event for event in events if event.final)
        if last.error:
            raise BadInput(f"model {name} at {self._address} cannot generate ({last.error}): mend or choose it.")

    def _answer(self, arrays: dict[str, np.ndarray]) -> list[np.ndarray]:
        """One request and, where the user asked for it, its retries."""
        if self._link is None:
            raise RunFailed("backend triton is closed.")
        for attempt in itertools.count(1):
            try:
                outputs = self._link.infer(arrays, self._served, self._chosen["version"])
            except CallFailed as error:
                if attempt > self._chosen["retries"] or error.status not in AGAIN:
                    what = f"model {self._served.name} at {self._address} failed on a batch of {size(arrays)}"
                    raise RunFailed(f"{what} ({error}).") from error
                with self._counting:
                    self._retried += 1
                time.sleep(pause(attempt))
            else:
                break
        self._tails = [each.shape[1:] for each in outputs]
        return outputs


def _link(address: Address, timeout_s: float) -> Link:
    if address.protocol == "grpc":
        known = grpcclient.InferenceServerClient(
            address.place, ssl=address.tls, root_certificates=address.ca or None, channel_args=CHANNEL
        )
        client = GrpcClient(known, timeout_s)
        return Link(address, Library(grpcclient, shared_memory, FAILURES), lambda: client)
    library = _http()
    parts = Library(library, shared_memory, (*FAILURES, HTTPException))
    return Link(address, parts, lambda: HttpClient(library, address, timeout_s))


def _http() -> Any:
    """The library's HTTP half, imported only where it is asked for: it brings gevent, of which nothing is used."""
    try:
        return importlib.import_module("tritonclient.http")
    except RuntimeError as error:
        raise MissingDependency("protocol http of backend triton", "tritonclient[all]") from error


def _wire(address: Address, prompting: Prompting, served: Served, version: str) -> GrpcWire:
    """Streams over a channel of grpc's event-loop half; called on that loop."""
    grpc = importlib.import_module("grpc")
    if address.tls:
        roots = Path(address.ca).read_bytes() if address.ca else None
        credentials = grpc.ssl_channel_credentials(root_certificates=roots)
        channel = grpc.aio.secure_channel(address.place, credentials, options=CHANNEL)
    else:
        channel = grpc.aio.insecure_channel(address.place, options=CHANNEL)
    stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)

    def message() -> Any:
        return service_pb2.ModelInferRequest(model_name=served.name, model_version=version)

    return GrpcWire(channel, stub, message, address=address, prompting=prompting, end=grpc.aio.EOF)


BACKEND = Triton

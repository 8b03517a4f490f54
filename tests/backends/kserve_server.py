"""A server that speaks KServe v2 over gRPC and HTTP, with Triton's extensions if asked to: real sockets, tiny models.

gRPC by the stubs that tritonclient ships; HTTP with the binary tensor extension. `Faults` say how it misbehaves.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import shared_memory
from typing import Any

import grpc
import numpy as np
from tritonclient.grpc import model_config_pb2, service_pb2, service_pb2_grpc
from tritonclient.utils import (
    deserialize_bytes_tensor,
    np_to_triton_dtype,
    serialize_byte_tensor,
    triton_to_np_dtype,
)

EXTENSIONS = ("model_configuration", "statistics", "binary_tensor_data", "system_shared_memory")
Arrays = dict[str, np.ndarray]
Shape = tuple[str, tuple[int, ...]]  # datatype, shape; -1 is open
TYPED = {"FP32": "fp32_contents", "INT32": "int_contents", "INT64": "int64_contents", "BYTES": "bytes_contents"}


@dataclass
class Model:
    """One model: numpy in, numpy out; `stream` makes it decoupled."""

    inputs: Mapping[str, Shape]
    outputs: Mapping[str, Shape]
    compute: Callable[[Arrays], Arrays] = lambda arrays: arrays
    stream: Callable[[Arrays, Mapping[str, Any]], Iterator[Arrays]] | None = None
    max_batch: int = 0
    cached: bool = False
    ready: bool = True
    parameters: Mapping[str, str] = field(default_factory=dict)
    steps: tuple[str, ...] = ()  # names of other models: an ensemble
    optional: frozenset[str] = frozenset()


@dataclass
class Faults:
    """What goes wrong with inferences, from number `after` on, `times` of them."""

    kind: str = (
        ""  # a gRPC status, or: slow, short, long, fewer, renamed, retyped, unshaped, echo, cut, refuse, stranger
    )
    after: int = 0
    times: int = 1 << 30

    def now(self) -> str:
        """What goes wrong with this inference."""
        self.after -= 1
        if not self.kind or self.after >= 0 or self.times < 1:
            return ""
        self.times -= 1
        return self.kind


class Refusal(Exception):
    """An answer with an error status."""

    def __init__(self, status: str, words: str) -> None:
        super().__init__(words)
        self.status = status


class KServe:
    """What both protocols share: models, regions of shared memory, faults, counters."""

    def __init__(
        self, models: Mapping[str, Model], extensions: tuple[str, ...] = EXTENSIONS, typed: bool = False
    ) -> None:
        """`typed`: gRPC answers in typed contents, as some servers do."""
        self.models, self.extensions, self.typed = models, extensions, typed
        self.faults = Faults()
        self.live = self.ready = True
        self.seen: list[dict[str, tuple[int, ...]]] = []  # input shapes of every inference
        self.headers: list[dict[str, str]] = []
        self.cancelled = threading.Event()  # a stream has ended
        self.regions: dict[str, shared_memory.SharedMemory] = {}
        self.counts: dict[str, int] = {}
        self.lock = threading.Lock()

    def model(self, name: str, version: str = "") -> Model:
        """The model of this name."""
        if name not in self.models or version not in ("", "1"):
            raise Refusal("NOT_FOUND", f"Request for unknown model: '{name}' is not found")
        return self.models[name]

    def metadata(self, name: str, version: str = "") -> dict[str, Any]:
        """As the HTTP protocol writes it."""
        model = self.model(name, version)
        return {
            "name": name,
            "versions": ["1"],
            "platform": "numpy",
            **{
                key: [{"name": each, "datatype": kind, "shape": list(shape)} for each, (kind, shape) in side.items()]
                for key, side in (("inputs", model.inputs), ("outputs", model.outputs))
            },
        }

    def config(self, name: str, version: str = "") -> dict[str, Any]:
        """As the HTTP protocol writes it; an extension of Triton's."""
        self.needs("model_configuration")
        model = self.model(name, version)
        return {
            "name": name,
            "max_batch_size": model.max_batch,
            "input": [{"name": each, "optional": each in model.optional} for each in model.inputs],
            "instance_group": [{"count": 2, "kind": "KIND_CPU"}],
            "response_cache": {"enable": model.cached},
            "model_transaction_policy": {"decoupled": model.stream is not None},
            "parameters": {key: {"string_value": value} for key, value in model.parameters.items()},
            **(
                {"ensemble_scheduling": {"step": [{"model_name": each} for each in model.steps]}} if model.steps else {}
            ),
        }

    def stats(self, name: str) -> dict[str, Any]:
        """Counters; an extension of Triton's."""
        self.needs("statistics")
        count = self.counts.get(name, 0)
        times = {
            "success": 100,
            "queue": 5_000,
            "compute_input": 1_000,
            "compute_infer": 8_000,
            "compute_output": 1_000,
        }
        stats = {key: {"count": count, "ns": count * each} for key, each in times.items()}
        one = {"name": name, "inference_count": count, "execution_count": count, "inference_stats": stats}
        return {"model_stats": [one]}

    def needs(self, extension: str) -> None:
        """Refuse what a plain server does not have."""
        if extension not in self.extensions:
            raise Refusal("UNIMPLEMENTED", "Method not implemented!")

    def infer(self, name: str, arrays: Arrays, headers: Mapping[str, str], version: str = "") -> tuple[str, Arrays]:
        """Outputs, and the fault that is left to the protocol."""
        with self.lock:
            self.seen.append({key: array.shape for key, array in arrays.items()})
            self.headers.append(dict(headers))
            fault = self.faults.now()
            self.counts[name] = self.counts.get(name, 0) + 1
        model = self.model(name, version)
        if model.stream:
            raise Refusal("UNIMPLEMENTED", "ModelInfer RPC doesn't support models with decoupled transaction policy")
        _check(name, model, arrays)
        if fault == "slow":
            time.sleep(1.0)
        if fault == "echo":
            raise Refusal("UNAUTHENTICATED", f"no such key: {headers.get('authorization', '')}")
        if fault.isupper():
            raise Refusal(fault, "as the test wants it")
        outputs = model.compute(arrays)
        if fault == "fewer":
            outputs = {key: array[:-1] for key, array in outputs.items()}
        if fault == "renamed":
            outputs = {f"{key}x": array for key, array in outputs.items()}
        if fault == "retyped":
            outputs = {key: array.astype(np.int64) for key, array in outputs.items()}
        return fault, outputs

    def register(self, region: str, key: str) -> None:
        """Open a region of system shared memory."""
        self.needs("system_shared_memory")
        self.regions[region] = shared_memory.SharedMemory(key.lstrip("/"))

    def unregister(self, region: str) -> None:
        """Close one, or all."""
        for name in [region] if region else list(self.regions):
            self.regions.pop(name).close()

    def region(self, name: str, *, start: int, size: int) -> bytes:
        """What a client has put there."""
        return bytes(self.regions[name].buf[start : start + size])


def _check(name: str, model: Model, arrays: Arrays) -> None:
    """As Triton words its refusals."""
    for key, array in arrays.items():
        if key not in model.inputs:
            raise Refusal("INVALID_ARGUMENT", f"unexpected inference input '{key}' for model '{name}'")
        kind, shape = model.inputs[key]
        if np_to_triton_dtype(array.dtype) != kind:
            raise Refusal(
                "INVALID_ARGUMENT", f"inference input '{key}' data-type is wrong, model '{name}' expects '{kind}'"
            )
        if len(shape) != array.ndim or any(want not in (-1, got) for want, got in zip(shape, array.shape, strict=True)):
            raise Refusal("INVALID_ARGUMENT", f"unexpected shape for input '{key}' for model '{name}'")
        if model.max_batch and array.shape[0] > model.max_batch:
            raise Refusal("INVALID_ARGUMENT", f"inference request batch-size must be <= {model.max_batch} for '{name}'")


def to_bytes(array: np.ndarray) -> bytes:
    """Raw contents."""
    if array.dtype == np.object_:
        found = serialize_byte_tensor(array)
        return found.item() if found.size else b""
    return array.tobytes()


def from_bytes(raw: bytes, kind: str, shape: Any) -> np.ndarray:
    """An array of raw contents."""
    if kind == "BYTES":
        return deserialize_bytes_tensor(raw).reshape(shape)
    return np.frombuffer(raw, triton_to_np_dtype(kind)).reshape(shape)


class Grpc(service_pb2_grpc.GRPCInferenceServiceServicer):
    """The gRPC side."""

    def __init__(self, host: KServe) -> None:
        self.host = host

    def ServerLive(self, request: Any, context: Any) -> Any:
        return service_pb2.ServerLiveResponse(live=self.host.live)

    def ServerReady(self, request: Any, context: Any) -> Any:
        return service_pb2.ServerReadyResponse(ready=self.host.ready)

    def ServerMetadata(self, request: Any, context: Any) -> Any:
        return service_pb2.ServerMetadataResponse(name="kserve-test", version="1.2", extensions=self.host.extensions)

    def ModelReady(self, request: Any, context: Any) -> Any:
        found = self.host.models.get(request.name)
        return service_pb2.ModelReadyResponse(ready=bool(found and found.ready))

    def ModelMetadata(self, request: Any, context: Any) -> Any:
        with answering(context):
            return service_pb2.ModelMetadataResponse(**self.host.metadata(request.name, request.version))

    def ModelConfig(self, request: Any, context: Any) -> Any:
        with answering(context):
            found = self.host.config(request.name, request.version)
            return service_pb2.ModelConfigResponse(config=_config(found))

    def ModelStatistics(self, request: Any, context: Any) -> Any:
        with answering(context):
            return service_pb2.ModelStatisticsResponse(**self.host.stats(request.name))

    def SystemSharedMemoryRegister(self, request: Any, context: Any) -> Any:
        with answering(context):
            self.host.register(request.name, request.key)
            return service_pb2.SystemSharedMemoryRegisterResponse()

    def SystemSharedMemoryUnregister(self, request: Any, context: Any) -> Any:
        self.host.unregister(request.name)
        return service_pb2.SystemSharedMemoryUnregisterResponse()

    def ModelInfer(self, request: Any, context: Any) -> Any:
        with answering(context):
            arrays = _inputs(self.host, request)
            fault, outputs = self.host.infer(request.model_name, arrays, dict(context.invocation_metadata()))
            wanted = [each.name for each in request.outputs] or list(outputs)
            known = {key: outputs[key] for key in wanted if key in outputs} or outputs
            return _response(self.host, request, known, fault)

    def ModelStreamInfer(self, requests: Any, context: Any) -> Any:
        """Decoupled: one after the other per stream, which is enough for a client with a stream per slot."""
        self.host.headers.append(dict(context.invocation_metadata()))
        context.add_callback(self.host.cancelled.set)
        for request in requests:
            if (yield from _stream(self.host, request, context)):
                return


def _stream(host: KServe, request: Any, context: Any) -> Any:
    """One request; true ends the stream."""
    fault = host.faults.now()
    model = host.model(request.model_name)
    values = {key: getattr(each, each.WhichOneof("parameter_choice")) for key, each in request.parameters.items()}
    arrays = _inputs(host, request)
    host.counts[request.model_name] = host.counts.get(request.model_name, 0) + 1
    if fault == "refuse":
        yield service_pb2.ModelStreamInferResponse(error_message="no such luck")
        return False
    if fault.isupper():
        context.abort(getattr(grpc.StatusCode, fault), "as the test wants it")
    for place, outputs in enumerate(model.stream(arrays, values) if model.stream else ()):
        if fault == "slow":
            time.sleep(1.0)
        if fault == "cut" and place == 1:
            context.abort(grpc.StatusCode.UNAVAILABLE, "cut in the middle")
        if fault == "end" and place == 1:
            return True
        response = _response(host, request, outputs, fault)
        response.parameters["triton_final_response"].bool_param = False
        yield service_pb2.ModelStreamInferResponse(infer_response=response)
    if request.parameters["triton_enable_empty_final_response"].bool_param:
        last = service_pb2.ModelInferResponse(model_name=request.model_name, id=request.id)
        last.parameters["triton_final_response"].bool_param = True
        yield service_pb2.ModelStreamInferResponse(infer_response=last)
    return False


def _inputs(host: KServe, request: Any) -> Arrays:
    arrays, raw = {}, iter(request.raw_input_contents)
    for each in request.inputs:
        if "shared_memory_region" in each.parameters:
            start = each.parameters["shared_memory_offset"].int64_param
            size = each.parameters["shared_memory_byte_size"].int64_param
            content = host.region(each.parameters["shared_memory_region"].string_param, start=start, size=size)
        else:
            content = next(raw)
        arrays[each.name] = from_bytes(content, each.datatype, each.shape)
    return arrays


def _response(host: KServe, request: Any, outputs: Arrays, fault: str) -> Any:
    response = service_pb2.ModelInferResponse(model_name=request.model_name, model_version="1", id=request.id)
    if fault == "stranger":
        response.id = "77"
    for name, array in outputs.items():
        kind = np_to_triton_dtype(array.dtype)
        tensor = response.outputs.add(name=name, datatype=kind, shape=array.shape)
        raw = to_bytes(array)
        if fault == "unshaped":
            tensor.shape[0] += 1
        if fault in ("short", "long"):
            raw = raw[:-3] if fault == "short" else raw + b"\x00\x00\x00"
        if host.typed and kind in TYPED:
            getattr(tensor.contents, TYPED[kind]).extend(array.reshape(-1).tolist())
        else:
            response.raw_output_contents.append(raw)
    return response


class answering:
    """Turns a Refusal into a gRPC status."""

    def __init__(self, context: Any) -> None:
        self.context = context

    def __enter__(self) -> None: ...

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if isinstance(error, Refusal):
            self.context.abort(getattr(grpc.StatusCode, error.status), str(error))


def _config(found: Mapping[str, Any]) -> Any:
    config = model_config_pb2.ModelConfig(name=found["name"], max_batch_size=found["max_batch_size"])
    for each in found["input"]:
        config.input.add(name=each["name"], optional=each["optional"])
    for group in found["instance_group"]:
        config.instance_group.add(count=group["count"], kind=group["kind"])
    config.response_cache.enable = found["response_cache"]["enable"]
    config.model_transaction_policy.decoupled = found["model_transaction_policy"]["decoupled"]
    for key, value in found["parameters"].items():
        config.parameters[key].string_value = value["string_value"]
    for step in found.get("ensemble_scheduling", {}).get("step", ()):
        config.ensemble_scheduling.step.add(**step)
    return config


class GrpcServer:
    """The gRPC side on a port of loopback; with `credentials` (key, chain) over TLS."""

    def __init__(self, host: KServe, credentials: tuple[bytes, bytes] | None = None, port: int = 0) -> None:
        self.server = grpc.server(ThreadPoolExecutor(32), options=[("grpc.max_receive_message_length", -1)])
        service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(Grpc(host), self.server)
        if credentials:
            self.port = self.server.add_secure_port("localhost:0", grpc.ssl_server_credentials([credentials]))
        else:
            self.port = self.server.add_insecure_port(f"127.0.0.1:{port}")
        self.url = f"grpcs://localhost:{self.port}" if credentials else f"grpc://127.0.0.1:{self.port}"
        self.server.start()

    def stop(self) -> None:
        """Close the port and break what is in flight."""
        self.server.stop(0).wait()

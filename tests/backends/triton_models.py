"""The models that the Triton tests serve, both protocols before them, and backends that have loaded one."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from loadgen_harness import registry
from loadgen_harness.backends import TokenEvent
from tests.backends.kserve_rest import RestServer
from tests.backends.kserve_server import Arrays, GrpcServer, KServe, Model
from tests.fakes import wait_for

WEIGHTS = np.random.default_rng(1).standard_normal((4, 3)).astype(np.float32)
X = np.random.default_rng(0).standard_normal((64, 4)).astype(np.float32)
BOTH = ("grpc", "http")


def linear(arrays: Arrays) -> Arrays:
    x = next(iter(arrays.values())).astype(np.float32)
    y = np.stack([row @ WEIGHTS for row in x])  # row by row: batches must not change the last bit
    return {"y": y, "top": y.argmax(axis=1).astype(np.int64)}


def halves(arrays: Arrays) -> Arrays:
    return {"y": arrays["x"] / 2}


def counting(arrays: Arrays, parameters: Mapping[str, Any]) -> Iterator[Arrays]:
    """As Triton's vLLM backend answers: texts, and on request token counts and log probabilities."""
    said = json.loads(arrays["sampling_parameters"][0]) if "sampling_parameters" in arrays else parameters
    for number in range(1, int(said["max_tokens"]) + 1):
        answer = {"text_output": np.array([f"{number} ".encode()], np.object_)}
        if "return_num_output_tokens" in arrays:
            answer["num_output_tokens"] = np.array([1], np.uint32)
        if "return_logprobs" in arrays:
            assert said["logprobs"] == 0
            steps = [{str(number): {"logprob": -0.1, "rank": 1}}]
            answer["logprobs"] = np.array([json.dumps(steps).encode()], np.object_)
        yield answer


def counting_ids(arrays: Arrays, parameters: Mapping[str, Any]) -> Iterator[Arrays]:
    """As TensorRT-LLM's `tensorrt_llm` model answers."""
    assert arrays["input_lengths"].tolist() == [[arrays["input_ids"].size]]
    for number in range(1, int(arrays["request_output_len"][0, 0]) + 1):
        yield {"output_ids": np.array([[[number]]], np.int32), "sequence_length": np.array([[1]], np.int32)}


IMAGE = {"image": ("FP32", (-1, 4))}
LINEAR = {"y": ("FP32", (-1, 3)), "top": ("INT64", (-1,))}
TEXT = {"text_input": ("BYTES", (1,)), "stream": ("BOOL", (1,)), "sampling_parameters": ("BYTES", (1,))}
SAID = {"text_output": ("BYTES", (-1,)), "num_output_tokens": ("UINT32", (-1,)), "logprobs": ("BYTES", (-1,))}
IDS = {"input_ids": ("INT32", (-1, -1)), "input_lengths": ("INT32", (-1, 1)), "request_output_len": ("INT32", (-1, 1))}
COUNTS = {"return_num_output_tokens": ("BOOL", (1,)), "return_logprobs": ("BOOL", (1,))}
REUSE = "enable_kv_cache_reuse"
MODELS = {
    "lin": Model(IMAGE, LINEAR, linear),
    "lin8": Model(IMAGE, LINEAR, linear, max_batch=8),
    "one": Model({"image": ("FP32", (1, 4))}, LINEAR, linear),
    "four": Model({"image": ("FP32", (4, 4))}, LINEAR, linear),
    "two": Model({"a": ("FP32", (-1, 4)), "b": ("FP32", (-1, 4))}, LINEAR, linear),
    "fp16": Model({"x": ("FP16", (-1, 4))}, {"y": ("FP16", (-1, 4))}, halves),
    "bf16": Model({"x": ("BF16", (-1, 4))}, {"y": ("BF16", (-1, 4))}, halves),
    "words": Model({"x": ("BYTES", (-1, 2))}, {"x": ("BYTES", (-1, 2))}),
    "cached": Model(IMAGE, LINEAR, linear, cached=True),
    "chain": Model(IMAGE, LINEAR, linear, steps=("lin", "cached")),
    "asleep": Model(IMAGE, LINEAR, linear, ready=False),
    "vllm": Model(TEXT | COUNTS, SAID, stream=counting, optional=frozenset({"stream", *COUNTS})),
    "plain": Model({"text_input": ("BYTES", (1,))}, {"text_output": ("BYTES", (-1,))}, stream=counting),
    "trtllm": Model(IDS, {"output_ids": ("INT32", (-1, -1, -1))}, stream=counting_ids, parameters={REUSE: "false"}),
    "reusing": Model(TEXT, SAID, stream=counting, parameters={REUSE: "true"}),
}


@dataclass
class Servers:
    """One set of models behind both protocols."""

    host: KServe
    grpc: GrpcServer
    http: RestServer

    def url(self, protocol: str) -> str:
        return self.grpc.url if protocol == "grpc" else self.http.url

    def stop(self) -> None:
        self.grpc.stop()
        self.http.stop()


def start(host: KServe) -> Servers:
    return Servers(host, GrpcServer(host), RestServer(host))


def loaded(url: str, model: str = "lin", **options: str) -> Any:
    """A backend that has loaded a model of the server at `url`."""
    made = registry.load(registry.BACKENDS, "triton")({"url": url, "model": model, "timeout_s": "10", **options})
    made.load(None, "cpu", "fp32")
    return made


def until_final(backend: Any, count: int) -> list[TokenEvent]:
    """Events until `count` requests are over."""
    events: list[TokenEvent] = []
    wait_for(lambda: events.extend(backend.poll(0.05)) or sum(event.final for event in events) >= count, 10)
    return events


def streamed(backend: Any, wanted: Mapping[int, int], prompt: Any = "Count!") -> list[TokenEvent]:
    for id_, tokens in wanted.items():
        backend.submit(id_, {"prompt": prompt, "max_new_tokens": tokens})
    return until_final(backend, len(wanted))


def ids(events: list[TokenEvent], id_: int) -> tuple[int, ...]:
    return tuple(token for event in events if event.id == id_ for token in event.tokens)

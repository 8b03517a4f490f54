"""A stand-in for vLLM's asynchronous engine: the classes and signatures that its 0.33 documents, over a counting model.

A request's token k is 100 + k, one each step for every request in a slot; prompt token 7 makes the model stop after
two tokens with its stop token, 666 kills the engine. Ids of 1000 and more are outside the vocabulary.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from enum import Enum
from types import ModuleType, SimpleNamespace
from typing import Any

STOP, KILLS, STOPS, VOCABULARY = 2, 666, 7, 1000
STEP_S = 0.001


class RequestOutputKind(Enum):
    CUMULATIVE = 0
    DELTA = 1
    FINAL_ONLY = 2


class VLLMValidationError(Exception):
    pass


class EngineDeadError(Exception):
    def __init__(self) -> None:
        super().__init__("EngineCore encountered an issue. See stack trace (above) for the root cause.")


@dataclass
class SamplingParams:
    temperature: float = 1.0
    max_tokens: int | None = 16
    output_kind: RequestOutputKind = RequestOutputKind.CUMULATIVE
    ignore_eos: bool = False

    def __post_init__(self) -> None:
        if self.max_tokens is not None and self.max_tokens < 1:
            raise VLLMValidationError(f"max_tokens must be at least 1, got {self.max_tokens}.")


@dataclass
class AsyncEngineArgs:
    model: str
    dtype: str = "auto"
    enable_prefix_caching: bool | None = None
    max_num_seqs: int | None = None
    max_model_len: int = 64
    max_num_batched_tokens: int | None = None
    gpu_memory_utilization: float = 0.9
    tensor_parallel_size: int = 1
    kv_cache_dtype: str = "auto"
    quantization: str | None = None
    speculative_config: dict[str, Any] | None = None
    enforce_eager: bool = False
    load_format: str = "auto"
    seed: int = 0
    device_ids: list[int | str] | None = None


@dataclass
class CompletionOutput:
    index: int
    text: str
    token_ids: list[int]
    finish_reason: str | None = None
    stop_reason: int | str | None = None


@dataclass
class RequestOutput:
    request_id: str
    outputs: list[CompletionOutput]
    finished: bool
    num_cached_tokens: int | None = 0
    metrics: Any = field(default_factory=lambda: SimpleNamespace(num_preemptions=1))


class AsyncLLM:
    """Requests share `max_num_seqs` slots; a repeated prompt is cached unless prefix caching is off."""

    made: list[AsyncLLM] = []  # noqa: RUF012

    def __init__(self, args: AsyncEngineArgs) -> None:
        asyncio.get_running_loop()  # the real one starts its output task here
        if args.quantization == "odd":
            raise ValueError("Unknown quantization method: odd.")
        self.args, self.dead, self.aborted, self.stopped = args, False, list[str](), False
        self.vllm_config = SimpleNamespace(
            cache_config=SimpleNamespace(enable_prefix_caching=args.enable_prefix_caching is not False)
        )
        self._slots = asyncio.Semaphore(args.max_num_seqs or 256)
        self._known: set[tuple[int, ...]] = set()
        AsyncLLM.made.append(self)

    @classmethod
    def from_engine_args(cls, engine_args: AsyncEngineArgs) -> AsyncLLM:
        return cls(engine_args)

    async def generate(
        self, prompt: dict[str, Any], sampling_params: SamplingParams, request_id: str
    ) -> AsyncGenerator[RequestOutput, None]:
        if self.dead:
            raise EngineDeadError
        ids = self._ids(prompt)
        if len(ids) + 1 > self.args.max_model_len:
            raise VLLMValidationError(
                f"The decoder prompt (length {len(ids)}) is longer than the maximum model length."
            )
        try:
            async with self._slots:
                async for output in self._steps(ids, sampling_params, request_id):
                    yield output
        except (asyncio.CancelledError, GeneratorExit):
            await self.abort(request_id)
            raise

    async def _steps(
        self, ids: tuple[int, ...], params: SamplingParams, name: str
    ) -> AsyncGenerator[RequestOutput, None]:
        cached = len(ids) - 1 if ids in self._known and self.args.enable_prefix_caching is not False else 0
        self._known.add(ids)
        stops = STOPS in ids and not params.ignore_eos
        limit = min(params.max_tokens or 16, self.args.max_model_len - len(ids))
        for step in range(limit):
            await asyncio.sleep(STEP_S)
            if KILLS in ids:
                self.dead = True
                raise EngineDeadError
            ended = stops and step == 2
            reason = "stop" if ended else "length" if step + 1 == limit else None
            token, text = (STOP, "") if ended else (101 + step, f" t{step + 1}")
            yield RequestOutput(name, [CompletionOutput(0, text, [token], reason)], reason is not None, cached)
            if ended:
                return

    def _ids(self, prompt: dict[str, Any]) -> tuple[int, ...]:
        ids = tuple(prompt.get("prompt_token_ids") or (10 + len(word) for word in prompt["prompt"].split()))
        if any(id_ >= VOCABULARY for id_ in ids):
            raise VLLMValidationError(f"Token id {max(ids)} is out of vocabulary")
        return ids

    async def abort(self, request_id: str) -> None:
        self.aborted.append(request_id)

    def shutdown(self, timeout: float | None = None) -> None:
        self.stopped = True


def modules() -> dict[str, ModuleType]:
    """What `sys.modules` must hold for the backend to import it."""
    names = ("vllm", "vllm.platforms", "vllm.sampling_params")
    found = {name: ModuleType(name) for name in names}
    shared = {"AsyncEngineArgs": AsyncEngineArgs, "AsyncLLMEngine": AsyncLLM, "SamplingParams": SamplingParams}
    vars(found["vllm"]).update(shared, __version__="0.33.0", __path__=[])
    vars(found["vllm.platforms"]).update(current_platform=SimpleNamespace(device_type="cuda"))
    vars(found["vllm.sampling_params"]).update(RequestOutputKind=RequestOutputKind, SamplingParams=SamplingParams)
    return found

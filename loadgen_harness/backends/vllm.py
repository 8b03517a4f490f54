"""Generates with vLLM in this process, by its asynchronous engine, from a model's folder; prefix cache off.

Written to vLLM 0.33's documented interface and tested against a stand-in for it: never run on the real thing. vLLM
0.33 reads no GGUF. With `weights=random` the engine makes dummy weights of the folder's shape and never stops early.
Offline: nothing is ever fetched, and no usage is reported.
"""

from __future__ import annotations

import asyncio
import json
import os
import queue
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from pathlib import Path
from time import monotonic_ns
from typing import Any, TypeVar

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
import vllm
from vllm.platforms import current_platform
from vllm.sampling_params import RequestOutputKind

from loadgen_harness.backends import TokenEvent, checked, drained
from loadgen_harness.errors import BadInput, UnknownName

OPTIONS = {
    "slots": 256, "context": 0, "batch_tokens": 0, "gpu_memory_utilization": 0.9, "tensor_parallel_size": 1,
    "quantization": "", "kv_cache_dtype": "auto", "speculative": "", "eager": False, "weights": "file", "seed": 0,
}  # fmt: skip
CONFIG = "config.json"
DTYPES = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}  # other precisions are the folder's own
WEIGHTS = {"file": "auto", "random": "dummy"}
WARM_UP_PROMPT, WARM_UP_TOKENS = [1] * 8, 4
CLOSE_S = 30.0

Result = TypeVar("Result")


class Requests:
    """The requests of one engine, each a task; everything is called in the thread of the engine's loop."""

    def __init__(self, engine: Any, put: Callable[[TokenEvent], None], *, endless: bool) -> None:
        """`put` takes the events; `endless`: the stop token is a token like any other."""
        self._engine, self._put, self._endless = engine, put, endless
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._serial = 0
        self.preemptions = 0

    def begin(self, id: int, prompt: Mapping[str, Any], limit: int) -> None:
        """Begin a request."""
        self._serial += 1
        task = asyncio.get_running_loop().create_task(self._answer(id, prompt, limit, f"{id}-{self._serial}"))
        self._tasks[id] = task
        task.add_done_callback(lambda done: self._ended(id, done))

    def _ended(self, id: int, task: asyncio.Task[None]) -> None:
        if self._tasks.get(id) is task:
            del self._tasks[id]
        if task.cancelled():  # before it began: nothing in it could tell of that
            self._put(_failed(id, "cancelled"))

    def abort(self, id: int) -> None:
        """End a request, if it is not over."""
        task = self._tasks.get(id)
        if task is not None:
            task.cancel()  # generate() aborts the request when it is cancelled

    async def _answer(self, id: int, prompt: Mapping[str, Any], limit: int, name: str) -> None:
        """Exactly one final event is put, whatever happens."""
        try:
            settings = vllm.SamplingParams(
                temperature=0.0, max_tokens=limit, output_kind=RequestOutputKind.DELTA,
                ignore_eos=self._endless,
            )  # fmt: skip
            last = await self._stream(id, self._engine.generate(prompt, settings, name))
        except asyncio.CancelledError:
            last = _failed(id, "cancelled")
        except Exception as error:
            last = _failed(id, f"{type(error).__name__}: {error}")
        self._put(last)

    async def _stream(self, id: int, outputs: AsyncIterator[Any]) -> TokenEvent:
        """Put what comes; the last event is returned."""
        said = False
        async for output in outputs:
            now = monotonic_ns()
            wrong = _wrong(output)
            if wrong:
                return _failed(id, wrong)
            piece = output.outputs[0]
            tokens = _without_stop(piece)
            said = said or bool(tokens)
            if output.finished:
                self.preemptions += getattr(output.metrics, "num_preemptions", 0)
                ended = "" if said else "the model ended its answer before the first token: ask it another way"
                return TokenEvent(id, tokens, piece.text, now, final=True, error=ended)
            self._put(TokenEvent(id, tokens, piece.text, now))
        return _failed(id, "the engine ended without a last output")

    async def drop_all(self) -> None:
        """End all requests."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Vllm:
    """Greedy generation; the engine lives in an event loop of its own thread, and in processes of its own."""

    needs_model = True
    formats, casts, keeps_precision = (CONFIG,), ("bf16", "fp16", "fp32"), True

    def __init__(self, options: Mapping[str, str]) -> None:
        """Options: slots (requests in one step), context (0: the model's), batch_tokens (of one step; 0: the engine's
        choice), gpu_memory_utilization, tensor_parallel_size, quantization, kv_cache_dtype, speculative (vLLM's own
        settings as JSON), eager (no compiling, no CUDA graphs), weights (file, random), seed (of random weights)."""
        self._options = checked(options, OPTIONS, "vllm")
        self._speculative = _check(self._options)
        self.slots: int = self._options["slots"]
        self._precision = ""
        self._engine: Any = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._events: queue.SimpleQueue[TokenEvent] = queue.SimpleQueue()
        self._requests: Requests | None = None

    def load(self, model: Path | None, device: str, precision: str) -> None:
        """Start the engine and its processes, answer one request untimed."""
        if model is None or not model.is_file() or model.name != CONFIG:
            raise BadInput(f"backend vllm needs the {CONFIG} of a model's folder, and {model} is none: name one.")
        arguments = self._arguments(model.parent, _device_ids(device), precision)
        self._precision = precision
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="vllm", daemon=True)
        self._thread.start()
        try:
            self._engine = self._wait_for(_opened(arguments))
            self._requests = Requests(self._engine, self._events.put, endless=self._options["weights"] == "random")
            self._warm_up()
        except Exception as error:  # whatever an engine of many libraries says of what it cannot do
            self.close()
            raise BadInput(f"vLLM cannot run the model in {model.parent.name} ({error}): choose another.") from error

    def submit(self, id: int, input: Any) -> None:
        """Hand a request to the engine, which queues what exceeds its slots; `prompt` may also be token ids."""
        prompt = input["prompt"]
        given = {"prompt": prompt} if isinstance(prompt, str) else {"prompt_token_ids": list(prompt)}
        self._call("begin", id, given, int(input["max_new_tokens"]))

    def poll(self, timeout: float) -> list[TokenEvent]:
        """Events since the last poll; waits up to `timeout` seconds for one."""
        return drained(self._events, timeout)

    def cancel(self, id: int) -> None:
        """Abort a request; one that is over stays as it ended."""
        self._call("abort", id)

    def describe(self) -> dict[str, str]:
        """What really runs; `preemptions` where a request lost its place and was computed anew."""
        config = self._engine.vllm_config if self._engine is not None else None
        lost = self._requests.preemptions if self._requests else 0
        shares = bool(config.cache_config.enable_prefix_caching) if config else False
        modes = ["eager" if self._options["eager"] else "compiled", *(["speculative"] if self._speculative else [])]
        shown = ("slots", "gpu_memory_utilization", "tensor_parallel_size", "quantization", "kv_cache_dtype", "weights")
        return {
            "framework": "vllm",
            "version": vllm.__version__,
            "device": str(current_platform.device_type),
            "provider": f"vllm on {current_platform.device_type}",
            "precision": self._precision,
            "mode": ", ".join(modes),
            "threads": "the engine's choice",
            "prefix_cache": "on" if shares else "off",
            "batching": "continuous",
            "tokens": "engine",
            **{key: str(self._options[key]) for key in shown if self._options[key]},
            **({"preemptions": str(lost)} if lost else {}),
        }

    def close(self) -> None:
        """Abort what is in flight, end the engine's processes and the loop."""
        if self._loop is None or self._thread is None:
            return
        try:
            if self._requests is not None:
                self._wait_for(self._requests.drop_all(), CLOSE_S)
            if self._engine is not None:
                self._engine.shutdown()
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()
            self._engine = self._requests = self._loop = self._thread = None

    def _arguments(self, folder: Path, devices: list[int] | None, precision: str) -> Any:
        chosen = self._options
        limits = {"max_model_len": chosen["context"], "max_num_batched_tokens": chosen["batch_tokens"]}
        return vllm.AsyncEngineArgs(
            model=str(folder),
            dtype=DTYPES.get(precision, "auto"),
            enable_prefix_caching=False,  # MLPerf forbids caching across queries
            max_num_seqs=self.slots,
            gpu_memory_utilization=chosen["gpu_memory_utilization"],
            tensor_parallel_size=chosen["tensor_parallel_size"],
            kv_cache_dtype=chosen["kv_cache_dtype"],
            quantization=chosen["quantization"] or None,
            speculative_config=self._speculative,
            enforce_eager=chosen["eager"],
            load_format=WEIGHTS[chosen["weights"]],
            seed=chosen["seed"],
            **{key: value for key, value in limits.items() if value},
            **({"device_ids": devices} if devices else {}),
        )

    def _warm_up(self) -> None:
        self.submit(-1, {"prompt": WARM_UP_PROMPT, "max_new_tokens": WARM_UP_TOKENS})
        while True:
            for event in self.poll(1.0):
                if event.error:
                    raise BadInput(event.error)
                if event.final:
                    return

    def _call(self, what: str, *arguments: Any) -> None:
        """Have the loop's thread do something with the requests."""
        if self._loop is None or self._requests is None:
            raise BadInput("backend vllm was asked before it was loaded: call load first.")
        self._loop.call_soon_threadsafe(getattr(self._requests, what), *arguments)

    def _wait_for(self, work: Coroutine[Any, Any, Result], timeout: float | None = None) -> Result:
        if self._loop is None:
            raise BadInput("backend vllm was asked before it was loaded: call load first.")
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout)


async def _opened(arguments: Any) -> Any:
    """The engine, made where its loop runs: it starts a task there."""
    return vllm.AsyncLLMEngine.from_engine_args(arguments)


def _check(options: Mapping[str, Any]) -> dict[str, Any] | None:
    """vLLM's settings for speculative decoding; raises BadInput and UnknownName for what no engine takes."""
    if (
        min(options["slots"], options["tensor_parallel_size"]) < 1
        or min(options["context"], options["batch_tokens"]) < 0
    ):
        raise BadInput(
            "backend vllm wants slots and tensor_parallel_size of at least 1, context and batch_tokens of at least 0."
        )
    if not 0 < options["gpu_memory_utilization"] <= 1:
        raise BadInput("option gpu_memory_utilization of backend vllm must be more than 0 and at most 1.")
    if options["weights"] not in WEIGHTS:
        raise UnknownName("weights of backend vllm", options["weights"], WEIGHTS)
    try:
        settings = json.loads(options["speculative"] or "null")
    except ValueError as error:
        raise BadInput(f"option speculative of backend vllm must be JSON ({error}): quote it for the shell.") from error
    if settings is not None and not isinstance(settings, dict):
        raise BadInput('option speculative of backend vllm must be a JSON object, such as {"method": "ngram"}.')
    return settings


def _device_ids(device: str) -> list[int] | None:
    """Which devices the engine takes, None for its own choice; raises BadInput where this build runs elsewhere."""
    kind, _, number = device.partition(":")
    if kind != current_platform.device_type or (number and not number.isdigit()):
        here = current_platform.device_type
        raise BadInput(f"this build of vLLM runs on {here}, not on {device!r}: use --device {here}, or another build.")
    return [int(number)] if number else None


def _wrong(output: Any) -> str:
    """Why an output cannot count, empty where it can."""
    if output.num_cached_tokens:
        return f"prompt cache was used for {output.num_cached_tokens} tokens: every query must be computed in full"
    if output.finished and output.outputs[0].finish_reason not in ("stop", "length"):
        return f"the engine ended the request with {output.outputs[0].finish_reason}"
    return ""


def _without_stop(piece: Any) -> tuple[int, ...]:
    """The new ids; the last of an answer that the model ended is the stop token, which is no output."""
    tokens = tuple(int(token) for token in piece.token_ids)
    return tokens[:-1] if piece.finish_reason == "stop" else tokens


def _failed(id: int, error: str) -> TokenEvent:
    return TokenEvent(id, (), "", monotonic_ns(), final=True, error=error)


def check_device(backend: Vllm, device: str) -> None:
    """See backends.ModelReader."""
    _device_ids(device)


BACKEND = Vllm

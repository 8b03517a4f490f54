"""Runs GGUF models with llama.cpp in this process, through `xllamacpp`: several requests in flight, no prompt cache.

Constructing the engine also opens a port on the loopback interface; nothing here uses it. A character that takes
several tokens is streamed as one piece with the last token's id: the others are counted, their ids are UNKNOWN.
"""

from __future__ import annotations

import os
import queue
import statistics
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from time import monotonic_ns
from typing import Any, NamedTuple

from loadgen_harness.backends import TokenEvent, checked, drained
from loadgen_harness.errors import BadInput, UnknownName

# Read by OpenMP when the engine is loaded. By default its threads spin for milliseconds at every barrier: 10 to 20 %
# faster on two idle cores, but where another process takes a core now and then, a prompt sometimes took 2 s, not 0.4.
# 100,000 turns (some 0.1 ms) keep nearly all of that speed: 378 ms at p90 against 357 with the default, 552 with 1,000.
os.environ.setdefault("GOMP_SPINCOUNT", "100000")
import xllamacpp

OPTIONS = {
    "slots": 1, "threads": 0, "context": 512, "gpu_layers": 999, "batch": 0, "ubatch": 0,
    "flash_attention": "auto", "cache_type": "f16", "draft": "", "draft_max": 4, "draft_gpu_layers": 999,
}  # fmt: skip
FLASH_ATTENTION = {"auto": -1, "off": 0, "on": 1}
CACHE_TYPES = ("f32", "f16", "bf16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0", "iq4_nl")
UNKNOWN = -1  # in place of an id that the engine's stream leaves out
WARM_UP_PROMPT, WARM_UP_TOKENS = "Warm up the weights and the work space.", 4


class Timing(NamedTuple):
    """The engine's own account of one request; `generated` counts a stop token too."""

    prompt_ms: float
    decode_ms: float
    generated: int
    cached: int
    drafted: int = 0
    accepted: int = 0
    without_id: int = 0


class Generation:
    """One request: turns what the engine reports in its callback into token events."""

    def __init__(self, id: int, prompt: str, max_new_tokens: int, put: Callable[[TokenEvent], None]) -> None:
        """`put` takes the events; it is called in the thread that runs this request."""
        self.id, self.cancelled = id, False
        self.timing: Timing | None = None  # known before the final event is put
        self._put, self._said, self._ended = put, False, False
        self._held: tuple[int, ...] = ()
        self._without_id = 0
        self._seen = 0  # tokens that the engine has told of, with or without their ids
        self._request = {
            "prompt": prompt,
            "max_tokens": max_new_tokens,
            "temperature": 0,
            "cache_prompt": False,  # a request may switch on what the engine's own settings switch off
            # the stream carries token ids with probabilities too, but not of tokens that a draft model proposed
            "verbose": True,
            "return_tokens": True,
            "stream": True,
        }

    def run(self, server: Any) -> None:
        """Generate; exactly one final event is put, whatever happens."""
        try:
            if not self.cancelled:
                server.handle_completions(self._request, self.take)
        except Exception as error:
            self._end(error=f"{type(error).__name__}: {error}")
        if not self._ended:
            self._end(error="cancelled" if self.cancelled else "the engine ended without a last event")

    def take(self, chunk: Mapping[str, Any]) -> bool:
        """The engine's callback, once per token; true stops the request. The engine would swallow an exception."""
        now = monotonic_ns()
        try:
            self._read(chunk, now)
        except Exception as error:
            self._end(error=f"{type(error).__name__}: {error}")
        return self._ended or self.cancelled

    def _read(self, chunk: Mapping[str, Any], now: int) -> None:
        if "error" in chunk:
            return self._end(error=str(chunk["error"].get("message", chunk["error"])))
        choice = chunk["choices"][0]
        if choice["finish_reason"]:
            return self._finish(chunk["timings"], choice, now)
        tokens = self._ids(chunk["__verbose"])
        if tokens and not choice["text"]:
            self._held += tokens  # a control token: if it proves to be the stop token, it is no output
            return None
        self._put(TokenEvent(self.id, self._held + tokens, choice["text"], now))
        self._held, self._said = (), True
        return None

    def _ids(self, told: Mapping[str, Any]) -> tuple[int, ...]:
        """The new ids, those that the stream left out made up for."""
        lost = int(told["tokens_predicted"]) - self._seen - len(told["tokens"])
        self._seen = int(told["tokens_predicted"])
        self._without_id += lost
        return (UNKNOWN,) * lost + tuple(told["tokens"])

    def _finish(self, timings: Mapping[str, Any], choice: Mapping[str, Any], now: int) -> None:
        cached, stopped = timings["cache_n"], choice["finish_reason"] == "stop"
        tail = timings["predicted_n"] - self._seen
        counts = (timings["predicted_n"], cached, timings.get("draft_n", 0), timings.get("draft_n_accepted", 0))
        self.timing = Timing(timings["prompt_ms"], timings["predicted_ms"], *counts, self._without_id + tail)
        if cached:
            return self._end(error=f"prompt cache was used for {cached} tokens: every query must be computed in full")
        tokens = (*self._held, *(UNKNOWN,) * tail)
        tokens = tokens[:-1] if stopped else tokens
        if not (tokens or self._said):
            return self._end(error="the model ended its answer before the first token: ask it another way")
        self._end(tokens, choice["text"], now)
        return None

    def _end(self, tokens: tuple[int, ...] = (), text: str = "", now: int = 0, *, error: str = "") -> None:
        if not self._ended:
            self._ended = True
            self._put(TokenEvent(self.id, tokens, text, now or monotonic_ns(), final=True, error=error))


class LlamaCpp:
    """Greedy generation with one long-lived caller thread per slot of the engine."""

    needs_model = True
    formats, casts, keeps_precision = (".gguf",), (), True

    def __init__(self, options: Mapping[str, str]) -> None:
        """Options: slots, threads (0: all cores), context (tokens per slot), gpu_layers (where device is not cpu),
        batch and ubatch (0: the engine's choice), flash_attention (auto, on, off), cache_type (of keys and values),
        draft (a small model's GGUF file for speculative decoding), draft_max (tokens it proposes), draft_gpu_layers."""
        self._options = checked(options, OPTIONS, "llamacpp")
        _check(self._options)
        self.slots: int = self._options["slots"]
        self.timings: list[Timing] = []
        self._threads: int = self._options["threads"] or os.cpu_count() or 1
        self._device = self._provider = self._precision = ""
        self._server: Any = None
        self._waiting: queue.SimpleQueue[Generation | None] = queue.SimpleQueue()
        self._events: queue.SimpleQueue[TokenEvent] = queue.SimpleQueue()
        self._open: dict[int, Generation] = {}
        self._callers: list[threading.Thread] = []

    def load(self, model: Path | None, device: str, precision: str) -> None:
        """Load the GGUF file, whose own precision counts, answer one request untimed, start the callers."""
        if model is None or not model.is_file():
            raise BadInput(f"backend llamacpp needs a GGUF file, and {model} is none: name the model's file.")
        self._device, self._precision = _device(device), precision
        self._provider = "CPU" if device == "cpu" else f"GPU, {self._options['gpu_layers']} layers"
        try:
            self._server = xllamacpp.Server(_parameters(model, self._options, self._threads, on_cpu=device == "cpu"))
        except RuntimeError as error:
            files = " with ".join(filter(None, [model.name, Path(self._options["draft"]).name]))
            raise BadInput(f"llama.cpp cannot load {files} ({error}): fetch the file anew.") from error
        self._warm_up()
        self._callers = [threading.Thread(target=self._call, name=f"slot{n}", daemon=True) for n in range(self.slots)]
        for caller in self._callers:
            caller.start()

    def submit(self, id: int, input: Any) -> None:
        """Begin a request, or queue it until a slot is free."""
        generation = Generation(id, input["prompt"], int(input["max_new_tokens"]), self._put)
        self._open[id] = generation
        self._waiting.put(generation)

    def poll(self, timeout: float) -> list[TokenEvent]:
        """Events since the last poll; waits up to `timeout` seconds for one."""
        return drained(self._events, timeout)

    def cancel(self, id: int) -> None:
        """Stop a request at its next token, or before it begins; one that is over stays as it ended."""
        generation = self._open.get(id)
        if generation:
            generation.cancelled = True

    def describe(self) -> dict[str, str]:
        """What really runs, and the engine's own timings over the requests so far, slot waits not counted."""
        shown = ("slots", "context", "batch", "ubatch", "flash_attention", "cache_type")
        chosen = {key: str(self._options[key]) for key in shown if self._options[key] != 0}
        return {
            "framework": "llama.cpp through xllamacpp",
            "version": xllamacpp.__version__,
            "device": self._device,
            "provider": self._provider,
            "precision": self._precision,
            "mode": "graph, speculative" if self._options["draft"] else "graph",
            "threads": str(self._threads),
            "prefix_cache": "off",
            "batching": "continuous",
            "tokens": "engine",
            **chosen,
            **_summary(self.timings),
            **_drafted(self._options, self.timings),
        }

    def close(self) -> None:
        """Stop what is in flight, end the callers, free the weights."""
        for generation in list(self._open.values()):
            generation.cancelled = True
        for _ in self._callers:
            self._waiting.put(None)
        for caller in self._callers:
            caller.join()
        self._callers, self._server = [], None

    def _put(self, event: TokenEvent) -> None:
        """Keep the engine's timing before anyone learns that the request is over."""
        if event.final and (timing := self._open[event.id].timing):
            self.timings.append(timing)
        self._events.put(event)

    def _call(self) -> None:
        while (generation := self._waiting.get()) is not None:
            generation.run(self._server)
            self._open.pop(generation.id, None)

    def _warm_up(self) -> None:
        """The first prompt after loading takes three times as long as later ones."""
        events: list[TokenEvent] = []
        Generation(0, WARM_UP_PROMPT, WARM_UP_TOKENS, events.append).run(self._server)
        if events[-1].error:
            raise BadInput(f"llama.cpp cannot generate with this model ({events[-1].error}): choose another.")


def _check(options: Mapping[str, Any]) -> None:
    if min(options["slots"], options["context"], options["draft_max"]) < 1:
        raise BadInput("backend llamacpp wants slots, context and draft_max of at least 1.")
    if min(options[key] for key in ("threads", "batch", "ubatch")) < 0:
        raise BadInput("backend llamacpp wants threads, batch and ubatch of at least 0.")
    for key, known in (("flash_attention", FLASH_ATTENTION), ("cache_type", CACHE_TYPES)):
        if options[key] not in known:
            raise UnknownName(key, options[key], known)
    if options["draft"] and not Path(options["draft"]).is_file():
        raise BadInput(f"option draft of backend llamacpp must be a GGUF file, and {options['draft']} is none.")


def _parameters(model: Path, options: Mapping[str, Any], threads: int, *, on_cpu: bool) -> Any:
    """The engine's settings; all its ways to reuse a prompt are off, for MLPerf forbids caching across queries."""
    params = xllamacpp.CommonParams()
    params.model.path = str(model)
    params.n_parallel, params.n_ctx = options["slots"], options["context"] * options["slots"]
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    params.verbosity, params.warmup, params.fit_params = -1, True, False
    params.cache_prompt = params.cache_idle_slots = params.ctx_shift = params.kv_unified = False
    params.cache_ram_mib = params.n_cache_reuse = params.n_ctx_checkpoints = 0
    params.slot_prompt_similarity = 0.0
    params.n_gpu_layers = 0 if on_cpu else options["gpu_layers"]
    params.n_batch, params.n_ubatch = options["batch"] or params.n_batch, options["ubatch"] or params.n_ubatch
    params.flash_attn_type = xllamacpp.llama_flash_attn_type(FLASH_ATTENTION[options["flash_attention"]])
    params.cache_type_k = params.cache_type_v = getattr(
        xllamacpp.ggml_type, f"GGML_TYPE_{options['cache_type'].upper()}"
    )
    if options["draft"]:
        _add_draft(params.speculative, options, threads, on_cpu=on_cpu)
    return params


def _add_draft(speculative: Any, options: Mapping[str, Any], threads: int, *, on_cpu: bool) -> None:
    """A small model proposes tokens that the model itself then checks: the answers stay its own."""
    speculative.types = [xllamacpp.common_speculative_type.COMMON_SPECULATIVE_TYPE_DRAFT_SIMPLE]
    draft = speculative.draft
    draft.mparams.path, draft.n_max = options["draft"], options["draft_max"]
    draft.cpuparams.n_threads = draft.cpuparams_batch.n_threads = threads
    draft.n_gpu_layers = 0 if on_cpu else options["draft_gpu_layers"]


def _device(wanted: str) -> str:
    """The engine's name for a device; raises BadInput where this build of it has none of the kind."""
    found = {str(each["description"]): str(each["type"].name) for each in xllamacpp.get_device_info()}
    kind = "_CPU" if wanted == "cpu" else "GPU"
    names = [name for name, type_ in found.items() if kind in type_]
    if not names:
        raise BadInput(f"this build of xllamacpp has no device {wanted!r}: use --device cpu, or install its GPU build.")
    return names[0]


def _summary(timings: list[Timing]) -> dict[str, str]:
    if not timings:
        return {}
    without_id = sum(each.without_id for each in timings)
    per_token = [each.decode_ms / (each.generated - 1) for each in timings if each.generated > 1]
    return {
        "engine_requests": str(len(timings)),
        "engine_ttft_ms_median": f"{statistics.median(each.prompt_ms for each in timings):.3f}",
        "engine_ttft_ms_mean": f"{statistics.fmean(each.prompt_ms for each in timings):.3f}",
        "engine_tpot_ms_median": f"{statistics.median(per_token):.3f}" if per_token else "",
        "engine_tpot_ms_mean": f"{statistics.fmean(per_token):.3f}" if per_token else "",
        "cache_n_max": str(max(each.cached for each in timings)),
        **({"tokens_without_id": str(without_id)} if without_id else {}),
    }


def _drafted(options: Mapping[str, Any], timings: list[Timing]) -> dict[str, str]:
    """How many of the draft model's tokens the model took over, over the requests so far."""
    if not options["draft"]:
        return {}
    return {
        "draft": Path(options["draft"]).name,
        "draft_max": str(options["draft_max"]),
        "draft_tokens": str(sum(each.drafted for each in timings)),
        "draft_tokens_accepted": str(sum(each.accepted for each in timings)),
    }


def check_device(backend: LlamaCpp, device: str) -> None:
    """See backends.ModelReader."""
    _device(device)


BACKEND = LlamaCpp

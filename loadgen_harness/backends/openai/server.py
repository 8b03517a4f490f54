"""Which server answers at an address, and how each kind is asked: for token ids, and for no prompt cache.

llama.cpp's server is run in the tests; vLLM, SGLang, TGI and TensorRT-LLM are written to their documented interfaces
and were never run here.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from loadgen_harness.backends.openai.answer import ENGINE, TOKENIZER, UNDECIDED, USAGE
from loadgen_harness.errors import BadInput, UnknownName

Get = Callable[[str], Awaitable[tuple[int, Any]]]  # path from the server's root or "models" -> status, JSON or None

UNSURE = "unknown: "


@dataclass(frozen=True)
class Kind:
    """One make of server."""

    title: str
    owner: str = ""  # what it calls itself in its list of models
    about: str = ""  # path that tells its version
    version: str = ""  # the key that does
    body: str = "{}"  # what a request says beside the usual, as JSON
    ids: bool = False  # whether its streams can carry token ids
    batching: str = "continuous"
    cache: str = UNSURE + "the server does not say whether it reuses prompts"


KINDS = {
    "vllm": Kind(
        "vLLM", "vllm", "/version", "version", '{"return_token_ids": true}', True, cache="off: a cache_salt per request"
    ),
    "llamacpp": Kind(
        "llama.cpp",
        "llamacpp",
        "/props",
        "build_info",
        '{"cache_prompt": false, "n_probs": 1}',
        True,
        cache="off: cache_prompt=false, and each answer's cache_n is checked",
    ),
    "sglang": Kind(
        "SGLang",
        "sglang",
        "/get_server_info",
        "version",
        cache=UNSURE + "the server does not show its flags: start SGLang with --disable-radix-cache",
    ),
    "tgi": Kind(
        "Text Generation Inference",
        "",
        "/info",
        "version",
        cache=UNSURE + "the server does not say: start TGI with PREFIX_CACHING=0",
    ),
    "trtllm": Kind(
        "TensorRT-LLM",
        "tensorrt_llm",
        "/version",
        "version",
        cache=UNSURE + "the server does not say: start TensorRT-LLM with enable_block_reuse: false",
    ),
    "echo": Kind(
        "echo server", "loadgen-harness", "", "", '{"return_token_ids": true}', True, "none", "off: nothing is computed"
    ),
    "other": Kind("OpenAI-compatible server", batching="unknown"),
}
SALTED = (0, 9)  # vLLM knows cache_salt since then
FIXED = ("model", "prompt", "messages", "stream", "stream_options", "max_tokens", "n", "echo")


@dataclass(frozen=True)
class Server:
    """A server as it was found, and how it is asked."""

    kind: str
    version: str
    model: str
    cache: str  # off, on or unknown, and why

    @property
    def made(self) -> Kind:
        """Its make."""
        return KINDS[self.kind]


async def find(get: Get, kind: str, model: str) -> Server:
    """Ask a server who it is; raises BadInput where it names no model and none was chosen."""
    if kind != "auto" and kind not in KINDS:
        raise UnknownName("server", kind, ["auto", *KINDS])
    status, listed = await get("models")
    if status in (401, 403):
        raise BadInput(f"the server refuses the key (HTTP {status}): put the right one into the environment variable.")
    if status >= 500:
        raise BadInput(f"the server is not ready (HTTP {status} on its list of models): wait until it is.")
    entries = [each for each in _list(listed) if isinstance(each, Mapping)]
    kind = kind if kind != "auto" else await _guess(get, entries)
    about = await _about(get, KINDS[kind])
    chosen = model or next((str(each["id"]) for each in entries if "id" in each), "")
    if not chosen:
        raise BadInput("the server lists no model: name the one it serves with --option model=NAME.")
    version = str(about.get(KINDS[kind].version) or "unknown")
    return Server(kind, version, chosen, _cache(kind, version, about))


def opening(server: Server, extra: str, tokens: str, api: str) -> str:
    """The unchanging part of every request's body, an open JSON object; raises BadInput for a wrong `extra`."""
    try:
        more = json.loads(extra or "{}")
    except ValueError as error:
        raise BadInput(f"option extra of backend openai is no JSON ({error}): mend it.") from error
    if not isinstance(more, dict) or (taken := sorted(set(more) & set(FIXED))):
        what = f"must not set {', '.join(taken)}" if isinstance(more, dict) else "must be a JSON object"
        raise BadInput(f"option extra of backend openai {what}: the backend sets what a request asks for.")
    own = json.loads(server.made.body)
    if tokens not in (UNDECIDED, ENGINE):
        own.pop("return_token_ids", None)
        own.pop("n_probs", None)
    if own.pop("n_probs", 0):
        own |= {"logprobs": True, "top_logprobs": 1} if api == "chat" else {"n_probs": 1}
    usual = {"model": server.model, "stream": True, "temperature": 0, "stream_options": {"include_usage": True}}
    return json.dumps({**usual, **own, **more})[:-1]


def closing(server: Server, api: str, input: Mapping[str, Any]) -> str:
    """What differs from request to request, up to the object's end."""
    if api == "chat":
        messages = input.get("messages") or [{"role": "user", "content": input["prompt"]}]
        asked = f', "messages": {json.dumps(messages)}'
    else:
        asked = f', "prompt": {json.dumps(input["prompt"])}'
    salt = f', "cache_salt": "{secrets.token_hex(16)}"' if server.kind == "vllm" else ""
    return f'{asked}, "max_tokens": {int(input["max_new_tokens"])}{salt}}}'


def counter(tokens: str, server: Server, tokenizer: str) -> str:
    """Who counts tokens, UNDECIDED where the first answer decides between the engine and usage."""
    if tokens not in ("auto", ENGINE, TOKENIZER, USAGE):
        raise UnknownName("counter of tokens", tokens, ["auto", ENGINE, TOKENIZER, USAGE])
    if tokens == TOKENIZER and not tokenizer:
        raise BadInput("tokens=tokenizer needs --option tokenizer=FILE: name the model's tokenizer.json.")
    if tokens != "auto":
        return tokens
    if tokenizer:
        return TOKENIZER
    return UNDECIDED if server.made.ids or server.kind == "other" else USAGE


async def _guess(get: Get, entries: list[Any]) -> str:
    owners = {str(each.get("owned_by", "")) for each in entries}
    for kind, made in KINDS.items():
        if made.owner and made.owner in owners:
            return kind
    _, info = await get("/info")
    if isinstance(info, Mapping) and "max_total_tokens" in info:
        return "tgi"
    _, props = await get("/props")
    return "llamacpp" if isinstance(props, Mapping) and "build_info" in props else "other"


async def _about(get: Get, made: Kind) -> Mapping[str, Any]:
    found = (await get(made.about))[1] if made.about else None
    return found if isinstance(found, Mapping) else {}


def _cache(kind: str, version: str, about: Mapping[str, Any]) -> str:
    """What is known of the server's prompt cache."""
    if kind == "vllm":
        numbers = tuple(map(int, re.findall(r"\d+", version)[:2]))
        if numbers and numbers < SALTED:
            return UNSURE + f"vLLM {version} does not know cache_salt: start it with --no-enable-prefix-caching"
    if kind == "sglang" and "disable_radix_cache" in about:
        return "off: the server's --disable-radix-cache" if about["disable_radix_cache"] else "on: its radix cache"
    return KINDS[kind].cache


def _list(listed: Any) -> list[Any]:
    found = listed.get("data") if isinstance(listed, Mapping) else None
    return found if isinstance(found, list) else []

"""One streamed answer of an OpenAI-compatible server: chunks become token ids and text, or a reason to refuse it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from loadgen_harness.backends.openai.sse import Events

ENGINE, TOKENIZER, USAGE, UNDECIDED = "engine", "tokenizer", "usage", ""
UNKNOWN_ID = -1  # stands for a token that is counted and whose id nobody told
ENDS = ("stop", "length", "eos_token", "stop_sequence")
DONE = b"[DONE]"
SHOWN = 200  # characters of what a server says, in a message


class Refused(Exception):
    """An answer that must not count; the message says why."""


class Timing(NamedTuple):
    """The server's own account of one request, where it gives one."""

    prompt_ms: float
    decode_ms: float
    generated: int


@dataclass(frozen=True)
class Counting:
    """Who says which tokens an answer holds."""

    by: str  # ENGINE, TOKENIZER, USAGE, or UNDECIDED until an answer has been seen
    encode: Callable[[str], Sequence[int]] | None = None  # of the tokenizer
    cached_allowed: bool = False  # whether an answer may come out of a prompt cache


class Answer:
    """Takes the body of a response piece by piece; not thread-safe."""

    def __init__(self, counting: Counting, limit: int) -> None:
        """`limit` is how many tokens were asked for."""
        self._counting, self._limit = counting, limit
        self._events = Events()
        self._held: tuple[int, ...] = ()  # ids without text, the stop token perhaps
        self._text: list[str] = []
        self._usage: Mapping[str, Any] = {}
        self._timings: Mapping[str, Any] = {}
        self.count = 0  # tokens given out
        self.reason = ""  # why it ended, once it has
        self.ids_seen = False
        self.without_id = 0  # tokens among them whose id nobody told

    def feed(self, piece: bytes) -> tuple[tuple[int, ...], str]:
        """New tokens and text; both empty where the piece holds no output. Raises Refused."""
        ids: tuple[int, ...] = ()
        text = ""
        try:
            for chunk in _chunks(self._events.feed(piece)):
                more, words = self._read(chunk)
                ids, text = ids + more, text + words
        except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
            raise Refused(f"the server sent {_named(error)}") from error
        return self._counted(ids, text)

    def finish(self) -> tuple[int, ...]:
        """The tokens still to be given out, now that the response is whole. Raises Refused."""
        ids, _ = self.feed(b"\n\n")  # a last event may lack its empty line
        if not self.reason:
            raise Refused("the stream ended in the middle: no finish_reason came")
        if self.reason not in ENDS:
            raise Refused(f"the server ended the answer with finish_reason {self.reason[:SHOWN]!r}")
        if (cached := self.cached) and not self._counting.cached_allowed:
            raise Refused(f"prompt cache was used for {cached} tokens: every query must be computed in full")
        ids += self._rest()
        if not self.count:
            raise Refused("the model ended its answer before the first token: ask it another way")
        if self.count > self._limit:
            raise Refused(f"the server sent {self.count} tokens where {self._limit} were asked for")
        return ids

    @property
    def cached(self) -> int | None:
        """Prompt tokens that the server took from a cache, None where it does not say."""
        details = self._usage.get("prompt_tokens_details") or {}
        said = [each for each in (details.get("cached_tokens"), self._timings.get("cache_n")) if each is not None]
        return max(said) if said else None

    @property
    def usage(self) -> int | None:
        """The server's count of generated tokens, None where it gives none."""
        return self._usage.get("completion_tokens")

    @property
    def timing(self) -> Timing | None:
        """The server's own times, as llama.cpp and our echo server give them."""
        try:
            return Timing(*(self._timings[key] for key in ("prompt_ms", "predicted_ms", "predicted_n")))
        except KeyError:
            return None

    def _read(self, chunk: Any) -> tuple[tuple[int, ...], str]:
        """Ids and text of one chunk; what can stand only in a last one is looked for only there."""
        choices = chunk.get("choices")
        if not choices:
            self._note(chunk)
            return (), ""
        choice = choices[0]
        text = choice["text"] if "text" in choice else _spoken(choice["delta"])
        if type(text) is not str:
            raise TypeError(f"text that is a {type(text).__name__}")
        ids, silent = _ids(choice, text)
        if ids:
            self.ids_seen = True
        if reason := choice.get("finish_reason"):
            self._note(chunk)
            self.reason = str(reason)
            return self._last(ids, text, choice), text
        if self._held or silent:
            held, self._held = self._held + ids, ()
            if silent:
                self._held, held = held, ()
            return held, text
        return ids, text

    def _note(self, chunk: Any) -> None:
        """Counts and times, or an error, in a chunk without output or the last with some."""
        if chunk.get("error") or chunk.get("object") == "error":
            raise Refused(f"the server reported an error: {said(chunk)}")
        self._usage = chunk.get("usage") or self._usage
        self._timings = chunk.get("timings") or self._timings
        if "choices" not in chunk:
            raise KeyError("choices")

    def _last(self, ids: tuple[int, ...], text: str, choice: Mapping[str, Any]) -> tuple[int, ...]:
        """The ids of the chunk that ends an answer, less a stop token: that is no output."""
        ids, self._held = self._held + ids, ()
        stopped = self.reason != "length" and choice.get("stop_reason") is None
        return ids[:-1] if stopped and ("token_ids" in choice or not text) else ids

    def _counted(self, ids: tuple[int, ...], text: str) -> tuple[tuple[int, ...], str]:
        """Tokens by whoever counts them; where that is not the engine, all but the first are known only at the end."""
        if self._counting.by == ENGINE:
            if text and not self.ids_seen:
                raise Refused("the server sent text without token ids: choose tokens=usage or a tokenizer")
            self.count += len(ids)
            return ids, text
        if text:
            self._text.append(text)
            if not self.count:
                self.count = 1
                return self._encoded()[:1] or (UNKNOWN_ID,), text
        return (), text

    def _rest(self) -> tuple[int, ...]:
        """Every token after the first, by tokenizer or usage."""
        if self._counting.by == ENGINE:
            return self._lost()
        given, encoded = self.count, self._encoded()
        settled = self.usage is not None or (self._counting.by == UNDECIDED and self.ids_seen)
        if not (self._counting.encode or settled):
            raise Refused("the server counted no tokens (no usage in its last chunk): name a tokenizer file")
        if given:
            self.count = max(len(encoded) if self._counting.encode else self.usage or 0, given)
        return encoded[given:] or (UNKNOWN_ID,) * (self.count - given)

    def _lost(self) -> tuple[int, ...]:
        """Tokens that llama.cpp counts without telling their ids: of a character split into several the last alone."""
        generated = int(self._timings.get("predicted_n") or 0) - (self.reason == "stop")  # the stop token counts there
        self.without_id = max(generated - self.count, 0)
        self.count += self.without_id
        return (UNKNOWN_ID,) * self.without_id

    def _encoded(self) -> tuple[int, ...]:
        return tuple(self._counting.encode("".join(self._text))) if self._counting.encode else ()


def said(body: Any) -> str:
    """A server's error in words, shortened to one line."""
    found = body
    while isinstance(found, Mapping) and ("error" in found or "message" in found):
        found = found.get("message") or found.get("error") or "no reason given"
    return " ".join(str(found).split())[:SHOWN]


def _chunks(payloads: list[bytes]) -> Iterable[Any]:
    """The events' JSON, read at one go: each call of the parser costs as much as a chunk."""
    payloads = [each for each in payloads if each != DONE]
    if len(payloads) == 1:
        return [json.loads(payloads[0])]
    chunks: list[Any] = json.loads(b"[%b]" % b",".join(payloads)) if payloads else []
    return chunks


def _spoken(delta: Mapping[str, Any]) -> Any:
    """The output in a chat's chunk, thinking included."""
    return delta.get("content") or delta.get("reasoning_content") or delta.get("reasoning") or ""


def _ids(choice: Mapping[str, Any], text: str) -> tuple[tuple[int, ...], bool]:
    """The ids in a choice, as vLLM or as llama.cpp gives them, and whether there are some that no text shows."""
    if ids := choice.get("token_ids"):
        return tuple(map(int, ids)), not text
    content = (choice.get("logprobs") or {}).get("content")
    if not content or "id" not in content[0]:
        return (), False
    return tuple([int(each["id"]) for each in content]), not any([each["bytes"] for each in content])


def _named(error: Exception) -> str:
    """What was wrong with a chunk."""
    if isinstance(error, json.JSONDecodeError | UnicodeDecodeError):
        return "a chunk that is no JSON"
    if isinstance(error, KeyError):
        return f"a chunk without {error}"
    if isinstance(error, ValueError):
        return str(error)
    return f"a chunk in no known form ({error})"

"""Streams from any OpenAI-compatible HTTP server; prefix caches are off by request, refused, or stated as unknown.

The harness measures what a client sees: time stamps are taken when bytes arrive. docs/serving.md says how to start the
servers, and what is not measured. The key comes from the environment and goes nowhere but to the server.
"""

from __future__ import annotations

import functools
import importlib
import re
import resource
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from loadgen_harness.backends import TokenEvent, checked
from loadgen_harness.backends.openai.answer import ENGINE, TOKENIZER, UNDECIDED, USAGE, Counting
from loadgen_harness.backends.openai.client import Client, Flight, Limits
from loadgen_harness.backends.openai.place import PATHS, Script, address, place
from loadgen_harness.backends.openai.server import Server, counter, find, opening
from loadgen_harness.backends.openai.tally import Tally
from loadgen_harness.errors import BadInput, MissingDependency, UnknownName

OPTIONS = {
    "url": "",
    "model": "",
    "server": "auto",
    "api": "completions",
    "tokens": "auto",
    "tokenizer": "",
    "concurrency": 64,
    "timeout_s": 600.0,
    "ttft_timeout_s": 0.0,
    "retries": 0,
    "idle_s": 2.0,
    "api_key_env": "",
    "ca": "",
    "insecure": False,
    "extra": "",
    "prefix_cache": "refuse",
}
SECRET_OPTIONS = re.compile(r"(?i)(api_?)?(key|token|secret|password|bearer|authorization)")
WARM_UP_TOKENS = 4
WARM_UP = {"prompt": "Warm up the weights and the work space.", "max_new_tokens": WARM_UP_TOKENS}
SPARE_FILES = 256  # that a process has open beside its connections
WARM_UP_ID = -1  # LoadGen's are positive


class OpenAI:
    """Sends prompts to a server that runs elsewhere; what it runs there is its own affair and is only reported."""

    needs_model = False
    formats, casts, keeps_precision = (), (), True

    def __init__(self, options: Mapping[str, str]) -> None:
        """Options: see docs/serving.md; only url is required."""
        if any(SECRET_OPTIONS.fullmatch(name) for name in options):
            raise BadInput(
                "backend openai takes no key as an option: put it into an environment variable and name that with "
                "--option api_key_env=NAME."
            )
        self._options = _judged(checked(options, OPTIONS, "openai"))
        self._place = place(self._options["url"], self._options["api_key_env"])
        self.slots: int = self._options["concurrency"]
        self._client: Client | None = None
        self._script: Script

    def load(self, model: Path | None, device: str, precision: str) -> None:
        """Ask the server who it is and for one short answer, untimed; raises BadInput where that fails."""
        chosen = self._options
        allow_files(self.slots + SPARE_FILES)
        encode = tokenizer(chosen["tokenizer"])
        self._client = client = Client(address(self._place, chosen), Limits.of(chosen), self._place.hide)
        try:
            get = functools.partial(self._place.get, client.pool)
            server = client.runs.wait(find(get, chosen["server"], chosen["model"]))
            self._refuse_cache(server)
            by = counter(chosen["tokens"], server, chosen["tokenizer"])
            body = opening(server, chosen["extra"], by, chosen["api"])
            self._script = Script(server, chosen["api"], self._place.posting(chosen["api"]), body)
            client.counting = self._settled(self._counting(by, encode))
        except BaseException:
            self.close()
            raise
        client.tally = Tally()

    def submit(self, id: int, input: Any) -> None:
        """Send a request, or queue it until fewer than `concurrency` are in flight."""
        client = self._running()
        client.submit(Flight(client, id, self._script.request(input), int(input["max_new_tokens"])))

    def poll(self, timeout: float) -> list[TokenEvent]:
        """Events since the last poll; waits up to `timeout` seconds for one."""
        return self._running().outbox.poll(timeout)

    def cancel(self, id: int) -> None:
        """Hang up on a request; one that is over stays as it ended."""
        self._running().cancel(id)

    def describe(self) -> dict[str, str]:
        """Which server answered, who counted tokens, and what the requests came to."""
        client, server = self._running(), self._script.server
        return {
            "framework": server.made.title,
            "version": server.version,
            "device": "the server's",
            "provider": f"{self._options['api']} over HTTP/1.1, {self._place.origin}",
            "precision": "as served",
            "mode": "served",
            "threads": "the server's",
            "model": server.model.rpartition("/")[2] if server.model.startswith("/") else server.model,
            "batching": server.made.batching,
            "tokens": client.counting.by,
            "prefix_cache": client.tally.cache(server.cache),
            "concurrency": str(self.slots),
            "connections": f"{client.pool.opened} opened, {'kept' if client.pool.reuse else 'closed by the server'}",
            "client_loop": client.runs.name,
            "tls": "" if not self._place.secure else "not verified" if self._options["insecure"] else "verified",
            **client.tally.describe(),
        }

    @property
    def timings(self) -> Sequence[Any]:
        """The server's own times of each answer, where it tells them."""
        return self._running().tally.timings

    def close(self) -> None:
        """Hang up and end the thread."""
        client, self._client = self._client, None
        if client:
            client.close()

    def _running(self) -> Client:
        if self._client is None:
            raise RuntimeError("the backend is not loaded, or closed")
        return self._client

    def _refuse_cache(self, server: Server) -> None:
        if server.cache.startswith("on") and self._options["prefix_cache"] == "refuse":
            raise BadInput(
                f"{server.made.title} reuses prompts ({server.cache}), which the rules forbid: start it "
                "with that switched off, or measure it all the same with --option prefix_cache=allow."
            )

    def _counting(self, by: str, encode: Callable[[str], Sequence[int]] | None) -> Counting:
        return Counting(by, encode if by == TOKENIZER else None, self._options["prefix_cache"] == "allow")

    def _settled(self, wanted: Counting) -> Counting:
        """Who counts tokens, after a short answer that shows what the server sends."""
        client = self._running()
        client.counting = wanted
        flight = Flight(client, WARM_UP_ID, self._script.request(WARM_UP), WARM_UP_TOKENS)
        client.submit(flight)
        events: list[TokenEvent] = []
        while not (events and events[-1].final):
            events += client.outbox.poll(1.0)
        if events[-1].error:
            raise BadInput(f"the server cannot be measured ({events[-1].error}): mend that, or the options.")
        client.runs.wait(client.pool.learn())
        if wanted.by != UNDECIDED:
            return wanted
        return self._counting(ENGINE if flight.answer.ids_seen else USAGE, None)


def tokenizer(file: str) -> Callable[[str], Sequence[int]] | None:
    """A function from text to token ids, without special tokens; None where no file is named."""
    if not file:
        return None
    if not Path(file).is_file():
        raise BadInput(f"option tokenizer of backend openai names {file}, which is not there: name a tokenizer.json.")
    try:
        made = importlib.import_module("tokenizers").Tokenizer.from_file(file)
    except ModuleNotFoundError as error:
        raise MissingDependency("tokens=tokenizer", "tokenizers") from error
    except Exception as error:
        raise BadInput(f"{file} is no tokenizer ({error}): name the model's tokenizer.json.") from error

    def encode(text: str) -> Sequence[int]:
        ids: Sequence[int] = made.encode(text, add_special_tokens=False).ids
        return ids

    return encode


def allow_files(wanted: int) -> None:
    """Raise this process's limit of open files where connections need it; raises BadInput where it may not."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if wanted > soft != resource.RLIM_INFINITY:
        if wanted > hard != resource.RLIM_INFINITY:
            raise BadInput(f"{wanted} open files are needed for so many requests: raise `ulimit -n`, which is {hard}.")
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _judged(options: dict[str, Any]) -> dict[str, Any]:
    """The options, none of them out of range."""
    if options["api"] not in PATHS:
        raise UnknownName("api", options["api"], PATHS)
    if options["prefix_cache"] not in ("refuse", "allow"):
        raise UnknownName("choice of prefix_cache", options["prefix_cache"], ("refuse", "allow"))
    if options["concurrency"] < 1 or options["timeout_s"] <= 0:
        raise BadInput("backend openai wants concurrency of at least 1 and timeout_s above 0.")
    if min(options["retries"], options["ttft_timeout_s"], options["idle_s"]) < 0:
        raise BadInput("options retries, ttft_timeout_s and idle_s of backend openai must not be negative.")
    return options


BACKEND = OpenAI

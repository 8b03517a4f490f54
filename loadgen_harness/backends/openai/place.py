"""Where a server is, and requests to it as bytes: the key stands in their heads and nowhere else."""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from loadgen_harness.backends.openai.fetch import fetch
from loadgen_harness.backends.openai.http import Address, Pool, why
from loadgen_harness.backends.openai.server import Server, closing
from loadgen_harness.errors import BadInput

PATHS = {"completions": "/completions", "chat": "/chat/completions"}
USUAL_KEY = "OPENAI_API_KEY"
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True)
class Place:
    """A server's base URL, taken apart."""

    origin: str
    host: str
    port: int
    base: str  # path such as /v1
    secure: bool
    key: str = ""  # see __repr__

    def __repr__(self) -> str:
        """Without the key."""
        return f"Place({self.origin}{self.base})"

    def hide(self, text: str) -> str:
        """The text without the key, should a server have echoed it."""
        return text.replace(self.key, "***") if self.key else text

    def head(self, verb: str, path: str, rest: str) -> bytes:
        """A request up to the end of its `rest`."""
        key = f"Authorization: Bearer {self.key}\r\n" if self.key else ""
        host = self.origin.partition("//")[2]
        return f"{verb} {path} HTTP/1.1\r\nHost: {host}\r\n{key}{rest}".encode("latin-1")

    def posting(self, api: str) -> bytes:
        """The head of every completion, up to the length of its body."""
        kinds = "Content-Type: application/json\r\nAccept: text/event-stream\r\nContent-Length: "
        return self.head("POST", self.base + PATHS[api], kinds)

    async def get(self, pool: Pool, path: str) -> tuple[int, Any]:
        """A small JSON document; one with a slash begins above the API's. Raises BadInput where none answers."""
        full = self.base.removesuffix("/v1") + path if path.startswith("/") else f"{self.base}/{path}"
        try:
            return await fetch(pool, self.head("GET", full, "Accept: application/json\r\n\r\n"))
        except ssl.SSLError as error:
            raise BadInput(
                f"no secure connection to {self.origin} ({why(error)}): name the server's CA with --option ca=FILE, or "
                "mend its certificate."
            ) from error
        except (TimeoutError, OSError) as error:
            raise BadInput(f"no server answers at {self.origin} ({why(error)}): start it, or mend url.") from error


@dataclass(frozen=True)
class Script:
    """How one server is asked: what stays the same in every request, written once."""

    server: Server
    api: str
    head: bytes = field(repr=False)  # the key is in it
    opening: str

    def request(self, input: Mapping[str, Any]) -> bytes:
        """A whole request."""
        body = (self.opening + closing(self.server, self.api, input)).encode()
        return b"%b%d\r\n\r\n%b" % (self.head, len(body), body)


def place(url: str, variable: str = "") -> Place:
    """A base URL taken apart, with the key of that environment variable; raises BadInput for what cannot be used."""
    if not url:
        raise BadInput("backend openai needs the server's address: --option url=http://127.0.0.1:8000/v1.")
    try:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError as error:
        raise BadInput("option url of backend openai is no URL: write http://HOST:PORT/v1.") from error
    if parts.username or parts.password:
        raise BadInput("option url of backend openai must not hold a password: put a key into the environment.")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise BadInput("option url of backend openai must look like http://HOST:PORT/v1 or https://HOST/v1.")
    if not (url.isascii() and url.isprintable()) or " " in url:
        raise BadInput("option url of backend openai holds characters that no URL has: write them as %XX.")
    base = parts.path.rstrip("/") or "/v1"
    secure = parts.scheme == "https"
    return Place(f"{parts.scheme}://{parts.netloc}", parts.hostname, port, base, secure, key_of(variable))


def key_of(variable: str) -> str:
    """The key, from the environment; a name that is none may be the key itself and is not repeated."""
    if variable and not (VARIABLE.fullmatch(variable) and variable in os.environ):
        raise BadInput("api_key_env names no environment variable that is set: set it, or leave the option out.")
    key = os.environ.get(variable or USUAL_KEY, "").strip()
    if not key.isascii() or not (key.isprintable() or not key):
        raise BadInput(f"the key in {variable or USUAL_KEY} holds characters that no header takes: set it anew.")
    return key


def address(where: Place, options: Mapping[str, Any]) -> Address:
    """What to connect to; raises BadInput for a file of certificates that is none."""
    if not where.secure:
        return Address(where.host, where.port)
    try:
        context = ssl.create_default_context(cafile=options["ca"] or None)
    except OSError as error:
        raise BadInput("option ca of backend openai names no file of certificates: name a PEM file.") from error
    if options["insecure"]:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return Address(where.host, where.port, context)

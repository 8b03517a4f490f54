"""Where a server is, how to reach it and what must not be said of it; imports no framework."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from loadgen_harness.errors import BadInput, UnknownName

SCHEMES = {"grpc": ("grpc", False), "grpcs": ("grpc", True), "http": ("http", False), "https": ("http", True)}
PORTS = {"grpc": 8001, "http": 8000}  # Triton's own
LONGEST = 300  # of what a server says in an error


@dataclass(frozen=True)
class Address:
    """One server over one protocol; headers carry the key and never show."""

    protocol: str  # grpc or http
    place: str  # host:port, for HTTP perhaps with a path
    tls: bool
    ca: str  # file of root certificates, empty: the system's
    verify: bool
    headers: Mapping[str, str] = field(repr=False)
    secret: str = field(repr=False)

    def __str__(self) -> str:
        """The URL."""
        return f"{self.protocol}{'s' * self.tls}://{self.place}"

    def safe(self, text: object) -> str:
        """A server's or library's words in one line, the key blotted out."""
        line = " ".join(str(text).split())
        if self.secret:
            line = line.replace(self.secret, "***")
        return line if len(line) <= LONGEST else f"{line[:LONGEST]} …"


def address(chosen: Mapping[str, Any], environ: Mapping[str, str] = os.environ) -> Address:
    """The address of options url, protocol, ca, verify and the key of the environment; raises BadInput, UnknownName."""
    given, wanted = chosen["url"], chosen["protocol"]
    scheme, sign, _ = given.partition("://")
    if wanted not in ("", *PORTS):
        raise UnknownName("protocol", wanted, PORTS)
    if sign and scheme not in SCHEMES:
        raise UnknownName("scheme of option url", scheme, SCHEMES)
    protocol, tls = SCHEMES[scheme if sign else wanted or "grpc"]
    if wanted and wanted != protocol:
        raise BadInput(f"option protocol={wanted} of backend triton and url={scheme}://… differ: leave one out.")
    place = _place(given if sign else f"{protocol}://{given or 'localhost'}", protocol)
    _check_tls(protocol, tls, chosen)
    secret = environ.get(chosen["key_env"], "") if chosen["key_env"] else ""
    header = chosen["key_header"].lower()
    value = f"Bearer {secret}" if header == "authorization" else secret
    return Address(protocol, place, tls, chosen["ca"], chosen["verify"], {header: value} if secret else {}, secret)


def _place(url: str, protocol: str) -> str:
    parts = urlsplit(url)
    if parts.username or parts.password:
        raise BadInput("option url of backend triton holds a user or password: name a key with --option key_env=….")
    try:
        port = parts.port or PORTS[protocol]
    except ValueError as error:
        raise BadInput(f"option url of backend triton has no usable port ({error}): write host:port.") from error
    host = parts.hostname or ""
    if not host or (protocol == "grpc" and parts.path.strip("/")):
        raise BadInput("option url of backend triton must be host:port, with grpc://, grpcs://, http:// or https://.")
    return f"{f'[{host}]' if ':' in host else host}:{port}{parts.path.rstrip('/')}"


def _check_tls(protocol: str, tls: bool, chosen: Mapping[str, Any]) -> None:
    if chosen["ca"] and not Path(chosen["ca"]).is_file():
        raise BadInput(f"option ca of backend triton names {chosen['ca']}, which is no file: name the certificates.")
    if not tls and (chosen["ca"] or not chosen["verify"]):
        raise BadInput("options ca and verify of backend triton are for grpcs:// and https://: change the url.")
    if protocol == "grpc" and not chosen["verify"]:
        raise BadInput("gRPC always verifies a server's certificate: name its root certificate with --option ca=….")

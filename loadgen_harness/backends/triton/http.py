"""KServe v2 over HTTP: the client library encodes and decodes, the standard library carries; imports no framework.

The library's own transport runs on greenlets, which swap pieces of the calling thread's C stack. On LoadGen's thread
that overwrote what LoadGen keeps there while its logger was using it: accuracy logs came out damaged.
"""

from __future__ import annotations

import http.client
import json
import select
import ssl
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from loadgen_harness.backends.triton.address import Address
from loadgen_harness.backends.triton.server import CallFailed

PATHS = {
    "is_server_ready": "v2/health/ready",
    "get_server_metadata": "v2",
    "is_model_ready": "{model}/ready",
    "get_model_metadata": "{model}",
    "get_model_config": "{model}/config",
    "get_inference_statistics": "{model}/stats",
}
MEMORY = {"register_system_shared_memory": "register", "unregister_system_shared_memory": "unregister"}
LENGTH = "Inference-Header-Content-Length"


class HttpClient:
    """One kept connection, for one thread."""

    def __init__(self, library: Any, address: Address, timeout_s: float) -> None:
        """`library`: tritonclient.http."""
        self._codec, self._address = library.InferenceServerClient, address
        place, _, path = address.place.partition("/")
        self._path = f"/{path}" if path else ""
        self._connection: http.client.HTTPConnection
        if address.tls:
            context = ssl.create_default_context(cafile=address.ca or None)
            if not address.verify:
                context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            self._connection = http.client.HTTPSConnection(place, timeout=timeout_s, context=context)
        else:
            self._connection = http.client.HTTPConnection(place, timeout=timeout_s)

    def call(self, method: str, *args: Any, headers: Mapping[str, str], **more: Any) -> Any:
        """What the client library calls `method`, with its arguments."""
        if method == "infer":
            return self._infer(*args, headers=headers, **more)
        if method in MEMORY:
            return self._memory(MEMORY[method], *args, headers=headers)
        path = PATHS[method].format(model=_model(*args) if args else "")
        return self._ready(path, headers) if path.endswith("ready") else self._json(path, headers)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _infer(self, name: str, inputs: Any, *, model_version: str, outputs: Any, headers: Mapping[str, str]) -> Any:
        """The client library's result of one request."""
        body, length = self._codec.generate_request_body(inputs, outputs=outputs)
        more = {LENGTH: str(length)} if length is not None else {}
        path = f"{_model(name, model_version)}/infer"
        content, said = self._answered("POST", path, body, {**headers, **more})
        return self._codec.parse_response_body(content, header_length=said.get(LENGTH))

    def _memory(self, verb: str, name: str, key: str = "", size: int = 0, *, headers: Mapping[str, str]) -> None:
        said = json.dumps({"key": key, "offset": 0, "byte_size": size}).encode() if key else b""
        self._answered("POST", f"v2/systemsharedmemory/region/{quote(name)}/{verb}", said, headers)

    def _ready(self, path: str, headers: Mapping[str, str]) -> bool:
        status, content, _ = self._ask("GET", path, b"", headers)
        if status == http.client.OK or status in (http.client.BAD_REQUEST, http.client.SERVICE_UNAVAILABLE):
            return status == http.client.OK
        raise self._refused(status, content)

    def _json(self, path: str, headers: Mapping[str, str]) -> Any:
        return json.loads(self._answered("GET", path, b"", headers)[0])

    def _answered(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> tuple[bytes, Any]:
        status, content, said = self._ask(method, path, body, headers)
        if status != http.client.OK:
            raise self._refused(status, content)
        return content, said

    def _ask(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes, Any]:
        connection = self._connection
        if connection.sock and select.select([connection.sock], [], [], 0)[0]:
            connection.close()  # the server has closed it since the last answer: nothing was sent on it yet
        try:
            connection.request(method, f"{self._path}/{path}", body or None, dict(headers))
            response = connection.getresponse()
            return response.status, response.read(), response.headers
        except (OSError, http.client.HTTPException):
            connection.close()  # what is left in it belongs to a request that has failed
            raise

    def _refused(self, status: int, content: bytes) -> CallFailed:
        try:
            words = json.loads(content)["error"]
        except (ValueError, KeyError, TypeError):
            words = content.decode("utf-8", errors="replace") or "an empty answer"
        return CallFailed(str(status), self._address.safe(words))


def _model(name: str, version: str) -> str:
    return f"v2/models/{quote(name)}" + (f"/versions/{quote(version)}" if version else "")

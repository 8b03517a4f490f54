"""The HTTP side of kserve_server.py: KServe v2's REST protocol with the binary tensor extension."""

from __future__ import annotations

import json
import re
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
from tritonclient.utils import np_to_triton_dtype, triton_to_np_dtype

from tests.backends.kserve_server import Arrays, KServe, Refusal, from_bytes, to_bytes

STATUS = {
    "NOT_FOUND": 404,
    "INVALID_ARGUMENT": 400,
    "UNIMPLEMENTED": 404,
    "RESOURCE_EXHAUSTED": 429,
    "UNAVAILABLE": 503,
}
MODEL = re.compile(r"/v2/models/([^/]+)(?:/versions/([^/]+))?(?:/(\w+))?$")
REGION = re.compile(r"/v2/systemsharedmemory/region/([^/]+)/(\w+)$")
LENGTH = "Inference-Header-Content-Length"


class RestServer:
    """The HTTP side on a port of loopback; `chain` (a file with key and certificate) for TLS."""

    def __init__(self, host: KServe, chain: str = "") -> None:
        kind = type("Bound", (_Rest,), {"host": host})
        self.server = _Quiet(("localhost" if chain else "127.0.0.1", 0), kind)
        self.server.daemon_threads = True
        if chain:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(chain)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        port = self.server.server_address[1]
        self.url = f"https://localhost:{port}" if chain else f"http://127.0.0.1:{port}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self.thread.start()

    def stop(self) -> None:
        """Close the port."""
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


class _Quiet(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that leave early are what the tests are about."""


class _Rest(BaseHTTPRequestHandler):
    host: KServe
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self.answer(self.get)

    def do_POST(self) -> None:
        self.answer(self.post)

    def answer(self, make: Any) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            content, header = make(body)
            self.send(200, content, header)
        except Refusal as error:
            self.send(STATUS.get(error.status, 500), json.dumps({"error": str(error)}).encode())

    def send(self, status: int, content: bytes, header: int = 0) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        if header:
            self.send_header(LENGTH, str(header))
        self.end_headers()
        self.wfile.write(content)

    def get(self, body: bytes) -> tuple[bytes, int]:
        host = self.host
        if self.path == "/v2":
            found: Any = {"name": "kserve-test", "version": "1.2", "extensions": list(host.extensions)}
        elif self.path.startswith("/v2/health/"):
            found = {}
            if not (host.live and host.ready):
                raise Refusal("UNAVAILABLE", "not ready")
        elif match := MODEL.match(self.path):
            found = self.model(match[1], match[2] or "", match[3] or "")
        else:
            raise Refusal("NOT_FOUND", self.path)
        return json.dumps(found).encode(), 0

    def model(self, name: str, version: str, what: str) -> Any:
        if what == "ready":
            if not self.host.model(name, version).ready:
                raise Refusal("INVALID_ARGUMENT", "not ready")
            return {}
        if what == "config":
            return self.host.config(name, version)
        return self.host.stats(name) if what == "stats" else self.host.metadata(name, version)

    def post(self, body: bytes) -> tuple[bytes, int]:
        if match := REGION.match(self.path):
            if match[2] == "register":
                self.host.register(match[1], json.loads(body)["key"])
            else:
                self.host.unregister(match[1])
            return b"{}", 0
        match = MODEL.match(self.path)
        if match is None or match[3] != "infer":
            raise Refusal("NOT_FOUND", self.path)
        header = int(self.headers.get(LENGTH, 0)) or len(body)
        request, raw = json.loads(body[:header]), body[header:]
        headers = {key.lower(): value for key, value in self.headers.items()}
        fault, outputs = self.host.infer(match[1], self.inputs(request, raw), headers, match[2] or "")
        if fault == "cut":
            self.close_connection = True
            self.connection.close()
            raise Refusal("UNAVAILABLE", "cut")
        return self.response(request, outputs, fault)

    def inputs(self, request: Any, raw: bytes) -> Arrays:
        arrays, place = {}, 0
        for each in request["inputs"]:
            said = each.get("parameters", {})
            if "shared_memory_region" in said:
                start, size = said.get("shared_memory_offset", 0), said["shared_memory_byte_size"]
                content = self.host.region(said["shared_memory_region"], start=start, size=size)
            elif "binary_data_size" in said:
                content = raw[place : place + said["binary_data_size"]]
                place += said["binary_data_size"]
            else:
                kind = triton_to_np_dtype(each["datatype"])
                arrays[each["name"]] = np.array(each["data"], kind).reshape(each["shape"])
                continue
            arrays[each["name"]] = from_bytes(content, each["datatype"], each["shape"])
        return arrays

    def response(self, request: Any, outputs: Arrays, fault: str) -> tuple[bytes, int]:
        binary = {each["name"]: each.get("parameters", {}).get("binary_data") for each in request.get("outputs", ())}
        said, tail = [], b""
        for name, array in outputs.items():
            one: dict[str, Any] = {
                "name": name,
                "datatype": np_to_triton_dtype(array.dtype),
                "shape": list(array.shape),
            }
            if fault == "unshaped":
                one["shape"][0] += 1
            if binary.get(name):
                raw = to_bytes(array)
                raw = raw[:-3] if fault == "short" else raw + b"\x00\x00\x00" if fault == "long" else raw
                one["parameters"] = {"binary_data_size": len(raw)}
                tail += raw
            else:
                one["data"] = array.reshape(-1).tolist()
            said.append(one)
        head = json.dumps({"model_name": "m", "outputs": said}).encode()
        return head + tail, len(head) if tail else 0

    def log_message(self, format: str, *args: Any) -> None:
        """Silence."""

"""A small real HTTPS server that behaves as the management controllers of servers do."""

from __future__ import annotations

import base64
import json
import ssl
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

USER, PASSWORD = "reader", "cörrect horse"
SESSIONS = "/redfish/v1/SessionService/Sessions"
CHASSIS = "/redfish/v1/Chassis"
NEW, OLD = f"{CHASSIS}/1U/EnvironmentMetrics", f"{CHASSIS}/1U/Power"
SENSOR = f"{CHASSIS}/1U/Sensors/Power"


def linked(path: str) -> dict[str, str]:
    return {"@odata.id": path}


def resources() -> dict[str, Any]:
    """A controller with one chassis, in both the new and the old way."""
    return {
        "/redfish/v1/": {"Links": {"Sessions": linked(SESSIONS)}},
        CHASSIS: {"Members": [linked(f"{CHASSIS}/1U")]},
        f"{CHASSIS}/1U": {"EnvironmentMetrics": linked(NEW), "Power": linked(OLD)},
        NEW: {"PowerWatts": {"Reading": 412.87, "DataSourceUri": SENSOR}, "EnergykWh": {"Reading": 1234.5}},
        SENSOR: {"Reading": 412.87, "SensingInterval": "PT2S", "Accuracy": 3},
        OLD: {
            "PowerControl": [
                {"MemberId": "0", "PowerConsumedWatts": 344, "PowerMetrics": {"IntervalInMin": 30}},
                {"MemberId": "1", "Name": "CPU Sub-system Power", "PowerConsumedWatts": 120},
            ]
        },
    }


class Controller(ThreadingHTTPServer):
    """Serves `resources`; `sessions` are the tokens it would accept."""

    daemon_threads = True

    def __init__(self, pem: Path) -> None:
        super().__init__(("127.0.0.1", 0), Talk)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem)
        self.context = context
        self.resources = resources()
        self.redirects: dict[str, str] = {}
        self.sessions: set[str] = set()
        self.has_sessions = True
        self.made = 0
        self.calls: list[tuple[str, str]] = []
        self.connections = 0
        self.lose = 0  # answers that end the connection without a word

    def get_request(self) -> tuple[Any, Any]:
        """TLS is spoken in the connection's own thread, so that one bad client stops nobody."""
        connection, address = super().get_request()
        self.connections += 1
        return self.context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False), address

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that does not trust the certificate hangs up: that is what some tests are about."""

    @property
    def url(self) -> str:
        return f"https://localhost:{self.server_address[1]}"


class Talk(BaseHTTPRequestHandler):
    """One connection to the Controller."""

    server: Controller
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        path, controller = self.path, self.server
        controller.calls.append(("GET", path))
        if controller.lose:
            controller.lose -= 1
            self.close_connection = True
        elif path in controller.redirects:
            self.answer(307, None, {"Location": controller.redirects[path]})
        elif path != "/redfish/v1/" and not self.known():
            self.answer(401, {"error": {"code": "Base.1.12.NoValidSession"}})
        elif path in controller.resources:
            self.answer(200, controller.resources[path])
        else:
            self.answer(404, {"error": {}})

    def known(self) -> bool:
        pair = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        basic = self.headers.get("Authorization") == f"Basic {pair}"
        return basic or self.headers.get("X-Auth-Token") in self.server.sessions

    def do_POST(self) -> None:
        controller = self.server
        controller.calls.append(("POST", self.path))
        said = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if not controller.has_sessions or self.path != SESSIONS:
            self.answer(404, {"error": {}})
        elif said != {"UserName": USER, "Password": PASSWORD}:
            self.answer(401, {"error": {}})
        else:
            controller.made += 1
            token = f"token{controller.made}"
            controller.sessions.add(token)
            self.answer(201, {}, {"X-Auth-Token": token, "Location": f"{SESSIONS}/{token}"})

    def do_DELETE(self) -> None:
        self.server.calls.append(("DELETE", self.path))
        self.server.sessions.discard(self.path.rpartition("/")[2])
        self.answer(204, None)

    def answer(self, status: int, content: Any, headers: dict[str, str] | None = None) -> None:
        data = b"" if content is None else json.dumps(content).encode()
        self.send_response(status)
        for key, value in {"Content-Length": str(len(data)), **(headers or {})}.items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None: ...

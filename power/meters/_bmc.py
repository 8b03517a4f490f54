"""A Redfish service over HTTP: one kept connection, a session that is given back, and nothing sent to another host."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import urljoin, urlsplit

from loadgen_harness.errors import BadInput
from power.meter import MeterFailed

ROOT = "/redfish/v1/"
SESSIONS = "/redfish/v1/SessionService/Sessions"
TIMEOUT_S = 10.0
MOST_BYTES = 4 << 20
REDIRECTS = 3
NO_SESSIONS = (400, 404, 405, 500, 501, 503)  # a service without sessions, or with none free
REFUSED = (401, 403)
LOST = (http.client.RemoteDisconnected, http.client.CannotSendRequest, BrokenPipeError, ConnectionResetError)


@dataclass(frozen=True)
class Access:
    """Where the controller is and who asks; `ca` is a file of trusted certificates, "" for the system's own."""

    url: str
    user: str
    password: str
    ca: str = ""
    insecure: bool = False


@dataclass(frozen=True)
class Reply:
    """Status, headers in lower case, and the body as JSON (None where it is none)."""

    status: int
    headers: Mapping[str, str]
    content: Any


class Service:
    """Reads resources of one controller; raises BadInput until it is logged in, MeterFailed afterwards."""

    def __init__(self, access: Access) -> None:
        """Connect and log in: a session where the service has them, else basic authentication."""
        self._access = access
        parts = urlsplit(access.url)
        self.place = f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)
        self._origin = _origin(access.url)
        self._connection = _connection(access)
        self._session = ""
        self._headers: dict[str, str] = {}
        self.authentication = ""
        try:
            self._log_in()
        except MeterFailed as error:
            self._connection.close()
            raise BadInput(str(error)) from error

    def get(self, path: str) -> dict[str, Any]:
        """The resource at `path`, floats as Decimal; logs in again once where the session has expired."""
        reply = self._request("GET", path)
        if reply.status == 401:
            self._log_in()
            reply = self._request("GET", path)
        if reply.status in REFUSED:
            raise self._failure(f"the user may not read {path}", "give it a role that may read power")
        if reply.status != 200 or not isinstance(reply.content, dict):
            raise self._failure(f"{path} answers {reply.status} and no resource", "look at the controller")
        return reply.content

    def close(self) -> None:
        """Give the session back: controllers have few."""
        try:
            if self._session:
                self._request("DELETE", self._session)
        except MeterFailed:
            self._session = ""  # unreachable: the controller ends the session by itself after its time
        finally:
            self._connection.close()

    def _log_in(self) -> None:
        self._session, self._headers = "", {}
        where = self._sessions()
        reply = self._request("POST", where, {"UserName": self._access.user, "Password": self._access.password})
        if reply.status in REFUSED:
            raise self._failure("it refuses the user and password", "look at LGH_REDFISH_USER and LGH_REDFISH_PASSWORD")
        token = reply.headers.get("x-auth-token", "")
        if reply.status in (200, 201) and token:
            self.authentication, self._headers = "session", {"X-Auth-Token": token}
            self._session = self._own_path(reply.headers.get("location", ""), where)
            return
        if reply.status not in (200, 201, *NO_SESSIONS):
            raise self._failure(f"logging in answers {reply.status}", "look at the controller's URL")
        pair = f"{self._access.user}:{self._access.password}".encode()
        self.authentication = "basic"
        self._headers = {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}

    def _sessions(self) -> str:
        """Where sessions are made: the service root says so to anyone."""
        root = self._request("GET", ROOT)
        links = root.content.get("Links") if isinstance(root.content, dict) else None
        found = link(links or {}, "Sessions")
        return self._own_path(found, ROOT) if found else SESSIONS

    def _own_path(self, target: str, base: str) -> str:
        """The path of a link as long as it leads to this controller."""
        whole = urljoin(urljoin(self._origin, base), target)
        try:
            own = _origin(whole) == self._origin
        except ValueError:  # a port that is none
            own = False
        if not own:
            remedy = "name that host in LGH_REDFISH_URL if you trust it"
            raise self._failure("it sends the meter to another host", remedy)
        return urlsplit(whole).path

    def _request(self, method: str, path: str, body: Mapping[str, str] | None = None) -> Reply:
        for _ in range(REDIRECTS + 1):
            path = self._own_path(path, ROOT)
            reply = self._exchange(method, path, body)
            if reply.status not in (301, 302, 303, 307, 308):
                return reply
            path = self._own_path(reply.headers.get("location", ""), path)
            if method != "GET":
                raise self._failure(f"{method} is redirected", f"name {self._origin}{path} more exactly")
        raise self._failure(f"it redirects more than {REDIRECTS} times", "look at the controller's URL")

    def _exchange(self, method: str, path: str, body: Mapping[str, str] | None) -> Reply:
        """One request on the kept connection; on a new one where the controller has closed it meanwhile."""
        fresh = self._connection.sock is None
        try:
            return self._ask(method, path, body)
        except LOST as error:
            self._connection.close()
            if fresh:
                raise self._failure(f"the connection breaks ({error})", "look at the network") from error
        except ssl.SSLCertVerificationError as error:
            self._connection.close()
            remedy = "name its certificate in LGH_REDFISH_CA"
            raise self._failure(f"its certificate is not trusted ({error.verify_message})", remedy) from error
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise self._failure(f"it does not answer ({error})", "look at LGH_REDFISH_URL and the network") from error
        return self._exchange(method, path, body)

    def _ask(self, method: str, path: str, body: Mapping[str, str] | None) -> Reply:
        headers = {"Accept": "application/json", "OData-Version": "4.0", **self._headers}
        data = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            data = json.dumps(body)
        self._connection.request(method, path, data, headers)
        with self._connection.getresponse() as response:
            said = response.read(MOST_BYTES + 1)
            kept = {key.lower(): value for key, value in response.getheaders()}
            if len(said) > MOST_BYTES:
                self._connection.close()
                raise self._failure(f"{path} is larger than {MOST_BYTES >> 20} MiB", "look at the controller's URL")
            return Reply(response.status, kept, _json(said))

    def _failure(self, what: str, remedy: str) -> MeterFailed:
        return MeterFailed(f"meter redfish: {self.place}: {what}: {remedy}.")


def link(resource: Mapping[str, Any], key: str) -> str:
    """Where a resource's link `key` leads, "" without one."""
    target = resource.get(key)
    found = target.get("@odata.id") if isinstance(target, dict) else None
    return found if isinstance(found, str) else ""


def _json(said: bytes) -> Any:
    try:
        return json.loads(said, parse_float=Decimal)
    except ValueError:  # also text that is no UTF-8; an empty answer of DELETE
        return None


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}:{parts.port or (443 if parts.scheme == 'https' else 80)}"


def _connection(access: Access) -> http.client.HTTPConnection:
    parts = urlsplit(access.url)
    host = str(parts.hostname)
    if parts.scheme == "http":
        return http.client.HTTPConnection(host, parts.port, timeout=TIMEOUT_S)
    try:
        context = ssl.create_default_context(cafile=access.ca or None)
    except (OSError, ssl.SSLError) as error:
        raise BadInput(f"LGH_REDFISH_CA names {access.ca!r}, which holds no certificates ({error}).") from error
    if access.insecure:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return http.client.HTTPSConnection(host, parts.port, timeout=TIMEOUT_S, context=context)

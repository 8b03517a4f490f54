"""A headless chromium over its debugging pipe: nothing but the standard library and the browser itself."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-extensions",
    "--disable-background-networking",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)
PATIENCE_S = 50.0
ABOVE = 10  # file descriptors that cannot be the browser's 3 and 4


class Tab:
    """One page: `call` speaks the DevTools protocol, `faults` holds what went wrong in the page."""

    def __init__(self, reads: int, writes: int) -> None:
        self._reads, self._writes = reads, writes
        self._rest = b""
        self._number = 0
        self.session = ""
        self.events: list[Mapping[str, Any]] = []

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """The answer to one command."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self._writes, json.dumps(message).encode() + b"\0")
        answer = self._until(lambda seen: seen.get("id") == self._number)
        assert "error" not in answer, answer
        return dict(answer["result"])

    def value(self, script: str) -> Any:
        """What an expression of JavaScript is in the page; promises are awaited."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def open(self, path: Path) -> None:
        """Load a file and wait until it is loaded."""
        self.events.clear()
        self.call("Page.navigate", url=path.resolve().as_uri())
        if not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self._until(lambda seen: seen.get("method") == "Page.loadEventFired")

    def key(self, name: str, code: int, text: str = "") -> None:
        """Press and release a key."""
        given = {"key": name, "code": name, "windowsVirtualKeyCode": code}
        self.call("Input.dispatchKeyEvent", type="keyDown", **given, **({"text": text} if text else {}))
        self.call("Input.dispatchKeyEvent", type="keyUp", **given)

    def look(self, *, width: int = 1280, height: int = 900, dark: bool = False, media: str = "") -> None:
        """Size of the window, colour scheme, and "print" or the screen."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", media=media, features=[scheme])

    def screenshot(self, path: Path, *, whole: bool = False) -> None:
        """A picture of what is seen, or of the whole page."""
        data = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)["data"]
        path.write_bytes(base64.b64decode(data))

    @property
    def faults(self) -> list[Mapping[str, Any]]:
        """Uncaught exceptions, and what the browser itself logged as errors: refused scripts, failed requests."""
        return [
            event["params"]
            for event in self.events
            if event.get("method") == "Runtime.exceptionThrown"
            or (event.get("method") == "Log.entryAdded" and event["params"]["entry"]["level"] == "error")
        ]

    @property
    def requests(self) -> list[str]:
        """Every address that the page asked for."""
        asked = [event for event in self.events if event.get("method") == "Network.requestWillBeSent"]
        return [str(event["params"]["request"]["url"]) for event in asked]

    def _until(self, wanted: Any) -> dict[str, Any]:
        end = time.monotonic() + PATIENCE_S
        while True:
            while b"\0" in self._rest:
                text, _, self._rest = self._rest.partition(b"\0")
                seen = json.loads(text)
                if "method" in seen:
                    self.events.append(seen)
                if wanted(seen):
                    return dict(seen)
            assert select.select([self._reads], [], [], max(end - time.monotonic(), 0))[0], "the browser is silent"
            more = os.read(self._reads, 1 << 20)
            assert more, "the browser has ended"
            self._rest += more


@contextmanager
def chromium(folder: Path) -> Iterator[Tab]:
    """A tab of a new browser whose profile lies in `folder`; the test skips where there is no chromium."""
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        pytest.skip("no chromium on this machine: install Debian's package of that name")
    its_reads, our_writes = _pipe()
    our_reads, its_writes = _pipe()
    out = os.open(folder / "chromium.log", os.O_CREAT | os.O_WRONLY)
    actions = [(os.POSIX_SPAWN_DUP2, its_reads, 3), (os.POSIX_SPAWN_DUP2, its_writes, 4)]
    actions += [(os.POSIX_SPAWN_DUP2, out, each) for each in (1, 2)]
    command = [program, *FLAGS, f"--user-data-dir={folder / 'profile'}", "about:blank"]
    child = os.posix_spawn(program, command, os.environ, file_actions=actions, setpgroup=0)
    for each in (its_reads, its_writes, out):
        os.close(each)
    tab = Tab(our_reads, our_writes)
    try:
        _attach(tab)
        yield tab
    finally:
        os.close(our_writes)
        os.close(our_reads)
        _end(child)


def _pipe() -> tuple[int, int]:
    """Both ends of a pipe, out of the way of the descriptors that the browser wants."""
    ends = os.pipe()
    moved = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, ABOVE) for end in ends]
    for end in ends:
        os.close(end)
    return moved[0], moved[1]


def _attach(tab: Tab) -> None:
    """Speak to the page instead of the browser, and hear of its errors and requests."""
    targets = tab.call("Target.getTargets")["targetInfos"]
    page = next(each["targetId"] for each in targets if each["type"] == "page")
    tab.session = tab.call("Target.attachToTarget", targetId=page, flatten=True)["sessionId"]
    for domain in ("Page", "Runtime", "Log", "Network"):
        tab.call(f"{domain}.enable")


def _end(child: int) -> None:
    """The browser and what it started is gone when this returns: it ends with its pipe, or is killed."""
    for _ in range(100):
        if os.waitpid(child, os.WNOHANG)[0]:
            return
        time.sleep(0.05)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)

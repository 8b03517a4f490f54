"""A power session's folder written by hand in the official form, so that each item of the power check can be broken.

It is what MLCommons' client and server write, with readings that no analyzer took; it lives in tests alone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from power.official import SOURCES

BEGAN = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC).timestamp()
LENGTH_S = 26.0  # of LoadGen's window
NAME = "2026-11-22_12-00-00"
WATTS = {"ranging": 100.0, "testing": 101.0}
FOLDERS = {"ranging": "ranging", "testing": "run_1"}
CLIENT, SERVER, LOG = "power/client.json", "power/server.json", "power/ptd_logs.txt"
BY_CLIENT = (
    "power/client.log",
    *(f"{each}/mlperf_log_{kind}.txt" for each in FOLDERS.values() for kind in ("detail", "summary")),
)
IDENTITY = "YokogawaWT310,1000,1,1,1,1,0,1,1,version=1.11.1-c7885587-20231215,OS=Linux,mode=power,1,1,1,0,0,no_cal_date"
GO = "Starting untimed measurement, maximum 500000 samples at 1000ms with 0 rampup samples"
Change = Callable[["Draft"], object]


@dataclass
class Draft:
    """A session before it is written: the two summaries, every other file's text, and edits made after the digests."""

    client: dict[str, Any]
    server: dict[str, Any]
    files: dict[str, str]
    late: dict[str, str | None] = field(default_factory=dict)

    def write(self, folder: Path) -> Path:
        """The session's folder, its digests those of its files."""
        for name, text in self.files.items():
            _put(folder / name, text)
            side = self.client if name in BY_CLIENT else self.server
            side["results"][name] = hashlib.sha1(text.encode()).hexdigest()
        for name, side in ((CLIENT, self.client), (SERVER, self.server)):
            _put(folder / name, json.dumps(side, indent=4))
        for name, edited in self.late.items():
            (folder / name).unlink()
            if edited is not None:
                _put(folder / name, edited)
        return folder

    def replace(self, name: str, old: str, new: str) -> None:
        """A text of a file exchanged, before its digest is taken."""
        assert old in self.files[name], f"{old!r} is not in {name}"
        self.files[name] = self.files[name].replace(old, new)

    def say(self, command: str, reply: str) -> None:
        """PTDaemon answers a command otherwise, each time."""
        for each in self.server["ptd_messages"]:
            if each["cmd"].startswith(command):
                each["reply"] = reply


@dataclass(frozen=True)
class Times:
    """When a session began, in UTC seconds, and how long LoadGen's windows in it are."""

    began: float = BEGAN
    length_s: float = LENGTH_S

    def steps(self, phase: str) -> tuple[float, ...]:
        """Asked to start, started, asked to stop, stopped: seconds since the session began."""
        first = 0.0 if phase == "ranging" else self.length_s + 25
        return first, first + 10, first + self.length_s + 14, first + self.length_s + 24

    def window(self, phase: str) -> tuple[float, float]:
        """LoadGen's window, likewise."""
        begin = self.steps(phase)[1] + 2
        return begin, begin + self.length_s

    def stamp(self, at_s: float) -> str:
        """Seconds since the session began as LoadGen and PTDaemon write them."""
        return datetime.fromtimestamp(self.began + at_s, UTC).strftime("%m-%d-%Y %H:%M:%S.%f")[:-3]


def draft(times: Times | None = None) -> Draft:
    """A session in which everything is in order."""
    times = times or Times()
    files = {"power/client.log": "client log\n", "power/server.log": "server log\n", LOG: _log(times)}
    for phase, folder in FOLDERS.items():
        files[f"{folder}/mlperf_log_detail.txt"] = _detail(phase, times)
        files[f"{folder}/mlperf_log_summary.txt"] = "LoadGen's summary\n"
        files[f"{folder}/spl.txt"] = "".join(f"{row},Mark,{NAME}_{phase}\n" for row in _rows(phase, times))
    shared = {
        "version": "1.0",
        "timezone": 0,
        "modules": {},
        "sources": dict(SOURCES),
        "uuid": {"client": "f335e68c-1f6f-44a0-8d1b-416fe00f2280", "server": "7e3489ab-baed-49b2-b81c-a5226750678d"},
        "session_name": NAME,
    }
    client, server = (
        {**json.loads(json.dumps(shared)), "messages": _messages(), "results": {}, "phases": _phases(late, times)}
        for late in (0.0, 0.01)
    )
    command = ["ptd", "-l", "log", "-p", "8888", "-y", "49", "C2PH13047V"]
    config = {"command": command, "device_type": 49, "interface_flag": "-y", "dc_flag": None, "channel": None}
    server |= {"ptd_messages": _ptd_messages(), "ptd_config": [config]}
    return Draft(client, server, files)


def stamp(at_s: float) -> str:
    """Seconds of a session with the usual times."""
    return Times().stamp(at_s)


def _phases(late: float, times: Times) -> dict[str, list[list[float]]]:
    return {phase: [[times.began + at + late, at] for at in times.steps(phase)] for phase in FOLDERS}


def _messages() -> list[dict[str, Any]]:
    said = [("mlcommons/power client v3", "mlcommons/power server v3"), ("time", "1.0"), ("new,,id", f"OK {NAME},id")]
    said += [(f"session,{NAME},{verb},{mode}", "OK") for mode in FOLDERS for verb in ("start", "stop")]
    return [{"cmd": command, "cmd_time": 1.0, "reply": reply, "reply_time": 2.0} for command, reply in said]


def _ptd_messages() -> list[dict[str, str]]:
    ranges = {"A": "Range A changed", "V": "Range V changed"}
    said = [("Hello", "Hello, PTDaemon here!"), ("Identify", IDENTITY), ("RR", "Ranges,0,10.000000,1,300.000000")]
    said += [("SR,V,Auto", ranges["V"]), ("SR,A,Auto", ranges["A"]), ("SR,A,Auto", ranges["A"])]
    said += [(f"Go,1000,0,{NAME}_ranging", GO), ("Stop", "Stopping untimed measurement")]
    said += [("SR,V,230.0", ranges["V"]), ("SR,A,0.5", ranges["A"]), (f"Go,1000,0,{NAME}_testing", GO)]
    said += [("Watts", "Watts,101.0,101.0,101.0,40,0,40"), ("Stop", "Stopping untimed measurement")]
    said += [("SR,V,Auto", ranges["V"]), ("SR,A,10.000000", ranges["A"])]
    return [{"cmd": command, "reply": reply} for command, reply in said]


def _detail(phase: str, times: Times) -> str:
    begin, end = times.window(phase)
    notes = {"is_error": False, "is_warning": False, "file": "loadgen.cc", "line_no": 1}
    return "".join(
        ":::MLLOG "
        + json.dumps({"key": key, "value": times.stamp(at), "time_ms": 0.1, "namespace": "x", "metadata": notes})
        + "\n"
        for key, at in (("power_begin", begin), ("power_end", end))
    )


def _rows(phase: str, times: Times) -> list[str]:
    _, begin, _, end = times.steps(phase)
    volts = "Volts,230.000000,Amps,0.450000,PF,0.950000"
    return [f"Time,{times.stamp(at + 0.5)},Watts,{WATTS[phase]:.6f},{volts}" for at in range(int(begin), int(end))]


def _log(times: Times) -> str:
    """ptd_logs.txt, in ranging with the errors that are to be expected there."""
    lines = ["Analyzer 1", "Redirecting data output to file log"]
    lines.append(f"{times.stamp(-5)}: Uncertainty checking for YokogawaWT310 is activated")
    for phase in FOLDERS:
        _, begin, _, end = times.steps(phase)
        lines.append(f"{times.stamp(begin - 0.1)}: Go with mark '{NAME}_{phase}'")
        if phase == "ranging":
            said = "ERROR: Can't evaluate uncertainty of this sample!"
            lines += [f"{times.stamp(begin + at)}: {said}" for at in range(5, 20)]
        lines += [
            f"{times.stamp(end)}: Completed test",
            f"{times.stamp(end)}: Response to client sent: Last 40 samples",
            *_rows(phase, times),
        ]
    return "\n".join(lines) + "\n"


def _put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")

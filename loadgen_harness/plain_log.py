"""LoadGen's detail log as it was before v1.0: lines of `"pid": …, "tid": …, "ts": …ns : text`, streamed.

Values come out under the keys of today's LoadGen and in its words (`SingleStream`, `PerformanceOnly`). A text may run
on over lines without a head (git log, digests of files). Results stand in the summary alone: see `summary_log`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from loadgen_harness.log_record import KEPT, KEPT_KEYS, LONG, Log, pieces

MODES = {
    "Submission": "SubmissionRun",
    "Accuracy": "AccuracyOnly",
    "Performance": "PerformanceOnly",
    "Find Peak Performance": "FindPeakPerformance",
}
HEAD = b'"pid": '
RUNS_ON = (b"git_log", b"git_status", b"SHA1 of files")  # texts with line ends in them
_HEAD = re.compile(rb'"pid": \d+, "tid": \d+, "ts": (-?\d{1,30})ns : ?(.*)', re.DOTALL)
_ARGUMENT = re.compile(r'"([^"]+)" : ("[^"]*"|[^,]*)(?:, |$)')
_COUNTER = re.compile(r"(\d{1,20}) : (\w+_count)$")
_DIGEST = re.compile(r"([0-9a-f]{40}) (\S+)")
_AUDIT = "Found Audit Config file"
_SET = b"Loading QSL : "
_SHORT = 4096  # characters of a text with several values

# Text before the colon, in the first column as LoadGen wrote it, to today's key.
_KEYS = {
    "version": "loadgen_version",
    "build_date_local": "loadgen_build_date_local",
    "build_date_utc": "loadgen_build_date_utc",
    "git_commit_date": "loadgen_git_commit_date",
    "git_log": "loadgen_git_log_message",
    "git_status": "loadgen_git_status_message",
    "SHA1 of files": "loadgen_file_sha1",
    "Date + time of test": "test_datetime",
    "System Under Test (SUT) name": "sut_name",
    "Query Sample Library (QSL) name": "qsl_name",
    "QSL total size": "qsl_reported_total_count",
    "QSL performance size*": "qsl_reported_performance_count",
}
_TEXTS = {key for key in _KEYS.values() if not key.startswith("qsl_reported")}
_GENERATED = {
    "queries": "generated_query_count",
    "samples per query": "generated_samples_per_query",
    "duration": "generated_query_duration",
}
_SETTINGS = {"Effective Settings:": "effective_", "Requested Settings:": "requested_"}
_SETTING = {"Scenario": "scenario", "Test mode": "test_mode"}


def read(file: BinaryIO) -> Log:
    """The whole log; never raises for what stands in it."""
    reader = _Reader()
    place = 0
    for piece in pieces(file):
        if piece.too_long:
            place += 1
            reader.log.damage.add(f"line {place}: too long for a LoadGen record")
            continue
        for line in piece.lines():
            place += 1
            reader.line(line.rstrip(b"\r"), place)
    reader.ended()
    return reader.log


def number(text: str) -> int | float | str:
    """A number as LoadGen prints it, also in scientific form; other text as it is."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


@dataclass
class _Reader:
    """The state between lines: the text that may run on, and the settings that are being listed."""

    log: Log = field(default_factory=lambda: Log(syntax="plain"))
    text: list[bytes] = field(default_factory=list)
    size: int = 0
    first: int = 0
    time_ms: float = 0.0
    section: str = ""

    def line(self, line: bytes, place: int) -> None:
        """Take in one line: a new text, or more of the last."""
        found = _HEAD.fullmatch(line)
        if found:
            self.ended()
            self.first, self.time_ms = place, float(found[1]) / 1e6
            self.text, self.size = [found[2]], len(found[2])
        elif self.text and self.text[0].startswith(RUNS_ON) and not line.startswith(HEAD) and self.size < LONG:
            self.text.append(line)
            self.size += len(line)
        elif line.strip():
            self.log.damage.add(f"line {place}: not a LoadGen record")

    def ended(self) -> None:
        """The last text is complete."""
        if not self.text:
            return
        raw, self.text = b"\n".join(self.text), []
        if len(raw) > LONG and not raw.startswith(_SET):
            self.log.damage.add(f"line {self.first}: too long for a LoadGen record")
            return
        text = raw.decode("utf-8", "replace")
        if "\N{REPLACEMENT CHARACTER}" in text or "\0" in text:
            self.log.damage.add(f"line {self.first}: not UTF-8")
        self.take(text.strip())

    def take(self, text: str) -> None:
        """One whole text."""
        for word, error in (("ERROR : ", True), ("WARNING : ", False)):
            if text.startswith(word):
                kind = "error" if error else "warning"
                self.log.complain(f"{kind}_generic_message: {text.removeprefix(word)}", error=error)
                return
        if text.startswith(_AUDIT):  # today's LoadGen warns of it
            self.log.complain(f"warning_generic_message: {text}", error=False)
        elif text in _SETTINGS or not text:
            self.section = _SETTINGS.get(text, "")
        elif not self.special(text):
            self.value(text)

    def special(self, text: str) -> bool:
        """Texts that hold several values, or whose value stands first; whether this was one."""
        counter = _COUNTER.match(text)
        if counter:
            self.set(f"logger_{counter[2]}", int(counter[1]))
            return True
        for word, values in _SPECIAL.items():
            if text.startswith(word):
                for key, value in values(text.removeprefix(word)).items():
                    self.set(key, value)
                return True
        return False

    def value(self, text: str) -> None:
        """`name : value`, a setting or one of the known names; else a message."""
        said, colon, value = (part.strip() for part in text.partition(":"))
        if colon and self.section:
            name = _SETTING.get(said, said.replace(" (", "_").replace(")", ""))
            self.set(self.section + name, _setting(name, value))
        elif colon and said in _KEYS:
            key = _KEYS[said]
            self.set(key, _digests(value) if key == "loadgen_file_sha1" else _known(key, value))
        else:
            self.set("generic_message", text.rstrip(":"))

    def set(self, key: str, value: Any) -> None:
        """The value of a key from now on."""
        if len(self.log.values) >= KEPT and key not in self.log.values:
            self.log.damage.add(f"line {self.first}: more keys than LoadGen writes")
            return
        self.log.set(key, value, line=self.first, time_ms=self.time_ms)
        if key in KEPT_KEYS:
            self.log.keep(key, value)


def _setting(name: str, text: str) -> Any:
    if name == "scenario":
        return text.replace(" ", "")
    if name == "test_mode":
        return MODES.get(text, text)
    return {"true": True, "false": False}.get(text, number(text))


def _known(key: str, text: str) -> Any:
    return text if key in _TEXTS else number(text)


def _digests(text: str) -> dict[str, str]:
    return {name: digest for digest, name in _DIGEST.findall(text)}


def _arguments(text: str) -> dict[str, str]:
    return {name: value.strip('"') for name, value in _ARGUMENT.findall(text[:_SHORT])}


def _generated(text: str) -> dict[str, Any]:
    return {_GENERATED[name]: number(value) for name, value in _arguments(text).items() if name in _GENERATED}


def _loaded(text: str) -> dict[str, Any]:
    digits = text.partition("[")[2].partition("]")[0]
    return {"loaded_qsl_set": [int(each) for each in digits.split(",") if each.isdecimal() and len(each) < 20]}


def _moment(key: str) -> Callable[[str], dict[str, Any]]:
    return lambda text: {key: _arguments(text).get("time", "")}


_SPECIAL: Mapping[str, Callable[[str], dict[str, Any]]] = {
    "GeneratedQueries: ": _generated,
    "Loading QSL : ": _loaded,
    "POWER_BEGIN: ": _moment("power_begin"),
    "POWER_END: ": _moment("power_end"),
}

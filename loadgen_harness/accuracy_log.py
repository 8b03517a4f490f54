"""LoadGen's `mlperf_log_accuracy.json`, streamed: a JSON list whose entries are read one by one.

LoadGen writes one entry a line, other writers what they like: entries are found wherever they begin, in memory of some
times the largest one.
"""

from __future__ import annotations

import binascii
import codecs
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO, NamedTuple

from loadgen_harness.inside import Damaged

CHUNK = 1 << 20
ENTRY = 256 << 20  # characters of one entry: a segmented volume of 3D-UNet takes up to 200 million in hexadecimal
LOOSE = 8 << 20  # of an entry that goes on past this, a single string may
_PLAIN = re.compile(
    r'\{ "seq_id" : ([0-9]{1,20}), "qsl_idx" : ([0-9]{1,20}), "data" : "([^"]*)"'
    r'(?:, "token_count" : ([0-9]{1,20}))? \},\n(?=\{)'
)
_GAP = " \t\r\n"
_MARGIN = 16  # an error this near to the end of what has been read may go away with more of it


class Response(NamedTuple):
    """One entry of LoadGen's accuracy log."""

    seq_id: int
    qsl_idx: int
    data: bytes
    token_data: bytes | None = None
    token_count: int | None = None


def entries(file: BinaryIO) -> Iterator[Response]:
    """The entries in their order; raises Damaged where the text stops being an accuracy log."""
    text = _Text(file)
    if text.next() == "":
        return
    text.expect("[")
    while (mark := text.next()) == "{":
        yield from text.plain()
        yield response(text.value())
        if text.next() == ",":
            text.expect(",")
            if text.next() != "{":
                break
        elif text.next() != "]":
            break
    if mark == "{" or text.next() != "]":
        raise text.fault("not an accuracy log")
    text.expect("]")
    if text.next():
        raise text.fault("more text after the end of the list")


def response(entry: Mapping[str, Any]) -> Response:
    """An entry as LoadGen means it; raises Damaged."""
    try:
        token_data, token_count = entry.get("token_data"), entry.get("token_count")
        return Response(
            seq_id=int(entry["seq_id"]),
            qsl_idx=int(entry["qsl_idx"]),
            data=bytes.fromhex(entry["data"]),
            token_data=bytes.fromhex(token_data) if isinstance(token_data, str) else None,
            token_count=None if token_count is None else int(token_count),
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise Damaged(f"not an accuracy log ({error!r:.200})") from None


@dataclass
class _Text:
    """A window on the file: what has been read and not yet used."""

    file: BinaryIO
    window: str = ""
    at: int = 0
    line: int = 1
    ended: bool = False
    _decoder: Any = field(default_factory=lambda: codecs.getincrementaldecoder("utf-8")("strict"))
    _scan: Any = field(default_factory=lambda: json.JSONDecoder().raw_decode)

    def next(self) -> str:
        """The next character that is no gap, "" at the end."""
        while True:
            while self.at < len(self.window):
                mark = self.window[self.at]
                if mark not in _GAP:
                    return mark
                self.line += mark == "\n"
                self.at += 1
            if self.ended:
                return ""
            self.more()

    def expect(self, mark: str) -> None:
        """Pass over a character that has to come now."""
        if self.next() != mark:
            raise self.fault("not an accuracy log")
        self.at += 1

    def value(self) -> Any:
        """The JSON value that begins here."""
        while True:
            try:
                value, end = self._scan(self.window, self.at)
            except RecursionError:
                raise self.fault("nested too deep") from None
            except ValueError as error:
                self.incomplete(error)
                continue
            self.line += self.window.count("\n", self.at, end)
            self.at = end
            return value

    def plain(self) -> Iterator[Response]:
        """Entries in LoadGen's own form that are followed by another one: quicker than as JSON."""
        while found := _PLAIN.match(self.window, self.at):
            number, index, digits, count = found.groups()
            try:
                data = binascii.a2b_hex(digits)
            except ValueError:
                return  # what is no row of digits is left to the reader of JSON
            self.at = found.end()
            self.line += 1
            yield Response(int(number), int(index), data, None, None if count is None else int(count))

    def incomplete(self, error: ValueError) -> None:
        """Read more of a value that stops at the end of the window; raises Damaged for any other fault."""
        size = len(self.window) - self.at
        string = str(error).startswith("Unterminated string")
        cut_off = string or getattr(error, "pos", 0) >= len(self.window) - _MARGIN
        if self.ended or not cut_off:
            raise self.fault(f"not an accuracy log ({getattr(error, 'msg', str(error))[:200]})")
        if size > ENTRY or (size > LOOSE and not string):
            raise self.fault("an entry too long for an accuracy log")
        self.more(size)

    def more(self, wanted: int = 0) -> None:
        """Read on, dropping what has been used."""
        try:
            data = self.file.read(max(CHUNK, wanted))
            self.window = self.window[self.at :] + self._decoder.decode(data, final=not data)
        except UnicodeDecodeError:
            raise self.fault("not UTF-8") from None
        except OSError as error:
            raise self.fault(error.strerror or str(error)) from None
        self.at = 0
        self.ended = not data

    def fault(self, what: str) -> Damaged:
        """What is wrong here."""
        return Damaged(f"{what}, line {self.line}")

"""Server-sent events, as the HTML standard defines them, cut out of a stream of bytes."""

from __future__ import annotations

FIELDS = (b"data", b"event", b"id", b"retry", b"")  # an empty name is a comment: a keep-alive
MAX_EVENT = 1 << 26


class Events:
    """Cuts pieces of a stream, however they fall, into the data of whole events; raises ValueError for what is none."""

    def __init__(self) -> None:
        """Nothing has come."""
        self._rest = b""

    def feed(self, piece: bytes) -> list[bytes]:
        """The data of every event that `piece` completes, events without data left out."""
        stream = self._rest + piece if self._rest else piece
        if b"\r" in stream:
            stream = _plain_ends(stream)
        *whole, self._rest = stream.split(b"\n\n")
        if len(self._rest) > MAX_EVENT:
            raise ValueError("an event that does not end")
        found = [
            each[6:] if each.startswith(b"data: ") and b"\n" not in each else event_data(each) for each in whole if each
        ]
        return [each for each in found if each]

    def end(self) -> list[bytes]:
        """The last event, where the stream ended without an empty line."""
        return self.feed(b"\n\n") if self._rest.strip() else []


def event_data(event: bytes) -> bytes:
    """The data of one event: its data lines, joined; raises ValueError for a line that is no field."""
    lines = []
    for line in event.split(b"\n"):
        name, _, value = line.partition(b":")
        if name not in FIELDS:
            raise ValueError(f"a line that is no server-sent event: {line[:40]!r}")
        if name == b"data":
            lines.append(value.removeprefix(b" "))
    return b"\n".join(lines)


def _plain_ends(stream: bytes) -> bytes:
    """Lines end in a newline alone; a last carriage return waits for what follows it."""
    waits = stream.endswith(b"\r")
    body = stream[:-1] if waits else stream
    return body.replace(b"\r\n", b"\n").replace(b"\r", b"\n") + (b"\r" if waits else b"")

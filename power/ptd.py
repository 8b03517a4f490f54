"""A client of PTDaemon, SPEC's program beside a power analyzer: one line of text a command, over TCP.

Written from what MLCommons' power server sends and from the replies in published results; no daemon was ever at hand.
"""

from __future__ import annotations

import math
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType

from loadgen_harness.errors import BadInput
from power.log import Sample, sample_of
from power.meter import MeterFailed

PORT = 8888
HELLO = "Hello, PTDaemon here!"
TIMEOUT_S = 5.0
MOST_BYTES = 1_000_000  # in one line: more is no PTDaemon
ALL_CHANNELS, ONE_CHANNEL, DIRECT_CURRENT = "RL,*,*", "RL", "DC-RL"


@dataclass(frozen=True)
class Identity:
    """What a daemon says of itself: the analyzer's model, its own version, and the whole reply."""

    model: str
    version: str
    text: str


@dataclass(frozen=True)
class Ranges:
    """Amperes and volts of the ranges; None where the device chooses."""

    amps: float | None
    volts: float | None


@dataclass(frozen=True)
class Average:
    """Mean, least and most since Go, over so many samples; `valid` of them count."""

    mean: float
    low: float
    high: float
    samples: int
    valid: int


class Wire:
    """The connection itself: a line out, a line back; every method raises MeterFailed for what is no answer."""

    def __init__(self, host: str, port: int, timeout_s: float) -> None:
        """Connect."""
        self.where = f"{host}:{port}"
        self._timeout_s = timeout_s
        try:
            self._socket = socket.create_connection((host, port), timeout_s)
        except OSError as error:
            raise MeterFailed(f"no PTDaemon answers at {self.where} ({error}): start it there.") from None
        self._rest = b""

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def ask(self, command: str) -> str:
        """The first line of the reply to a command."""
        try:
            self._socket.sendall(f"{command}\r\n".encode())
        except OSError as error:
            raise MeterFailed(f"PTDaemon at {self.where} left before {command!r}: look at its log.") from error
        return self.line(command)

    def line(self, command: str) -> str:
        """The next line of a reply; bytes after it wait for the one after."""
        while b"\n" not in self._rest:
            try:
                received = self._socket.recv(65536)
            except TimeoutError:
                late = f"gave no answer to {command!r} within {self._timeout_s:g} s"
                raise MeterFailed(f"PTDaemon at {self.where} {late}: it may serve another client.") from None
            except OSError as error:
                raise MeterFailed(f"PTDaemon at {self.where} was lost at {command!r} ({error}).") from error
            if not received or len(self._rest) > MOST_BYTES:
                raise MeterFailed(f"PTDaemon at {self.where} hung up at {command!r}: look at its log.")
            self._rest += received
        line, _, self._rest = self._rest.partition(b"\n")
        return line.rstrip(b"\r").decode("utf-8", errors="replace")

    def expect(self, command: str, beginning: str) -> None:
        """Send a command whose reply begins so."""
        said = self.ask(command)
        if not said.startswith(beginning):
            raise self.odd(command, said)

    def fields(self, command: str, name: str, count: int) -> Sequence[float]:
        """The numbers of a reply `name,number,number,…`, so many at least."""
        said = self.ask(command)
        first, *rest = said.split(",")
        try:
            values = [float(text) for text in rest]
        except ValueError as error:
            raise self.odd(command, said) from error
        if first != name or len(values) < count or not all(map(math.isfinite, values)):
            raise self.odd(command, said)
        return values

    def odd(self, command: str, said: str) -> MeterFailed:
        """What to raise for a reply that makes no sense."""
        return MeterFailed(f"PTDaemon at {self.where} answers {said[:80]!r} to {command!r}: look at its log.")


class Client:
    """One daemon; every method raises MeterFailed where it does not answer as it should."""

    def __init__(self, host: str, port: int = PORT, *, timeout_s: float = TIMEOUT_S) -> None:
        """Connect and greet; raises MeterFailed for anything but a PTDaemon."""
        self._wire = Wire(host, port, timeout_s)
        self.where = self._wire.where
        try:
            if (said := self._wire.ask("Hello")) != HELLO:
                raise MeterFailed(f"{self.where} says {said[:40]!r} instead of PTDaemon's greeting: name another port.")
        except MeterFailed:
            self.close()
            raise

    def __enter__(self) -> Client:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Hang up."""
        self._wire.close()

    def identify(self) -> Identity:
        """Model and version."""
        text = self._wire.ask("Identify")
        version = text.partition("version=")[2].partition("-")[0].partition(",")[0]
        return Identity(text.partition(",")[0], version, text)

    def ranges(self) -> Ranges:
        """The ranges now."""
        words = self._wire.fields("RR", "Ranges", 4)
        amps, volts = ((None if auto else value) for auto, value in (words[:2], words[2:4]))
        return Ranges(amps, volts)

    def set_range(self, which: str, value: float | None) -> None:
        """Set range `A` or `V`, None for automatic; raises BadInput for a range that the device has not."""
        if which not in ("A", "V"):
            raise BadInput(f"a range is A or V, not {which!r}.")
        said = self._wire.ask(f"SR,{which},{'Auto' if value is None else value}")
        if said != f"Range {which} changed":
            raise BadInput(f"the analyzer at {self.where} has no range {which} of {value}: it says {said!r}.")

    def go(self, mark: str, interval_ms: int = 1000) -> None:
        """Begin to measure until `stop`."""
        self._wire.expect(f"Go,{interval_ms},0,{mark}", "Starting untimed measurement")

    def stop(self) -> None:
        """End the measurement."""
        self._wire.expect("Stop", "Stopping untimed measurement")

    def watts(self) -> Average:
        """Power since Go; without a sample its mean is that of nothing, and `valid` is 0."""
        mean, low, high, samples, _, valid = self._wire.fields("Watts", "Watts", 6)[:6]
        return Average(mean, low, high, int(samples), int(valid))

    def uncertainty(self) -> Average:
        """Relative uncertainty since Go; `valid` counts the samples whose uncertainty is known."""
        mean, low, high, samples, _, valid = self._wire.fields("Uncertainty", "Uncertainty", 6)[:6]
        return Average(mean, low, high, int(samples), int(valid))

    def readings(self) -> tuple[Sample, ...]:
        """The samples that nobody has read yet, the total of all channels; asks as the kind of device wants it."""
        said = self._wire.ask(command := ALL_CHANNELS)
        if said.startswith("Invalid number"):
            said = self._wire.ask(command := ONE_CHANNEL)
        elif said.startswith("Unknown"):
            said = self._wire.ask(command := DIRECT_CURRENT)
        words = said.split()
        if len(words) != 3 or words[0] != "Last" or not words[1].isdigit():
            raise self._wire.odd(command, said)
        lines = [self._wire.line(command) for _ in range(int(words[1]))]
        try:
            return tuple(map(sample_of, lines))
        except (ValueError, IndexError) as error:
            raise MeterFailed(f"PTDaemon at {self.where} sent a sample that cannot be read: {error}.") from error


def address(text: str) -> tuple[str, int]:
    """HOST or HOST:PORT, [v6]:PORT too; raises BadInput."""
    host, colon, port = text.rpartition(":") if not text.endswith("]") else (text, "", "")
    if not colon:
        host, port = text, str(PORT)
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise BadInput(f"{text!r} is no address of a PTDaemon: write HOST:PORT, such as 192.168.1.2:8888.")
    return host.strip("[]"), int(port)

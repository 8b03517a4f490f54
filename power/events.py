"""`power/events.csv`: what held a device back while it was measured, from when to when."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

FILE = "events.csv"
HEADER = "monotonic_ns,utc_s,meter,condition,change"
BEGIN, END = "begin", "end"


@dataclass(frozen=True)
class Held:
    """A condition that held from `begin_s` to `end_s` (UTC seconds); `end_s` is None where no end was logged."""

    meter: str
    condition: str
    begin_s: float
    end_s: float | None

    def seconds(self, begin: float, end: float) -> float:
        """How long it held between two times; without a logged end it holds on."""
        last = end if self.end_s is None else min(end, self.end_s)
        return max(0.0, last - max(begin, self.begin_s))


class EventLog:
    """Writes a line when a condition begins or ends; the file is made with the first line."""

    def __init__(self, folder: Path) -> None:
        """Nothing holds yet."""
        self._path = folder / FILE
        self._now: dict[str, frozenset[str]] = {}

    def note(self, meter: str, conditions: Iterable[str], monotonic_ns: int, utc_s: float) -> None:
        """What holds now according to one meter; safe to call from the thread of each meter."""
        now = frozenset(" ".join(each.replace(",", ";").split()) for each in conditions)
        before = self._now.get(meter, frozenset())
        self._now[meter] = now
        lines = [(each, BEGIN) for each in sorted(now - before)] + [(each, END) for each in sorted(before - now)]
        if not lines:
            return
        text = "".join(f"{monotonic_ns},{utc_s:.6f},{meter},{each},{change}\n" for each, change in lines)
        try:
            with self._path.open("x", encoding="utf-8") as file:
                file.write(f"{HEADER}\n{text}")
        except FileExistsError:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(text)


def read(folder: Path) -> tuple[tuple[Held, ...], tuple[str, ...]]:
    """What held, and one sentence for each line that could not be read; nothing without the file."""
    try:
        text = (folder / FILE).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return (), ()
    except OSError as error:
        return (), (f"{FILE} cannot be read: {error.strerror or error}",)
    open_: dict[tuple[str, str], float] = {}
    found: list[Held] = []
    damage: list[str] = []
    for number, line in enumerate(text[: text.rfind("\n") + 1].splitlines(), start=1):
        if not line.strip() or line == HEADER:
            continue
        try:
            _, utc, meter, condition, change = line.split(",")
            key, utc_s = (meter, condition), float(utc)
            if change not in (BEGIN, END):
                raise ValueError(change)
        except ValueError:
            damage.append(f"{FILE}, line {number} is no event: {line[:60]!r}")
            continue
        if change == BEGIN:
            open_.setdefault(key, utc_s)
        elif key in open_:
            found.append(Held(*key, open_.pop(key), utc_s))
    found += [Held(*key, begin_s, None) for key, begin_s in open_.items()]
    return tuple(found), tuple(damage)

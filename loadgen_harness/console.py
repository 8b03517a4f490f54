"""The only module that prints: sentences, tables and live progress on a terminal, plain lines elsewhere."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from loadgen_harness.errors import Ended
from loadgen_harness.launch import Status
from loadgen_harness.progress import Phase
from loadgen_harness.visible import visible


class _Console(Console):
    """Ends the verb where nobody reads any more (`| head`)."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        raise Ended(signal.SIGPIPE)


OUT = _Console(highlight=False, soft_wrap=False, width=None)
ERR = _Console(stderr=True, highlight=False, soft_wrap=True)
PLAIN_S = 10.0  # between progress lines where no terminal is

GOOD, BAD = "green", "bold red"
STYLES = {"error": BAD, "warning": "yellow", "note": "cyan", "good": GOOD, "bad": BAD, "strong": "bold", "dim": "dim"}
MARKS = {"VALID": GOOD, "pass": GOOD, "yes": GOOD, "INVALID": BAD, "FAIL": BAD, "failed": BAD}  # of table cells


def say(text: str = "", style: str = "") -> None:
    """One line for people."""
    OUT.print(escape(visible(text, lines=True)), style=style or None, soft_wrap=True)


def raw(text: str) -> None:
    """Text for programs or for pasting, exactly as it is."""
    try:
        sys.stdout.write(text if text.endswith("\n") else f"{text}\n")
        sys.stdout.flush()
    except BrokenPipeError:
        raise Ended(signal.SIGPIPE) from None


def data(value: Any) -> None:
    """JSON for programs."""
    raw(json.dumps(value, indent=1, default=str))


def fail(sentence: str) -> None:
    """What is wrong and what to do, on standard error."""
    ERR.print(Text.assemble(("error: ", BAD), visible(sentence)))


def note(sentence: str) -> None:
    """A remark beside the result, on standard error."""
    ERR.print(Text.assemble(("note: ", "cyan"), visible(sentence)))


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table; columns whose name ends in `>` are set flush right and never wrapped."""
    grid = Table(
        title=title or None,
        box=SIMPLE_HEAD,
        title_justify="left",
        title_style="bold",
        pad_edge=False,
        padding=(0, 1),
        collapse_padding=True,
    )
    for column in columns:
        right = column.endswith(">")
        grid.add_column(column.rstrip(">"), justify="right" if right else "left", no_wrap=right, overflow="fold")
    for row in rows:
        grid.add_row(*(_cell(cell) for cell in row))
    OUT.print(grid)


def _cell(text: str) -> Text:
    return Text(text, style=MARKS.get(text, ""))


def lines(content: Iterable[Sequence[tuple[str, str]]]) -> None:
    """Lines of (text, style), a style being a key of STYLES; colours on a terminal, else the text alone."""
    for line in content:
        OUT.print(Text.assemble(*((text, STYLES.get(style, "")) for text, style in line)), soft_wrap=True)


def confirmed(question: str) -> bool:
    """Whether a person at the terminal says yes; without a terminal nobody does."""
    return sys.stdin.isatty() and OUT.input(Text(f"{visible(question)} [y/N] ")).strip().lower() in ("y", "yes")


def answered(question: str) -> str:
    """What a person at the terminal types; empty without a terminal, where nobody is asked."""
    return OUT.input(Text(f"{visible(question)} ")).strip() if sys.stdin.isatty() else ""


def clock(seconds: float) -> str:
    """Seconds as 1:05 or 1:02:03."""
    whole = max(int(seconds + 0.5), 0)
    hours, rest = divmod(whole, 3600)
    minutes, second = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{second:02}" if hours else f"{minutes}:{second:02}"


def status_text(status: Status | None) -> str:
    """What a run is doing, in a few words."""
    if status is None:
        return "starting"
    words = {Phase.STARTING: "starting", Phase.LOADING: "loading", Phase.WRITING: "writing logs"}
    if status.phase in words:
        return words[status.phase]
    of = f" of {status.expected}" if status.expected >= status.completed and status.expected else ""
    return f"{status.completed}{of} samples"


@contextmanager
def live(total: int) -> Iterator[Callable[[str, Status | None, int, float], None]]:
    """A progress display: call it with a run's key, its status, how many are done and the seconds left."""
    if not OUT.is_terminal:
        yield _plain_reporter(total)
        return
    bar = Progress(
        TextColumn("{task.completed:.0f}/{task.total:.0f}"),
        BarColumn(bar_width=14),
        TextColumn("{task.fields[job]}", style="bold"),
        TextColumn("{task.fields[state]}"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[left]}", style="cyan"),
        console=OUT,
    )
    task = bar.add_task("", total=total, job="", state="", left="")
    with Live(bar, console=OUT, refresh_per_second=8, transient=True):

        def report(key: str, status: Status | None, done: int, left_s: float) -> None:
            bar.update(task, completed=done, job=key, state=status_text(status), left=f"{clock(left_s)} left")

        yield report


def _plain_reporter(total: int) -> Callable[[str, Status | None, int, float], None]:
    last_key, last_time = "", 0.0

    def report(key: str, status: Status | None, done: int, left_s: float) -> None:
        nonlocal last_key, last_time
        now = time.monotonic()
        if key != last_key or now - last_time >= PLAIN_S:
            last_key, last_time = key, now
            raw(f"[{done + 1}/{total}] {key}: {status_text(status)}, about {clock(left_s)} left")

    return report


def download_progress() -> Callable[[str, int, int], None]:
    """A reporter for fetched assets: name, bytes so far, bytes in all; one line for each quarter."""
    shown: dict[str, int] = {}

    def report(name: str, done: int, total: int) -> None:
        quarter = 4 * done // total if total else 0
        if shown.get(name) != quarter:
            shown[name] = quarter
            say(f"  fetching {name}: {done / 1e6:.1f} of {total / 1e6:.1f} MB", "dim")

    return report


def mapping(title: str, values: Mapping[str, Any]) -> None:
    """Keys and values as a two-column table."""
    table(title, ("key", "value"), [(key, str(value)) for key, value in values.items()])

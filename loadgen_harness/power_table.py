"""The table [power] of a plan: who measures the first performance run of each result in an official power session."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from loadgen_harness.errors import BadInput, UnknownName

TEXTS = ("analyzer_table", "power_settings")  # that the rules want beside the result
PLACES = ("director", "local", "simulate")  # where the official server runs
DOCS = "docs/campaign.md"


@dataclass(frozen=True)
class PowerTable:
    """Keys as the options of `lgh power-session`, and the two texts that a submission wants beside each result.

    Paths are relative to the working directory, as all of a plan.
    """

    power_dev: str = ""
    ntp: str = ""
    director: str = ""
    local: bool = False
    simulate: bool = False
    ptd: str = ""
    device_type: int = 49
    device_port: str = ""
    interface: str = ""
    channel: str = ""
    gpib_board: str = ""
    network_port: int = 8888
    label: str = ""
    analyzer_table: str = ""
    power_settings: str = ""

    @property
    def texts(self) -> tuple[Path, ...]:
        """The files that are named to go beside the result."""
        return tuple(Path(given) for key in TEXTS if (given := getattr(self, key)))


def read(given: Any) -> PowerTable | None:
    """The table, None without one; raises BadInput or UnknownName for what no table can hold.

    What it still lacks is not looked at here: a plan that is not filled in yet can be read and shown.
    """
    if given is None:
        return None
    if not isinstance(given, dict):
        raise BadInput(f"plan key power cannot be {given!r}: it takes a table [power] ({DOCS}).")
    known = {each.name: type(each.default) for each in fields(PowerTable)}
    for key, value in given.items():
        if key not in known:
            raise UnknownName("key of [power]", key, known)
        if type(value) is not known[key]:
            words = {str: "a text", bool: "true or false", int: "a whole number"}[known[key]]
            raise BadInput(f"{key} of [power] cannot be {value!r}: it takes {words} ({DOCS}).")
    table = PowerTable(**given)
    if len(named := [key for key in PLACES if getattr(table, key)]) > 1:
        raise BadInput(f"[power] names {' and '.join(named)}: the official server runs in one place, keep one of them.")
    for key, path in zip(TEXTS, (table.analyzer_table, table.power_settings), strict=True):
        if path and Path(path).stem != key:
            raise BadInput(f"{path!r} must be called {key} with any ending, as the rules want it.")
    return table


def lacking(table: PowerTable) -> Iterator[tuple[str, str]]:
    """Each key that a session needs and the table does not have, with what to put there."""
    if not table.power_dev:
        yield "power_dev", 'name an unmodified checkout of mlcommons/power-dev: power_dev = "power-dev"'
    if not table.ntp:
        yield "ntp", 'name the NTP server that sets the clocks of both machines: ntp = "ntp.example.com"'
    if not any(getattr(table, key) for key in PLACES):
        yield "director", 'name the machine of the official server: director = "10.0.0.2" (or simulate = true)'
    if table.local and not table.ptd:
        yield "ptd", 'local = true wants the PTDaemon program: ptd = "/opt/ptd/ptd-linux-x86"'
    for key, path in ((key, getattr(table, key)) for key in TEXTS):
        if path and not Path(path).is_file():
            yield key, f"{path} is not there: write it, or take the key out until `lgh submit` wants it"


def template() -> list[str]:
    """The table as `lgh plan --power --write` leaves it: what nobody can know is a comment that says what to put."""
    return [
        "",
        "[power]  # the first performance run of each result is an official power session (docs/power-session.md)",
        '# power_dev = ""  # folder of an unmodified checkout of mlcommons/power-dev; needed',
        '# ntp = ""  # NTP server that sets the clocks of this machine and of the director; needed',
        '# director = ""  # address[:port] of the machine with the analyzer, where the official server runs; needed',
        "# local = true  # in place of director: the server runs here, with ptd (not for a submission)",
        "# simulate = true  # in place of director: a try-out, nothing is measured",
        '# ptd = ""  # the PTDaemon program, for local',
        "# device_type = 49  # PTDaemon's number of the analyzer, for local; 49 is a WT310",
        '# device_port = ""  # such as "/dev/usbtmc0", for local; also interface, channel, gpib_board, network_port',
        '# label = ""  # word in the sessions\' names',
        '# analyzer_table = "analyzer_table.md"  # both are laid beside each result; `lgh submit` needs them',
        '# power_settings = "power_settings.md"',
    ]

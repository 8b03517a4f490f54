"""AMD Instinct and Radeon boards through AMD SMI: their energy accumulators where they have them, else their power."""

from __future__ import annotations

import contextlib
import io
import os
import time
from typing import Any

from loadgen_harness.errors import BadInput, MissingDependency, SuiteError
from power.meter import MeterFailed, Scope
from power.meters._counter import Clock, Counter, Scale
from power.meters._trial import refusal

VARIABLE = "LGH_AMDSMI_COUNTER"
READINGS = ("current_socket_power", "average_socket_power", "socket_power")  # MI300 and later; before it; both at once
MOST_W = 5000.0  # what is not told is N/A in some versions, the largest number in others
WATCH_S = 1.0  # to ask one board why it is held takes the library about 0.1 s

HELD = {  # what violation_status names, in AMD's words
    "active_prochot_thrm": "PROCHOT thermal violation",
    "active_ppt_pwr": "PPT power violation (PVIOL)",
    "active_socket_thrm": "socket thermal violation (TVIOL)",
    "active_vr_thrm": "VR thermal violation",
    "active_hbm_thrm": "HBM thermal violation",
    "active_gfx_clk_below_host_limit": "GFX clock below host limit",
}


class Board:
    """One board, or the first partition of one: all of them tell the whole board's figures."""

    def __init__(self, smi: Any, handle: Any, place: str) -> None:
        """Find out what it answers; raises BadInput for one that does not tell its power."""
        self._smi, self._handle, self.place = smi, handle, place
        told = self.ask("amdsmi_get_power_info")
        found = [key for key in READINGS if _is_power(told.get(key))]
        if not found:
            raise BadInput(f"GPU {place} does not tell its power: use another meter.")
        self.reading = next((key for key in found if told[key] > 0), found[0])
        self.unit_j = self._unit_j()
        self.held: tuple[str, ...] = ()

    def ask(self, call: str) -> Any:
        """One call of AMD SMI about this board; raises MeterFailed."""
        return asked(self._smi, call, self._handle)

    def watts(self) -> float:
        """The power now; raises MeterFailed for what is no number or none that a board can have."""
        value = self.ask("amdsmi_get_power_info").get(self.reading)
        if not _is_power(value):
            raise MeterFailed(f"meter amdsmi: GPU {self.place} tells {value} W: look at it with amd-smi.")
        return float(value)

    def count(self) -> int:
        """The energy accumulator."""
        return _accumulated(self.ask("amdsmi_get_energy_count"))

    def look(self) -> None:
        """Learn what holds it back now."""
        try:
            told = self._smi.amdsmi_get_violation_status(self._handle)
            self.held = tuple(words for key, words in HELD.items() if told.get(key) is True)
        except (self._smi.AmdSmiException, AttributeError):  # boards before MI300, versions before 6.3
            status = self.ask("amdsmi_get_gpu_metrics_info").get("throttle_status")
            self.held = ("throttle status",) if status is True else ()

    def _unit_j(self) -> float:
        """Joules of one step, 0 without a counter."""
        try:
            told = self._smi.amdsmi_get_energy_count(self._handle)
            _accumulated(told)
            return float(told["counter_resolution"]) * 1e-6
        except (self._smi.AmdSmiException, MeterFailed):
            return 0.0


class AmdsmiMeter:
    """Sums all AMD boards of the machine; a partitioned one counts once, and an MI250's second die tells 0 W.

    ± 5 % is assumed: AMD states none. Some boards' accumulators are wrong (zeus checks them too): where count and
    readings disagree no figure is given, and LGH_AMDSMI_COUNTER=off integrates the readings instead.
    """

    scope: Scope = "board"
    parts: tuple[str, ...] = ("gpu",)  # of this machine: gpu/<PCI address> each
    uncertainty = 0.05
    resolution = 15.3e-6
    estimated = False
    interval_s = 0.1
    averaging_s = 1.0
    counting = True

    def __init__(self, smi: Any = None, *, clock: Clock = time.monotonic) -> None:
        """Open AMD SMI (or `smi`, an object with the same calls); raises MissingDependency or BadInput."""
        self._smi, self._clock = smi if smi is not None else _library(), clock
        try:
            self._smi.amdsmi_init()
        except self._smi.AmdSmiException as error:
            raise BadInput(
                f"meter amdsmi needs an AMD GPU and its driver ({_said(error)}): use another meter."
            ) from error
        try:
            self._boards = _boards(self._smi)
            self.counting = os.environ.get(VARIABLE) != "off" and all(board.unit_j for board in self._boards)
            counting = self._boards if self.counting else []
            self._counters = [Counter(f"of GPU {b.place}", b.count, Scale(b.unit_j), clock=clock) for b in counting]
        except SuiteError:
            self.close()
            raise
        self.parts = tuple(f"gpu/{board.place}" for board in self._boards)
        self.resolution = sum(board.unit_j for board in counting) or 1.0 * len(self._boards)
        self.averaging_s = 1.0 if any(board.reading == READINGS[1] for board in self._boards) else 0.1
        self._asked, self._looks = clock() - WATCH_S, 0

    @classmethod
    def available(cls, smi: Any = None) -> str:
        """Empty where every board tells its power, else what is missing."""
        return refusal(lambda: cls(smi))

    def watts(self) -> float:
        """Power of all boards together."""
        return sum(board.watts() for board in self._boards)

    def joules(self) -> float:
        """Energy of all boards since the meter was opened; only where `counting`."""
        return sum(counter.joules() for counter in self._counters)

    def conditions(self) -> tuple[str, ...]:
        """What holds boards back, in AMD's words; one board is asked a second, in turn, the others as last seen."""
        now = self._clock()
        if now - self._asked >= WATCH_S:
            self._boards[self._looks % len(self._boards)].look()
            self._asked, self._looks = now, self._looks + 1
        return tuple(f"gpu/{board.place}: {words}" for board in self._boards for words in board.held)

    def describe(self) -> dict[str, str]:
        """Boards, driver, whether energy was counted or integrated, and which reading the watts are."""
        names = [str(board.ask("amdsmi_get_gpu_asic_info")["market_name"]) for board in self._boards]
        return {
            "source": "AMD SMI energy accumulator" if self.counting else "AMD SMI power readings",
            "gpus": ", ".join(names),
            "readings": ", ".join(sorted({board.reading for board in self._boards})),
            "driver": str(self._boards[0].ask("amdsmi_get_gpu_driver_info")["driver_version"]),
        }

    def close(self) -> None:
        """Shut AMD SMI down."""
        asked(self._smi, "amdsmi_shut_down")


def asked(smi: Any, call: str, *arguments: Any) -> Any:
    """One call of AMD SMI; raises MeterFailed."""
    try:
        return getattr(smi, call)(*arguments)
    except smi.AmdSmiException as error:
        raise MeterFailed(f"meter amdsmi: {call} failed ({_said(error)}): look at the driver with amd-smi.") from error


def _boards(smi: Any) -> list[Board]:
    """Partitions differ in the function of their PCI address alone."""
    first: dict[str, Any] = {}
    for handle in asked(smi, "amdsmi_get_processor_handles"):
        first.setdefault(str(asked(smi, "amdsmi_get_gpu_device_bdf", handle)).partition(".")[0], handle)
    if not first:
        raise BadInput("meter amdsmi found no AMD GPU: use another meter.")
    return [Board(smi, handle, f"{place}.0") for place, handle in first.items()]


def _accumulated(told: dict[str, Any]) -> int:
    """Before version 6.2.1 the accumulator was called power."""
    value = told.get("energy_accumulator", told.get("power"))
    if not isinstance(value, int) or value < 0:
        raise MeterFailed(f"meter amdsmi: an energy accumulator tells {value}: use another meter.")
    return value


def _is_power(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= MOST_W


def _said(error: Exception) -> str:
    """AMD's messages span lines."""
    return " ".join(str(error).split())


def _library() -> Any:
    """The package complains on standard output, then fails in several ways where ROCm or its version is missing."""
    with contextlib.redirect_stdout(io.StringIO()):
        try:
            import amdsmi
        except ModuleNotFoundError as error:
            raise MissingDependency("meter amdsmi", "amdsmi") from error
        except (OSError, KeyError, AttributeError) as error:
            raise BadInput(
                f"meter amdsmi needs ROCm's libamd_smi.so of the same version as the package ({error!r}): "
                "install ROCm, then the amdsmi that comes with it."
            ) from error
    return amdsmi


METER = AmdsmiMeter

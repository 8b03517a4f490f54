"""A server's own power sensor through IPMI: DCMI's power reading, asked with the program `ipmitool`."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass

from loadgen_harness.errors import BadInput
from power.meter import MeterFailed, Scope
from power.meters._trial import refusal

HOST, USER, PASSWORD = "LGH_IPMI_HOST", "LGH_IPMI_USER", "LGH_IPMI_PASSWORD"
PROGRAM = "ipmitool"
ASK = ("dcmi", "power", "reading")
TIMEOUT_S = 10.0
LONGEST_MEAN_S = 60.0  # a longer reporting period is that of the statistics alone, often since the controller's start
MOST_W = 1e5
REMEDIES = {  # what ipmitool says, in lower case, and what to do about it
    "permission denied": "run as root, or let your group read and write /dev/ipmi0 for this boot",
    "no such file or directory": "load the driver with `sudo modprobe ipmi_si ipmi_devintf`, or name a controller in "
    f"{HOST}",
    "unable to establish": f"look at {HOST}, {USER} and {PASSWORD}, and at whether the controller allows IPMI over LAN",
    "insufficient privilege": "give the controller's user a role that may read power, such as operator",
    "dcmi request failed": "the controller knows no DCMI power reading: use another meter, such as redfish",
    "valid dcmi command": "the controller knows no DCMI power reading: use another meter, such as redfish",
}


@dataclass(frozen=True)
class Reading:
    """What ipmitool printed: watts now, and the seconds over which the controller keeps its statistics, 0 unknown."""

    watts: float
    period_s: float


class IpmiMeter:
    """The node's power as its management controller sees it, in whole watts, about once a second.

    DCMI demands no accuracy; ± 10 % is assumed. The reading is taken for a mean over the controller's statistics
    reporting time period where that is at most a minute, else over one second.
    """

    scope: Scope = "node"
    parts: tuple[str, ...] = ("node",)
    uncertainty = 0.1
    resolution = 1.0
    estimated = False
    interval_s = 1.0
    counting = False

    def __init__(self) -> None:
        """Ask once; raises BadInput saying what is missing."""
        self._command, self._environment = _command()
        try:
            first = self._ask()
        except MeterFailed as error:
            raise BadInput(str(error)) from error
        self._period_s = first.period_s
        self.averaging_s = first.period_s if 0 < first.period_s <= LONGEST_MEAN_S else 1.0

    @classmethod
    def available(cls) -> str:
        """Empty where the controller tells its power, else what is missing."""
        return refusal(cls)

    def watts(self) -> float:
        """The node's power now."""
        return self._ask().watts

    def describe(self) -> dict[str, str]:
        """Which controller was asked, and what it says of its own averaging."""
        period = f"{self._period_s:g} s" if self._period_s else "not told"
        return {
            "source": "DCMI power reading through ipmitool",
            "controller": os.environ.get(HOST) or "this machine's own",
            "statistics reporting time period": period,
            "accuracy": "not told by DCMI; ± 10 % is assumed",
        }

    def close(self) -> None:
        """Nothing stays open."""

    def _ask(self) -> Reading:
        try:
            done = subprocess.run(
                self._command,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise MeterFailed(
                f"meter ipmi: ipmitool gave no answer within {TIMEOUT_S:g} s: use another meter."
            ) from error
        except OSError as error:
            raise MeterFailed(f"meter ipmi: ipmitool cannot be run ({error.strerror}): install it anew.") from error
        said = (done.stdout + b"\n" + done.stderr).decode("utf-8", errors="replace")
        return reading(said, failed=done.returncode != 0)


def reading(said: str, *, failed: bool = False) -> Reading:
    """The Reading in ipmitool's words, whatever the order and case of its lines; raises MeterFailed for any other."""
    fields = {
        key.strip().lower(): value.strip() for key, _, value in (line.partition(":") for line in said.splitlines())
    }
    watts = re.match(r"(\d{1,6})\s*watts?\b", fields.get("instantaneous power reading", ""), re.IGNORECASE)
    if failed or not watts:
        raise MeterFailed(f"meter ipmi: {_complaint(said)}")
    state = fields.get("power reading state is", "").lower()
    if not state.startswith("activated"):
        what = f"the controller's power measurement is {state or 'in no state that it tells'}"
        raise MeterFailed(
            f"meter ipmi: {what}: switch it on with `ipmitool dcmi power activate`, or use another meter."
        )
    if not 0 < float(watts[1]) < MOST_W:
        raise MeterFailed(f"meter ipmi: the controller tells {watts[1]} W, which no server draws: use another meter.")
    period = re.match(r"(\d{1,12})\s*seconds", fields.get("sampling period", ""), re.IGNORECASE)
    return Reading(float(watts[1]), float(period[1]) if period else 0.0)


def _complaint(said: str) -> str:
    """What ipmitool complained about, with what to do."""
    words = " ".join(said.split())
    known = next((remedy for text, remedy in REMEDIES.items() if text in words.lower()), "")
    remedy = known or f"try `{PROGRAM} {' '.join(ASK)}` yourself, or use another meter"
    return f"{words[:200].rstrip('.') or 'ipmitool said nothing'}: {remedy}."


def _command() -> tuple[list[str], dict[str, str]]:
    """The command line and its environment, in which alone the password stands."""
    program = shutil.which(PROGRAM)
    if program is None:
        raise BadInput("meter ipmi needs the program ipmitool: install it with your system's package tool.")
    host, user, password = (os.environ.get(name, "") for name in (HOST, USER, PASSWORD))
    clean = {key: value for key, value in os.environ.items() if key not in (PASSWORD, "IPMI_PASSWORD")}
    if not host:
        return [program, *ASK], clean
    if not (user and password) or host.startswith("-") or user.startswith("-"):
        raise BadInput(f"meter ipmi asks {host} with the user in {USER} and the password in {PASSWORD}: set both.")
    secret = {"IPMI_PASSWORD": password, "IPMITOOL_PASSWORD": password}
    # operator is what most controllers demand for power readings; ipmitool would ask for administrator
    line = [program, "-I", "lanplus", "-L", "OPERATOR", "-H", host, "-U", user, "-E", *ASK]
    return line, {**clean, **secret, "LC_ALL": "C"}


METER = IpmiMeter

"""What of this machine would spoil a long run: clocks, disk, heat, governors, other users of a GPU, files, code."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from audit.finding import Finding, Severity
from loadgen_harness import durable
from loadgen_harness.types import Division

UNSYNCHRONISED = 0x40  # STA_UNSYNC of adjtimex(2)
STATUS_AT = 40  # bytes into struct timex on 64-bit Linux
TIME_ERROR = 5
WARM_C = 10.0  # below a trip point
AMPLE = 2  # times the estimated logs
TRIPS = ("passive", "hot", "critical")
NO_RULE = "no rule asks for it; it moves the figures"
AUDIT_CONFIG = "compliance tests; LoadGen overrides its settings from audit.config wherever it finds one"
GPU_STATE = (
    "compute_mode,clocks_throttle_reasons.hw_thermal_slowdown,clocks_throttle_reasons.sw_thermal_slowdown,"
    "clocks_throttle_reasons.hw_power_brake_slowdown"
)
REPLICABLE = "inference_rules.adoc, Benchmark implementations must be shared; Replicability is mandatory"
CLOCKS = "power_measurement.adoc, Definitions: NTP"
ROOT = Path("/")


def clocks(synchronised: bool | None) -> Iterator[Finding]:
    """The clock is set by NTP: power is matched to a run by wall time, and logs of several machines by nothing else."""
    if synchronised is False:
        fix = "Start an NTP client (`timedatectl set-ntp true`, chrony) and look again in a minute."
        yield _found("clock", "kernel", ("not synchronised", "synchronised by NTP"), CLOCKS, fix)
    if synchronised is None:
        yield _found(
            "clock", "kernel", ("cannot be seen", "synchronised by NTP"), CLOCKS, "Look with `timedatectl`.", note=True
        )


def synchronised() -> bool | None:
    """What the kernel says of its clock; None where it cannot be asked."""
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "adjtimex"):
        return None
    buffer = ctypes.create_string_buffer(512)  # zeroes: modes = 0 only reads
    state = libc.adjtimex(buffer)
    if state < 0:
        return None
    status = int.from_bytes(buffer.raw[STATUS_AT : STATUS_AT + 4], "little")
    return state != TIME_ERROR and not status & UNSYNCHRONISED


def disk(output: Path, wanted: int) -> Iterator[Finding]:
    """There is room for the logs of all runs to come."""
    folder = next(each for each in (output.absolute(), *output.absolute().parents) if each.exists())
    free = durable.room(folder)
    if free >= AMPLE * wanted:
        return
    what = (f"{free / 1e9:.3g} GB free in {folder}", f"about {wanted / 1e9:.3g} GB for the logs of this plan")
    fix = "Free some space, or name an --output on another disk."
    clause = "LoadGen's logs are submitted whole and unaltered (inference_rules.adoc, Load Generator)"
    severity = Severity.ERROR if free < wanted else Severity.WARNING
    yield Finding("disk", severity, str(output), "free space", *what, clause, fix)


def heat(root: Path = ROOT) -> Iterator[Finding]:
    """No sensor is near the temperature at which its machine slows down."""
    for zone in sorted(root.glob("sys/class/thermal/thermal_zone*")):
        now = _number(zone / "temp")
        kinds = {path: _read(path) for path in zone.glob("trip_point_*_type")}
        trips = [
            _number(path.with_name(path.name.replace("_type", "_temp"))) for path, k in kinds.items() if k in TRIPS
        ]
        limits = [trip for trip in trips if trip and trip > 0]
        if now and limits and now > min(limits) - WARM_C * 1000:
            what = (f"{now / 1000:.0f} °C", f"below {min(limits) / 1000 - WARM_C:.0f} °C when idle")
            yield _found("thermal", _read(zone / "type") or zone.name, what, NO_RULE, "Let it cool, look at its fans.")


def governors(root: Path = ROOT) -> Iterator[Finding]:
    """Every CPU runs under the governor `performance`, where governors can be seen."""
    found = {_read(path) for path in root.glob("sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_governor")} - {""}
    if slow := sorted(found - {"performance"}):
        fix = "Run `cpupower frequency-set -g performance`, or state the governor in the system's notes."
        yield _found("governor", "scaling_governor", (", ".join(slow), "performance"), NO_RULE, fix)


def clock_caps(root: Path = ROOT) -> Iterator[Finding]:
    """No CPU is kept below the clock that it could run at, where that can be seen."""
    capped = {
        (_number(path), _number(path.with_name("cpuinfo_max_freq")))
        for path in root.glob("sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_max_freq")
    }
    for now, most in sorted((now, most) for now, most in capped if now and most and now < most):
        what = (f"{now / 1e6:.2f} GHz at most", f"{most / 1e6:.2f} GHz")
        fix = "Run `cpupower frequency-set -u` with the full clock, or state the limit in the system's notes."
        yield _found("clock-cap", "scaling_max_freq", what, NO_RULE, fix)


def gpus(apps: Sequence[Sequence[str]], states: Sequence[Sequence[str]]) -> Iterator[Finding]:
    """Nobody else computes on the GPUs, and none is slowed or closed; both are rows of nvidia-smi."""
    for row in apps:
        fix = "End that program, or let the plan's devices leave this GPU out."
        yield _found("gpu-shared", "compute-apps", (f"process {' '.join(row)}", "no other process"), NO_RULE, fix)
    for number, (mode, *slowed) in enumerate(row for row in states if row):
        if any(cell.lower() == "active" for cell in slowed):
            what = ("slowed by heat or by its power supply", "not slowed")
            yield _found("gpu-thermal", f"GPU {number}", what, NO_RULE, "Let it cool, look at its fans and cables.")
        if mode.lower() == "prohibited":
            fix = "Run `nvidia-smi -c DEFAULT`."
            yield _found(
                "gpu-shared", f"GPU {number}", ("compute mode Prohibited", "one that allows a run"), NO_RULE, fix
            )


def leftovers(folder: Path) -> Iterator[Finding]:
    """No audit.config of an earlier compliance test lies where a harness would read it."""
    if (folder / "audit.config").exists():
        what = ("left over", "no such file")
        fix = "Remove it: this suite does not read it, any other harness started here would."
        yield _found("audit-config", str(folder / "audit.config"), what, AUDIT_CONFIG, fix)


def code(folder: Path, division: Division) -> Iterator[Finding]:
    """The suite's code is a commit, so that what ran can be submitted and run again."""
    top = _git(folder, "rev-parse", "--show-toplevel")
    if not top:
        fix = "Submit the source distribution of the installed version."
        yield _found("code", "commit", ("no git checkout", "a commit"), REPLICABLE, fix, note=True)
        return
    commit = _git(folder, "rev-parse", "HEAD") or "no commit yet"
    changed = _git(folder, "status", "--porcelain", "--untracked-files=no").splitlines()
    if changed and division is not Division.OPEN:
        what = (f"{commit[:12]} and changes in {len(changed)} files", "a commit without changes")
        fix = "Commit (or stash) them: src/ of the submission must be what ran."
        yield _found("code", "commit", what, REPLICABLE, fix)
        return
    said = f"{commit[:12]}{' with changes' if changed else ''}"
    yield _found("code", "commit", (said, "a commit"), REPLICABLE, "Keep it: it belongs to the results.", note=True)


def _git(folder: Path, *words: str) -> str:
    """What git says, empty where it is absent or the folder is no checkout."""
    if not shutil.which("git"):
        return ""
    done = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True, check=False, timeout=60)
    return done.stdout.strip() if done.returncode == 0 else ""


def _found(check: str, key: str, what: tuple[str, str], clause: str, fix: str, *, note: bool = False) -> Finding:
    severity = Severity.NOTE if note else Severity.WARNING
    return Finding(check, severity, "this machine", key, *what, clause, fix)


def _number(path: Path) -> float | None:
    text = _read(path)
    return float(text) if text.lstrip("-").isdecimal() else None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""

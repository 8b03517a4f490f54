"""Does this machine correct errors in its memory, as the rules want of datacenter systems, and were there any?"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from audit.finding import Finding, Severity

CLAUSE = "inference_rules.adoc, Minimum requirements of a datacenter system: ECC"
CORRECTION = re.compile(r"Error Correction Type: *(.+)")
GPU_FIELDS = "ecc.mode.current,ecc.errors.uncorrected.volatile.total"
ON, OFF = "enabled", "disabled"
SERVE = "Switch it on (firmware of the machine, `nvidia-smi -e 1` and a restart), or submit to the edge suite."
REPLACE = "Have the memory looked at: results of runs with such errors are not to be trusted."
ROOT = Path("/")


def host(modules: str, *, datacenter: bool, root: Path = ROOT) -> Iterator[Finding]:
    """The host's memory: by the kernel's memory controllers, else by `modules`, what dmidecode says of them."""
    controllers = sorted(root.glob("sys/devices/system/edac/mc/mc[0-9]*"))
    broken = sum(_count(each / "ue_count") for each in controllers)
    if broken:
        yield _found(Severity.WARNING, "host memory", (f"{broken} errors that could not be corrected", "none"), REPLACE)
    if controllers or not datacenter:
        return
    kind = CORRECTION.search(modules)
    if kind is None:
        what = ("cannot be seen: no EDAC driver, and dmidecode needs root", ON)
        yield _found(Severity.NOTE, "host memory", what, "Look with `sudo dmidecode -t 16`.")
    elif "ECC" not in kind[1]:
        yield _found(Severity.ERROR, "host memory", (kind[1].strip(), ON), SERVE)


def gpus(rows: Sequence[Sequence[str]], *, datacenter: bool) -> Iterator[Finding]:
    """The memories of GPUs, by rows of nvidia-smi: mode, uncorrected errors since the driver was loaded."""
    for number, row in enumerate(rows):
        mode, errors = (*row, "", "")[:2]
        if datacenter and mode.lower() != ON:
            what = (mode.lower() if mode.lower() == OFF else "none", ON)
            yield _found(Severity.ERROR, f"GPU {number}", what, SERVE)
        if errors.isdecimal() and int(errors):
            what = (f"{errors} errors that could not be corrected", "none")
            yield _found(Severity.WARNING, f"GPU {number}", what, REPLACE)


def _count(path: Path) -> int:
    try:
        text = path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return 0
    return int(text) if text.isdecimal() else 0


def _found(severity: Severity, key: str, what: tuple[str, str], fix: str) -> Finding:
    return Finding("ecc", severity, "this machine", key, *what, CLAUSE, fix)

"""Settings that are files of the kernel: what cpufreq and powercap share."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from power.knob import KnobFailed, Raw

ROOT_ONLY = "run the same command as root, such as `sudo -E lgh maxq …`"


class Files:
    """Small files below `root`, known by their relative names; no other file is ever written."""

    def __init__(self, root: Path, names: Iterable[str]) -> None:
        """The files `names`, which exist."""
        self._root, self._names = root, tuple(names)

    def read(self) -> Raw:
        """What every file says; raises KnobFailed."""
        return {name: self.text(name) for name in self._names}

    def text(self, name: str) -> str:
        """What one file below the root says; raises KnobFailed."""
        path = self._root / name
        try:
            return path.read_text(encoding="ascii", errors="replace").strip()
        except OSError as error:
            raise KnobFailed(f"{path} cannot be read ({error.strerror}): {ROOT_ONLY}.") from error

    def write(self, name: str, raw: str) -> None:
        """Set one of the files; raises KnobFailed."""
        path = self._root / name
        if name not in self._names:
            raise KnobFailed(f"{path} is no setting of this machine now: look at what became of that device.")
        try:
            path.write_text(f"{raw}\n", encoding="ascii")
        except PermissionError as error:
            raise KnobFailed(f"{path} may be written by root only: {ROOT_ONLY}.") from error
        except OSError as error:
            raise KnobFailed(f"{path} does not take {raw} ({error.strerror}): choose other settings.") from error

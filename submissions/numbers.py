"""Numbers for people: three to four significant digits, thin spaces between thousands, the unit that fits."""

from __future__ import annotations

import math

THIN = "\u202f"  # a narrow space that does not break
NONE = "–"
TIMES = ((1e9, "s"), (1e6, "ms"), (1e3, "µs"), (1.0, "ns"))
PREFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""))


def number(value: float, digits: int = 4) -> str:
    """A number with `digits` significant digits; whole thousands keep all of theirs."""
    if not math.isfinite(value):
        return NONE
    if value == 0:
        return "0"
    places = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    if places > digits + 3:
        return f"{value:.{digits - 1}e}"
    text = f"{value:,.{places}f}"
    if float(value).is_integer():
        text = f"{value:,.0f}"
    return text.replace(",", THIN).replace("-", "\u2212")


def quantity(value: float | None, unit: str = "", digits: int = 4) -> str:
    """A number with its unit, a dash for None."""
    if value is None:
        return NONE
    separator = "" if unit == "" else THIN
    return f"{number(value, digits)}{separator}{unit}"


def time_unit(nanoseconds: float) -> tuple[float, str]:
    """The unit in which a duration reads best: its length in ns and its name."""
    return next((pair for pair in TIMES if abs(nanoseconds) >= pair[0]), TIMES[-1])


def duration(nanoseconds: float, digits: int = 3) -> str:
    """A duration in the unit that fits."""
    scale, unit = time_unit(nanoseconds)
    return quantity(nanoseconds / scale, unit, digits)


def tick(value: float) -> str:
    """A tick's label: as short as it can be without lying."""
    scale, prefix = next((pair for pair in PREFIXES if abs(value) >= pair[0]), PREFIXES[-1])
    if scale < 1e4 and abs(value) < 1e4:
        scale, prefix = 1.0, ""
    return f"{value / scale:.6g}{prefix}".replace("-", "\u2212")


def size(count: float | None) -> str:
    """Bytes in the unit that fits."""
    if count is None:
        return NONE
    scale, prefix = next((pair for pair in PREFIXES if count >= pair[0]), PREFIXES[-1])
    return quantity(count / scale, f"{prefix}B", 3)

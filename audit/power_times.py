"""Item 6: phases at the same times on both sides, LoadGen's windows inside them, no less power than in ranging."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from audit.finding import Finding, Severity
from audit.power_facts import GAP_S, INTERVAL_S, LOWER, PHASES, RUN, SHORTER, TOLERANCE_S
from audit.power_record import REPEAT, Malformed, Record, entry

STAMPS = 4  # asked to start, started, asked to stop, stopped
STARTED, STOPPING = 1, 2
NTP = "Definitions (read this section carefully)"
WINDOW = "LoadGen and Start/End TimeStamps"
SAME_RUN = "Power and Performance Measurement and Reporting"
CLOCKS = "synchronise both machines with the same NTP server, then repeat the session"
STEADY = "let the machine reach its working temperature and stop other work on it, then repeat the session"


def phases(record: Record) -> Iterator[Finding]:
    """Client and server saw each step of both phases within 800 ms of each other; LoadGen ran between them."""
    for phase in PHASES:
        ours, theirs = (_stamps(side, phase) for side in (record.client, record.server))
        if not len(ours) == len(theirs) == STAMPS:
            what = (f"phases.{phase}", f"{len(ours)} and {len(theirs)} stamps", f"{STAMPS} on both sides")
            yield record.fault("phases", "power/client.json", what)
            continue
        for at, (mine, other) in enumerate(zip(ours, theirs, strict=True)):
            if not abs(mine - other) <= TOLERANCE_S:
                what = (f"phases.{phase}[{at}]", f"{abs(mine - other) * 1e3:.0f} ms apart", "<= 800 ms")
                yield record.fault("phases", "power/client.json", what, (NTP, CLOCKS))
        yield from _inside(record, phase, (ours[STARTED], ours[STOPPING]))
    yield from _shorter(record)


def _stamps(side: Any, phase: str) -> list[float]:
    found = entry(entry(side, "phases", dict), phase, list)
    try:
        return [float(stamp[0]) for stamp in found]
    except (TypeError, ValueError, IndexError, KeyError):
        raise Malformed(f"phases.{phase} holds no time stamps") from None


def _inside(record: Record, phase: str, between: tuple[float, float]) -> Iterator[Finding]:
    """LoadGen's stamps are UTC, as the client's: unlike the official check none may be an hour off."""
    for name, when in zip(("power_begin", "power_end"), record.windows[phase], strict=True):
        if not between[0] < when < between[1]:
            late = when - between[0]
            what = (name, f"{late:.1f} s after the start of {phase}", f"within 0 .. {between[1] - between[0]:.1f} s")
            yield record.fault("phases", f"{PHASES[phase]}/{RUN[0]}", what, (WINDOW, REPEAT))


def _shorter(record: Record) -> Iterator[Finding]:
    ranged, tested = (end - begin for begin, end in (record.windows["ranging"], record.windows["testing"]))
    if ranged > 0 and (ranged - tested) / ranged > SHORTER:
        what = ("duration", f"{tested:.1f} s", f"about {ranged:.1f} s, as ranging")
        found = record.fault("phases", f"run_1/{RUN[0]}", what, (SAME_RUN, "find out why the second run was shorter"))
        yield replace(found, severity=Severity.WARNING)


def ranging(record: Record) -> Iterator[Finding]:
    """Testing drew at most 5 % less power than ranging, both inside LoadGen's windows."""
    means = {phase: record.watts(phase) for phase in PHASES}
    for phase in [phase for phase, watts in means.items() if watts is None]:
        what = ("Watts", "no sample inside LoadGen's window", "a sample a second")
        yield record.fault("ranging", f"{PHASES[phase]}/{RUN[2]}", what, (WINDOW, CLOCKS))
    ranged, tested = means["ranging"], means["testing"]
    if ranged is None or tested is None:
        return
    change = round((round(tested, 5) / max(round(ranged, 5), 1e-5) - 1) * 100, 2)  # rounded as the official check does
    if not change > -LOWER:
        what = (
            "Watts",
            f"{tested:.4g} W ({change:+.2f} %)",
            f"> {ranged * (1 - LOWER / 100):.4g} W, 5 % below ranging",
        )
        yield record.fault("ranging", f"run_1/{RUN[2]}", what, ("Power Measurement Flow", STEADY))


def samples(record: Record) -> Iterator[Finding]:
    """Beyond the eleven items: a sample a second over the whole of LoadGen's window, without holes."""
    for phase, place in PHASES.items():
        instants = sorted(record.instants(phase))
        begin, end = record.windows[phase]
        if not instants:
            continue  # that there is none is told by ranging
        edges = zip([begin, *instants], [*instants, end], strict=True)
        holes = [(after - before, before) for before, after in edges if after - before > GAP_S]
        if not holes:
            continue
        widest, since = max(holes)
        due = (end - begin) / INTERVAL_S
        several = f"{len(holes)} holes of up to" if len(holes) > 1 else "a hole of"
        found = f"{len(instants)} samples in {end - begin:.1f} s, {several} {widest:.1f} s"
        found += f", from {since - begin:.1f} s after power_begin on"
        what = ("interval", found, f"about {due:.0f}: the analyzer was told to take one in {INTERVAL_S:g} s")
        fix = "put back spl.txt as the session wrote it, or see why PTDaemon lost samples and repeat the session"
        yield replace(
            record.fault("samples", f"{place}/{RUN[2]}", what, ("Power Analyzer Settings", fix)),
            severity=Severity.WARNING,
        )

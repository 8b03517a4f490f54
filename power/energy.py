"""Energy of one run in LoadGen's window: of each meter, of all together, and what is wrong with the measurements."""

from __future__ import annotations

from collections.abc import Iterator

from loadgen_harness.run import Run
from power.combined import total as total
from power.faults import Fault, faults
from power.figures import Energy as Energy
from power.figures import figure as figure
from power.measurement import ANALYZER_LOG, measurements, simulated
from power.metered import is_timed, metered
from power.metered import sample_count as sample_count
from power.metered import token_count as token_count
from power.simulator import MARK

SIMULATED = "mark"  # key of the Fault that tells of the PTDaemon simulator


def findings(run: Run) -> Iterator[Fault]:
    """What is wrong with the power measurements of a run, or held its devices back; nothing where none was taken."""
    if is_timed(run):
        taken = measurements(run.path)
        for measurement in taken:
            yield from faults(measurement, run.power_window, taken)
        yield from _complaints(run)
        yield from _simulated(run)


def _simulated(run: Run) -> Iterator[Fault]:
    """The analyzer's log of a try-out: it is left out of the measurements, so nothing else tells of it."""
    if simulated(run.path):
        fix = "measure with PTDaemon and a power analyzer"
        yield Fault(ANALYZER_LOG, SIMULATED, f"{MARK}: a simulator wrote {ANALYZER_LOG}", "an analyzer's readings", fix)


def summarize(run: Run) -> Energy | None:
    """The energy of a run: the sum of its meters, else its best estimate."""
    return total(run) or next(iter(energies(run)), None)


def energies(run: Run) -> tuple[Energy, ...]:
    """The energy of a run by each of its faultless meters, the best first."""
    return tuple(each.energy for each in metered(run))


def _complaints(run: Run) -> Iterator[Fault]:
    """What the sampler wrote before it gave up; the samples taken until then are judged by themselves."""
    log = run.file("power/sampler.log")
    if log.exists():
        text = " ".join(log.read_text(encoding="utf-8", errors="replace").split())
        if text:
            yield Fault("power/sampler.log", "meter", text[-300:], "meters that answer", "mend the meter, run again")

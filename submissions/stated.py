"""What a result of a tree states: its official figure, its accuracy beside the targets, its power."""

from __future__ import annotations

from audit.result_rows import Figures, Quality, bounds, qualities
from loadgen_harness.errors import SuiteError
from power import log
from submissions import inferred, layout
from submissions.subject import Subject

MOST_TEXT = 1 << 20  # bytes of an accuracy.txt
MOST_READINGS = 50_000_000  # bytes of a power log


def figures(subject: Subject) -> Figures:
    """What stands in the result's files, whatever is wrong with it."""
    found = inferred.result(subject)
    drawn = _watts(subject)
    value, unit = (found.value, found.unit) if found else (None, "")
    return Figures(
        value=value,
        unit=unit,
        inferred_from=found.inferred_from if found else "",
        accuracy=_accuracy(subject),
        power="" if drawn is None else f"{drawn:.4g} W",
    )


def of_tree(subjects: list[Subject]) -> dict[str, Figures]:
    """By the result's name."""
    return {layout.result_of(subject.name(subject.place.path)): figures(subject) for subject in subjects}


def _accuracy(subject: Subject) -> tuple[Quality, ...]:
    """Of MLPerf Endpoints one score, which belongs to the first target; else what accuracy.txt states."""
    if subject.place.endpoint:
        run = subject.performance
        score = run.log.get("accuracy_score") if run else None
        target = next(iter(subject.rules.targets), None)
        if not isinstance(score, int | float):
            return ()
        return (Quality(target.metric if target else "score", float(score), bounds(target) if target else ""),)
    path = subject.place.accuracy.accuracy_text
    if not subject.readable(path) or path.stat().st_size > MOST_TEXT:
        return ()
    text = path.read_text(encoding="utf-8", errors="replace")
    return qualities(text, subject.benchmark.metrics, subject.rules, subject.scenario)


def _watts(subject: Subject) -> float | None:
    """Mean power between LoadGen's power_begin and power_end, None where it was not measured or cannot be read."""
    run, path = subject.performance, subject.place.performance.path / layout.POWER_RUN_FILE
    window = run.power_window if run else None
    if window is None or not subject.readable(path) or path.stat().st_size > MOST_READINGS:
        return None
    try:
        readings = log.read(path)
    except SuiteError:
        return None
    inside = [sample.watts for sample in readings.samples if window[0] < sample.utc_s < window[1] and sample.watts > 0]
    return sum(inside) / len(inside) if inside else None

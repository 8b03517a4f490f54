"""What an audit could not look at, in a few words each: a pass says nothing about these."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from audit import rules
from loadgen_harness.run import SAMPLES, Run
from submissions import layout
from submissions.subject import Subject

RECOMPUTED = "no per-sample record: LoadGen's figures were held against each other, not recomputed"
UNRELATED = "what lies beside the logs in a submission: texts, tests, the other runs of the result"


def of_tree(subjects: Sequence[Subject], backup: Path | None) -> tuple[str, ...]:
    """Of a tree: truncated logs without their backup, summaries that are missing, records that no tree holds."""
    return tuple(_of_tree(subjects, backup)) if subjects else ()


def _of_tree(subjects: Sequence[Subject], backup: Path | None) -> Iterator[str]:
    logs = [each.place.accuracy for each in subjects]
    cut = sum(rules.truncated(Run(each.path, one.tree)) for each, one in zip(logs, subjects, strict=True))
    if cut and not backup:
        yield f"responses of {_results(cut)}, whose accuracy logs are truncated (--backup FOLDER has them verified)"
    bare = sum(not each.place.endpoint and not each.readable(each.place.performance.summary) for each in subjects)
    if bare:
        yield f"{_results(bare)} without LoadGen's summary"
    if any(not each.place.endpoint for each in subjects):
        yield RECOMPUTED


def of_logs(run: Run, *, alone: bool) -> tuple[str, ...]:
    """Of a folder with one run; one that stands `alone` is no run folder of this suite."""
    missing = [name for name in (layout.DETAIL, layout.SUMMARY) if not run.file(name).is_file()]
    told = [f"no {name}" for name in missing]
    if not run.file(SAMPLES).is_file():
        told.append(RECOMPUTED)
    return (*told, *((UNRELATED,) if alone else ()))


def _results(number: int) -> str:
    return f"{number} result{'' if number == 1 else 's'}"

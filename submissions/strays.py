"""What lies in a tree although no layout names it: further runs, notes, archives; nobody judges these.

An error where the old official checker compares a folder with an exact list of files (preprocess_submission.py still
asks it, and moves what it refuses to the open division), else a warning; small files beside a result are named alone.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from audit.finding import Finding, Severity
from submissions import layout, structure
from submissions.subject import Subject

CHECK = "stray"
LAYOUT = structure.GUIDE
EXACT = f"{LAYOUT}; submission_checker_old.py, files_diff: an exact list of files"
ONE_RUN = f"{LAYOUT}: performance/run_1; inference_rules.adoc, LoadGen Operation: a single test run"
TRACE = ("mlperf_log_trace.json", "results.json")  # what files_diff lets pass anywhere
LOGS = (layout.DETAIL, layout.SUMMARY)
RUN = (*LOGS, layout.ACCURACY_LOG, *TRACE)
ACCURACY = (*RUN, layout.ACCURACY_TEXT)
PAIR = ("baseline_accuracy.txt", "compliance_accuracy.txt")
MEDIA = ("images", "videos")  # of stable-diffusion-xl and wan
VERDICTS = (layout.VERIFY_ACCURACY, layout.VERIFY_PERFORMANCE, "verify_output_len.txt")
BESIDE = ("measurements.json", "user.conf", "README.md", "mlperf.conf", *layout.ENDPOINT_FILES)
POWER_BESIDE = ("analyzer_table.", "power_settings.")
ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".7z", ".rar")
PRIVATE = ("privateid.json",)  # the official checker's --private-ids
REMOVE = "move it out of the submission"


@dataclass(frozen=True)
class _Place:
    """One folder of the layout: what may lie in it, and whether its files are an exact list."""

    path: Path
    files: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    exact: bool = False

    def others(self) -> list[Path]:
        """What else lies there; what another check refuses by its name is left to it."""
        entries = layout.entries(self.path) if not os.path.islink(self.path) else []
        return [each for each in entries if not self._named(each) and structure.oddity(each) is None]

    def _named(self, path: Path) -> bool:
        if os.path.isdir(path):
            return path.name in self.folders
        return path.name in self.files


def of_result(subject: Subject) -> Iterator[Finding]:
    """Everything in the folders of one result that its layout does not name."""
    if subject.place.endpoint:
        return
    for place in (*_runs(subject), *_tests(subject)):
        for path in place.others():
            yield _judged(path, place, subject)
    yield from _beside(subject)


def of_divisions(tree: Path) -> Iterator[Finding]:
    """Files beside the submitters' folders, for which the old checker refuses the whole division."""
    for division in sorted({home.path.parent for home in layout.submitters(tree)}):
        for path in layout.entries(division):
            if os.path.isfile(path) and structure.oddity(path) is None:
                yield _finding(layout.shown(path, tree), "beside the submitters", "folders of submitters alone", EXACT)


def of_submitter(home: layout.SubmitterFolder, tree: Path) -> Iterator[Finding]:
    """Files between the folders of systems, benchmarks and scenarios."""
    systems = [each for each in layout.folders(home.results) if structure.oddity(each) is None]
    benchmarks = [each for system in systems for each in layout.folders(system) if structure.oddity(each) is None]
    for folder in (home.results, *systems, *benchmarks):
        allowed = PRIVATE if folder in systems else ()
        for path in _Place(folder, allowed, tuple(each.name for each in layout.folders(folder))).others():
            told = _finding(layout.shown(path, tree), _kind(path), "folders alone", LAYOUT)
            yield replace(told, severity=Severity.WARNING)


def _runs(subject: Subject) -> Iterator[_Place]:
    place = subject.place
    power = (layout.POWER_RUN_FILE,) if os.path.isdir(place.power) else ()
    folders = ("run_1", *(("power", "ranging") if power else ()))
    yield _Place(place.path / "performance", (), folders)
    yield _Place(place.path / "performance" / "run_1", (*RUN, *power), exact=True)
    if power:
        yield _Place(place.ranging.path, (*RUN, *power), exact=True)
    yield _Place(place.accuracy.path, ACCURACY, MEDIA, exact=True)


def _tests(subject: Subject) -> Iterator[_Place]:
    for test in subject.place.tests():
        yield _Place(test.path, VERDICTS, ("accuracy", "performance"))
        yield _Place(test.path / "performance", (), ("run_1",))
        yield _Place(test.path / "performance" / "run_1", RUN, exact=test.name in ("TEST01", "TEST04"))
        yield _Place(test.path / "accuracy", (*ACCURACY, *PAIR), exact=test.name == "TEST01")


def _beside(subject: Subject) -> Iterator[Finding]:
    """What lies beside the accuracy and performance of a result, where systems add descriptions of their own."""
    place = subject.place
    tests = tuple(test.name for test in place.tests())
    folders = ("accuracy", "performance", "audit", *tests)
    small: list[Path] = []
    for folder in dict.fromkeys((place.path, place.settings)):
        for path in _Place(folder, BESIDE, folders).others():
            described = path == place.measurements or path.name.startswith((*POWER_BESIDE, place.system))
            if os.path.isdir(path) or path.suffix.lower() in ARCHIVES:
                yield _judged(path, _Place(folder), subject)
            elif not described:
                small.append(path)
    if small:
        names = ", ".join(path.name for path in small[:8]) + (", …" if len(small) > 8 else "")
        found = _finding(subject.name(place.path), names, "what the layout names", LAYOUT)
        yield replace(found, severity=Severity.NOTE, key="files", fix="nothing to do: nobody judges them")


def _judged(path: Path, place: _Place, subject: Subject) -> Finding:
    """One stray: a run that nobody looks at, an archive that nobody unpacks, or simply too much."""
    name = subject.name(path)
    if os.path.isdir(path):
        run = next((each for each in sorted(path.rglob(layout.DETAIL)) if each.is_file()), None)
        found = "a folder of LoadGen's logs that counts for nothing" if run else "a folder that no layout names"
        told = _finding(name, found, "one run in run_1" if run else "the folders of the layout", ONE_RUN)
        told = told if run else replace(told, clause=LAYOUT)
        return replace(told, severity=Severity.WARNING, key="run" if run else "folder")
    wanted = ", ".join(sorted({*place.files} - {*TRACE})) or "the files of the layout"
    if place.exact:
        return _finding(name, "a file more", wanted, EXACT)
    return replace(_finding(name, _kind(path), wanted, LAYOUT), severity=Severity.WARNING)


def _kind(path: Path) -> str:
    return "an archive" if path.suffix.lower() in ARCHIVES else "a file that no layout names"


def _finding(file: str, found: str, wanted: str, clause: str) -> Finding:
    return Finding(CHECK, Severity.ERROR, file, "file", found, wanted, clause, REMOVE)

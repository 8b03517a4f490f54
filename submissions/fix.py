"""Mends what is safe: names, the form of accuracy.txt, left-over files. Shown as a diff first, undone from a backup.

Never touched: what LoadGen wrote (a folder may be renamed, a log never changed), figures, links' targets, .git. What is
taken out or rewritten lies in a backup folder beside the tree afterwards.
"""

from __future__ import annotations

import difflib
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from audit.accuracy import mended
from loadgen_harness.errors import BadInput, UnknownName
from loadgen_harness.run import Run
from loadgen_harness.types import Scenario
from loadgen_harness.visible import visible
from submissions import layout
from submissions.structure import LEFT_OVERS, MAX_BYTES

JUNK = re.compile(
    r"\.DS_Store|\._.*|\.gitkeep|\.nfs\w+|\.~lock\..*|.*\.sw[op]|\.ipynb_checkpoints|\.(?:pytest|mypy|ruff)_cache"
    r"|__pycache__|.*\.py[co]|Thumbs\.db|desktop\.ini|.*\.partial"
)
TRACE = "mlperf_log_trace.json"
ACCURACY_TEXTS = (layout.ACCURACY_TEXT, "baseline_accuracy.txt", "compliance_accuracy.txt")
SPELT = (
    "README.md",
    "user.conf",
    "measurements.json",
    layout.VERIFY_ACCURACY,
    layout.VERIFY_PERFORMANCE,
    *ACCURACY_TEXTS,
)
AUDIT_CONFIG = "audit.config"
FIGURE = re.compile(r"\d[\d.]*(?:[eE][-+]?\d+)?")
TYPE = re.compile(r"\b(?:np|numpy)\.\w+\(")  # as NumPy prints the type of a number
CLOSE = 0.8  # how alike a misspelt name must be
RECORD = "CHANGES.diff"
LARGEST_TEXT = 1 << 20  # bytes of an accuracy text


@dataclass(frozen=True)
class Change:
    """One change at `path`, from the root on: renamed `to`, rewritten as `text`, or else moved into the backup."""

    path: Path
    why: str
    to: Path | None = None
    text: str | None = None


def of_tree(tree: Path) -> list[Change]:
    """What is safe to mend in a submission tree; empty once it was done. Raises BadInput where it cannot be read."""
    try:
        return _changes(tree)
    except OSError as error:
        raise BadInput(f"cannot mend {tree}: {error}; make all of it readable first.") from error


def _changes(tree: Path) -> list[Change]:
    gone = list(_left_overs(tree))
    taken = {tree / change.path for change in gone}
    texts = [change for change in _texts(tree) if not _below(tree / change.path, taken)]
    names = [change for change in (*_files(tree), *_scenarios(tree)) if not _below(tree / change.path, taken)]
    return [*gone, *texts, *names]


def of_run(folder: Path) -> list[Change]:
    """What is safe to mend in a run folder of this suite: an audit.config that LoadGen did not read, and junk."""
    run = Run(folder)
    found = [Change(Path(path.name), "a left-over") for path in _entries(folder) if JUNK.fullmatch(path.name)]
    stray = folder / AUDIT_CONFIG
    recorded = run.meta.get("digests") or {}
    read = any(AUDIT_CONFIG in warning for warning in run.log_warnings)
    if run.meta and stray.is_file() and not (run.spec.get("test") or read or AUDIT_CONFIG in recorded):
        found.append(Change(Path(AUDIT_CONFIG), "LoadGen did not read it, the next run there would"))
    return found


def diff(root: Path, changes: Sequence[Change]) -> str:
    """The changes as a unified diff, with a line for each file that is renamed or taken out."""
    lines: list[str] = []
    for change in changes:
        name = visible(change.path.as_posix())
        if change.text is not None:
            before = _text(root / change.path) or ""
            pair = (before.splitlines(), change.text.splitlines())
            lines += difflib.unified_diff(*pair, f"a/{name}", f"b/{name}", lineterm="")
        elif change.to is not None:
            lines += [f"rename {name}", f"    to {visible(change.to.as_posix())}  ({change.why})"]
        else:
            lines.append(f"remove {name}  ({change.why})")
    return "".join(f"{line}\n" for line in lines)


def apply(root: Path, changes: Sequence[Change]) -> Path:
    """Make the changes; returns the backup beside the root. Raises BadInput where the file system refuses one."""
    backup = _backup(root)
    try:
        backup.mkdir()
        (backup / RECORD).write_text(diff(root, changes), encoding="utf-8")
        for change in changes:
            _make(root, backup, change)
    except OSError as error:
        raise BadInput(f"cannot mend {root}: {error}; what was changed before stands in {backup}.") from error
    return backup


def _make(root: Path, backup: Path, change: Change) -> None:
    path, kept = root / change.path, backup / change.path
    if change.to is not None:
        path.rename(root / change.to)
        return
    kept.parent.mkdir(parents=True, exist_ok=True)
    if change.text is None:
        shutil.move(path, kept)
        return
    shutil.copy2(path, kept)
    partial = path.with_name(f"{path.name}.partial")
    partial.write_text(change.text, encoding="utf-8", newline="")
    shutil.copymode(path, partial)
    os.replace(partial, path)


def _backup(root: Path) -> Path:
    """A name beside the root that is free."""
    whole = Path(os.path.abspath(root))
    number, path = 1, whole.with_name(f"{whole.name}.before-fix")
    while path.exists():
        number += 1
        path = whole.with_name(f"{whole.name}.before-fix-{number}")
    return path


def _left_overs(tree: Path) -> Iterator[Change]:
    """Files and folders that no submission holds, then the folders that are empty without them."""
    gone: set[Path] = set()
    for folder, names, files in os.walk(tree):
        here = Path(folder)
        for name in sorted((*names, *files)):
            why = _why(here / name, tree)
            if why:
                gone.add(here / name)
                yield Change((here / name).relative_to(tree), why)
        names[:] = sorted(name for name in names if here / name not in gone and not _versioned(name))
    yield from _empty(tree, tree, gone)


def _empty(folder: Path, tree: Path, gone: set[Path]) -> list[Change]:
    """The outermost folders below that hold nothing, or nothing but what goes; itself where that is all of it."""
    inside = [path for path in _entries(folder) if path not in gone]
    found: list[Change] = []
    left = False
    for path in inside:
        below = _empty(path, tree, gone) if _is_folder(path) and not _versioned(path.name) else []
        left = left or [change.path for change in below] != [path.relative_to(tree)]
        found += below
    return found if left or folder == tree else [Change(folder.relative_to(tree), "an empty folder")]


def _why(path: Path, tree: Path) -> str:
    """Why a file or folder does not belong into a submission, "" where it may stay."""
    name = path.name
    if JUNK.fullmatch(name) or name in LEFT_OVERS:
        return "a left-over"
    if name.startswith(".") and not _versioned(name) and not _is_source(path, tree):
        return "a hidden name"
    if name == TRACE and not path.is_symlink() and path.stat().st_size > MAX_BYTES:
        return f"a trace of more than {MAX_BYTES // 10**6} MB"
    return ""


def _versioned(name: str) -> bool:
    return name.startswith(".git") and name != ".gitkeep"


def _is_source(path: Path, tree: Path) -> bool:
    """Whether it lies in source code, where a hidden file may be needed to build."""
    return any(path.is_relative_to(home.sources) for home in layout.submitters(tree))


def _texts(tree: Path) -> Iterator[Change]:
    """Accuracy texts in the official form; the figures stay the same, letter by letter."""
    for path in _walk(tree):
        if path.name not in ACCURACY_TEXTS or _is_source(path, tree):
            continue
        before = _text(path)
        after = mended(before) if before is not None else None
        if before is not None and after is not None and after != before and _figures(after) == _figures(before):
            yield Change(path.relative_to(tree), "the form that the official checker reads", text=after)


def _files(tree: Path) -> Iterator[Change]:
    """Small files whose name differs from the wanted one in case alone."""
    wanted = {name.lower(): name for name in SPELT}
    for place in _places(tree):
        for path in _walk(place):
            name = wanted.get(path.name.lower(), path.name)
            if name != path.name and not (path.parent / name).exists():
                yield Change(path.relative_to(tree), "its name", to=path.with_name(name).relative_to(tree))


def _scenarios(tree: Path) -> Iterator[Change]:
    """Folders of misspelt scenarios whose right name is free; the case alone may be any."""
    for place in _places(tree):
        name = _nearest(place.name)
        beside = [folder for folder in layout.folders(place.parent) if folder != place]
        free = all(name.lower() not in (each.name.lower(), _nearest(each.name).lower()) for each in beside)
        if name and free:
            yield Change(place.relative_to(tree), "its name", to=place.with_name(name).relative_to(tree))


def _places(tree: Path) -> Iterator[Path]:
    """Folders <system>/<benchmark>/<scenario> wherever a submitter keeps them, however they are spelt."""
    for home in layout.submitters(tree):
        for root in (home.results, home.measurements, home.compliance):
            for system in layout.folders(root):
                for benchmark in layout.folders(system):
                    yield from layout.folders(benchmark)


def _nearest(name: str) -> str:
    """The scenario that a misspelt name means, "" where it is none or spelt right."""
    try:
        Scenario(name)
    except UnknownName:
        plain = {each.value.lower(): each.value for each in Scenario}
        letters = re.sub(r"[^a-z]", "", name.lower())
        near = difflib.get_close_matches(letters, plain, n=1, cutoff=CLOSE)
        return plain[near[0]] if near else ""
    return ""


def _walk(folder: Path) -> Iterator[Path]:
    """The regular files below a folder; links are neither followed nor given."""
    for here, names, files in os.walk(folder):
        names.sort()
        yield from (path for name in sorted(files) if (path := Path(here, name)).is_file() and not path.is_symlink())


def _entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _below(path: Path, folders: set[Path]) -> bool:
    return path in folders or any(parent in folders for parent in path.parents)


def _text(path: Path) -> str | None:
    """A small text with its own line ends, None where it is none."""
    try:
        return path.read_bytes().decode("utf-8") if path.stat().st_size <= LARGEST_TEXT else None
    except UnicodeDecodeError:
        return None


def _figures(text: str) -> list[str]:
    """The numbers of a text in their order, without those in the names of NumPy's types."""
    return FIGURE.findall(TYPE.sub("(", text))

"""What a tree's files must look like, whatever they say: names, sizes, links; and the submitter's own files."""

from __future__ import annotations

import json
import os
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from audit.finding import Finding, Severity
from loadgen_harness.inside import Absent, Damaged, Inside, parsed
from loadgen_harness.types import Division
from submissions import layout
from submissions.system import AT_LEAST_ONE, COUNTS, faults
from submissions.system_check import twins

MAX_BYTES = 50_000_000
ROOT_FILES = (".md", ".pdf")
GUIDE = "mlcommons/inference, submission_structure.md"
KEYS = "mlcommons/inference, submission checker: keys of systems/<system>.json"
HARDWARE = (
    "MLPerf_Audit_Guidelines.adoc, Hardware: the description states processors, cores and accelerators as they are"
)
COUNTED = (*COUNTS, *AT_LEAST_ONE)
TIDY = "mlcommons/inference, repository_checks.sh"
CALIBRATED = "inference_rules.adoc, Weight Definition and Quantization: how weights were calibrated"
MOST_KEYS = 20  # findings of one file
LEFT_OVERS = ("__pycache__", "ptd_out.txt")


def error(check: str, file: Path | str, what: tuple[str, str, str], clause: str, fix: str) -> Finding:
    """A Finding that rejects the result; `what` is (key, found, wanted)."""
    key, found, wanted = what
    return Finding(check, Severity.ERROR, str(file), key, found, wanted, clause, fix)


def files(tree: Path) -> Iterator[Finding]:
    """Faults in names, sizes and kinds of everything in the tree (the old checker's and the repository's rules)."""
    for path in sorted(tree.rglob("*")):
        odd = oddity(path)
        if odd:
            found, wanted, fix = odd
            yield error("files", layout.shown(path, tree), ("path", found, wanted), TIDY, fix)
    for path in sorted(tree.iterdir()) if tree.is_dir() else []:
        allowed = path.name in {each.value for each in Division} if os.path.isdir(path) else path.suffix in ROOT_FILES
        if not allowed and not path.name.startswith("."):
            what = ("path", "neither a division nor a document", "closed, open, network, *.md, *.pdf")
            yield error("files", path.name, what, f"{GUIDE}: the root", "move it out of the submission")


def submitter(home: layout.SubmitterFolder, tree: Path) -> Iterator[Finding]:
    """Faults in what a submitter has once: sources, calibration, system descriptions, model mapping."""
    name = home.path.relative_to(tree)
    if not os.path.isdir(home.sources):
        what = ("src", "missing", "the source code")
        yield error("structure", name / "src", what, f"{GUIDE}: src", "add src/<benchmark>/README.md and the code")
    closed = home.division != Division.OPEN.value
    if closed and not any(map(said, home.calibrations)):
        blank = any(os.path.isfile(path) for path in home.calibrations)
        what = ("calibration.md", "nothing but blanks" if blank else "missing", "how weights were calibrated")
        yield error("structure", name, what, CALIBRATED, "add documentation/calibration.md")
    yield from _mapped(home, tree)
    for folder in layout.folders(home.results):
        yield from system(home, folder.name, tree)
    yield from _twins(home, tree)
    described = {path.stem for path in home.systems.glob("*.json")} if os.path.isdir(home.systems) else set()
    for ghost in sorted(described - {folder.name for folder in layout.folders(home.results)}):
        what = ("system", "no results", "results of every system described")
        path = home.system(ghost).relative_to(tree)
        yield error("structure", path, what, f"{GUIDE}: systems", "remove the description")


def _twins(home: layout.SubmitterFolder, tree: Path) -> Iterator[Finding]:
    """Two systems with results under one name for people: their results would be taken for each other's."""
    files = [
        (folder.name, document(home.system(folder.name), tree)[0] or {}) for folder in layout.folders(home.results)
    ]
    for _, key, found, wanted in twins(files):
        path = home.systems.relative_to(tree)
        twin = error("system", path, (key, found, wanted), KEYS, "give each system a system_name of its own")
        yield replace(twin, severity=Severity.WARNING)


def _mapped(home: layout.SubmitterFolder, tree: Path) -> Iterator[Finding]:
    """Custom models must be mapped to the checker's own names: it looks up nothing further."""
    for name, target in sorted(mapping(home).items()):
        internal = layout.internal_name(target)
        if internal != target:
            what = ("model_mapping", f"{name}: {target}", internal)
            found = error("structure", layout.shown(home.model_mapping, tree), what, f"{GUIDE}: model_mapping.json", "")
            yield replace(found, severity=Severity.WARNING, fix=f"write {internal}, the checker's own name")


def system(home: layout.SubmitterFolder, name: str, tree: Path) -> Iterator[Finding]:
    """Faults in one system's description: presence, 35 keys, names that agree with the folders."""
    path = home.system(name)
    described, fault = document(path, tree)
    if described is None:
        yield error("system", path.relative_to(tree), ("file", fault, "JSON"), KEYS, "write the file again")
        return
    yield from repeated(path, tree, "system")
    clause, fix = KEYS, "correct the key"
    for what in faults(described, home.division):
        impossible = what[0] in COUNTED and what[1] != "missing"
        yield error("system", path.relative_to(tree), what, HARDWARE if impossible else clause, fix)
    for key, wanted in (("division", home.division), ("submitter", home.submitter)):
        if key in described and str(described[key]).lower() != wanted.lower():
            what = (key, repr(described[key]), repr(wanted) + lookalike(str(described[key]), wanted))
            yield error("system", path.relative_to(tree), what, f"{clause}: as the folder", fix)


def said(path: Path) -> bool:
    """Whether a file is there that says anything at all."""
    if not os.path.isfile(path):
        return False
    with path.open("rb") as file:
        return any(block.strip() for block in iter(lambda: file.read(1 << 16), b""))


def lookalike(found: str, wanted: str) -> str:
    """Which character only looks like the wanted one, in words; "" where that is not what differs."""
    odd = next((letter for letter in found if not letter.isascii() and letter not in wanted), "")
    return f"; {odd!r} is U+{ord(odd):04X}, {unicodedata.name(odd, 'without a name')}" if odd else ""


def document(path: Path, tree: Path | None = None) -> tuple[dict[str, Any] | None, str]:
    """A JSON object and no fault, or None and what is wrong with the file; nothing outside `tree` is read."""
    try:
        text = Inside(tree or path.parent).read(path).decode("utf-8")
        content = parsed(text) if text.strip() else None
    except Absent:
        return None, "missing"
    except (Damaged, ValueError, RecursionError) as reason:
        return None, f"unreadable ({reason})"
    if content is None:
        return None, "empty"
    return (content, "") if isinstance(content, dict) else (None, f"a {type(content).__name__}, not an object")


def repeated(path: Path, tree: Path, check: str) -> Iterator[Finding]:
    """Keys that stand more than once in an object of a JSON file: programs take the last, people read the first."""
    try:
        text = Inside(tree).read(path).decode("utf-8")
        twice: dict[str, list[Any]] = {}
        json.loads(text, object_pairs_hook=lambda pairs: _counted(pairs, twice))
    except (Damaged, ValueError, RecursionError):
        return  # that it cannot be read is another check's
    for key, values in list(twice.items())[:MOST_KEYS]:
        told = ", then ".join(repr(value)[:80] for value in values)
        what = (key, f"stated {len(values)} times: {told}", "one value")
        clause = f"{GUIDE}: JSON; RFC 8259, section 4: the names within an object should be unique"
        found = error(check, layout.shown(path, tree), what, clause, "leave one of them")
        yield found if any(value != values[0] for value in values) else replace(found, severity=Severity.WARNING)


def _counted(pairs: list[tuple[str, Any]], twice: dict[str, list[Any]]) -> dict[str, Any]:
    """The object of some pairs; what it states more than once is added to `twice`."""
    made: dict[str, Any] = {}
    for key, value in pairs:
        if key in made:
            twice.setdefault(key, [made[key]]).append(value)
        made[key] = value
    return made


def mapping(home: layout.SubmitterFolder) -> Mapping[str, str]:
    """Custom model names of the open division, empty where the file is missing or damaged."""
    content, _ = document(home.model_mapping, home.path)
    return {name: target for name, target in (content or {}).items() if isinstance(target, str)}


def oddity(path: Path) -> tuple[str, str, str] | None:
    """What is wrong with one path by itself: (found, wanted, fix); None where nothing is."""
    if os.path.islink(path):
        return "a link", "a file", "replace the link by what it points to"
    if path.name.startswith("."):
        return "a hidden name", "no dot files", "remove it"
    if any(letter.isspace() for letter in path.name):
        return "a blank in the name", "names without blanks", "rename it"
    if path.name in LEFT_OVERS or path.name.endswith(".partial"):
        return "a left-over", "no left-overs", "remove it"
    try:
        return _content(path)
    except OSError as reason:
        return f"unreadable ({reason.strerror})", "what everybody may read", "chmod -R a+rX it"


def closed(folder: Path) -> bool:
    """Whether a folder, or one below it, may not be looked into; false where it is not there."""
    waiting = [str(folder)] if os.path.lexists(folder) else []
    while waiting:
        path = waiting.pop()
        try:
            os.stat(f"{path}/.")  # listed and searched are two rights
            with os.scandir(path) as entries:
                waiting += [each.path for each in entries if each.is_dir(follow_symlinks=False)]
        except PermissionError:
            return True
    return False


def _content(path: Path) -> tuple[str, str, str] | None:
    """What is wrong with a folder or file itself; raises OSError where it cannot be looked at."""
    if path.is_dir():
        return None if any(path.iterdir()) else ("an empty folder", "files in it", "remove it")
    if not os.access(path, os.R_OK):
        return "unreadable", "what everybody may read", "chmod a+r it"
    if path.stat().st_size > MAX_BYTES:
        return f"{path.stat().st_size / 1e6:.0f} MB", "50 MB at most", "leave it out"
    return None

"""What the rules, and a reader, would say of a system description."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from loadgen_harness.errors import BadInput
from submissions.system import NOT_APPLICABLE, REQUIRED, TOLD, Fault, faults, keys

FOLDER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
ERROR, OPEN, NOTE = "error", "still N/A", "note"
Remark = tuple[str, str, str, str]  # ERROR, OPEN or NOTE; key; found; wanted


def submitter(name: str) -> str:
    """A submitter's name that can name a folder; raises BadInput for one that cannot."""
    if not FOLDER_NAME.fullmatch(name):
        raise BadInput(
            f"the submitter {name!r} cannot name the folder of the submission: use the name registered with MLCommons, "
            "in ASCII letters, digits, and . _ + - without blanks."
        )
    return name


def remarks(described: Mapping[str, Any]) -> Iterator[Remark]:
    """What is wrong, what is still open, and what a reader may stumble over."""
    broken = list(_broken(described))
    yield from ((ERROR, *fault) for fault in broken)
    known = {key for key, _, _ in broken}
    bare = str(described.get("accelerators_per_node")) == "0"
    for key in keys(described):
        value = described.get(key)
        if key in known or (bare and key.startswith("accelerator")):
            continue
        if value == NOT_APPLICABLE:
            wanted = "what it is: nobody can see it" if key in TOLD else "what it is, or N/A where there is none"
            yield OPEN, key, NOT_APPLICABLE, wanted
        elif isinstance(value, (list, dict, float)):
            yield NOTE, key, type(value).__name__, "a text: the official checker reads it, people's tables do not"


def twins(files: Sequence[tuple[str, Mapping[str, Any]]]) -> Iterator[Remark]:
    """Two systems with one name: their results would be taken for each other's."""
    first: dict[str, str] = {}
    for file, described in files:
        name = str(described.get("system_name", "")).strip()
        if name in ("", NOT_APPLICABLE):
            continue
        if other := first.get(name.casefold()):
            yield ERROR, "system_name", f"{name!r} in {other} and {file}", "another name for one of them"
        first.setdefault(name.casefold(), file)


def _broken(described: Mapping[str, Any]) -> Iterator[Fault]:
    for key in REQUIRED:
        if isinstance(described.get(key), bool):
            yield key, repr(described[key]), "a text"
    hashable = {key: repr(value) if isinstance(value, (list, dict)) else value for key, value in described.items()}
    yield from faults(hashable)
    name = described.get("submitter")
    if isinstance(name, str) and name and name != NOT_APPLICABLE and not FOLDER_NAME.fullmatch(name):
        yield "submitter", repr(name), "ASCII letters, digits, and . _ + - without blanks: it names a folder"

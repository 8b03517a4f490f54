"""What a folder is, by what lies in it: a tree, a run of ours, logs, an Endpoints result, a power session."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path

from loadgen_harness.errors import BadInput
from loadgen_harness.types import Division
from submissions import layout

RECORD = "run.json"
SESSION, PERFORMANCE = ("power", "run_1"), "performance"  # folders of a power session; where `lgh power-session` has it


class Kind(StrEnum):
    """What can be audited."""

    TREE = "submission tree"
    RUN = "run folder"
    LOGS = "LoadGen's logs"
    ENDPOINTS = "MLPerf Endpoints result"
    SESSION = "power session"


def kind_of(path: Path) -> Kind:
    """The kind of a folder; an empty one counts as a tree without results. Raises BadInput where it is none."""
    if not path.is_dir():
        raise BadInput(f"{path} is no folder: give a submission tree, a run folder or an Endpoints result.")
    try:
        kind = next((kind for kind, matches in _MARKS.items() if matches(path)), None)
    except OSError as error:
        raise BadInput(f"{path} cannot be read ({error.strerror}): make it readable first.") from error
    if kind:
        return kind
    raise BadInput(f"{path} {_instead(path)}")


def _is_tree(path: Path) -> bool:
    divisions = {each.value for each in Division}
    return any(folder.name in divisions for folder in layout.folders(path)) or not any(path.iterdir())


def _has_logs(path: Path) -> bool:
    return any((path / name).exists() for name in (layout.DETAIL, layout.SUMMARY, layout.ACCURACY_LOG))


def _is_endpoint(path: Path) -> bool:
    return any((path / name).is_file() for name in layout.ENDPOINT_FILES)


def session_of(path: Path) -> Path | None:
    """The folder with power/, ranging/ and run_1/ of a session that stands alone: `path` or its performance/."""
    homes = (home for home in (path / PERFORMANCE, path) if all((home / name).is_dir() for name in SESSION))
    found = next(homes, None)
    return found if found and _whole(path.resolve()) is None else None


# The first that matches counts: a run of ours holds LoadGen's logs too.
_MARKS: Mapping[Kind, Callable[[Path], bool]] = {
    Kind.RUN: lambda path: (path / RECORD).is_file(),
    Kind.LOGS: _has_logs,
    Kind.ENDPOINTS: _is_endpoint,
    Kind.SESSION: lambda path: session_of(path) is not None,
    Kind.TREE: _is_tree,
}


def _whole(path: Path) -> Path | None:
    """The submission tree that a folder is a part of, by the division above or in its own name."""
    divisions = {each.value for each in Division}
    for place in (path, *path.parents):
        below = path.relative_to(place).parts
        submitters = [place / below[0]] if below else layout.folders(place)
        if place.name in divisions and any((each / "results").is_dir() for each in submitters):
            return place.parent
    return None


def _instead(path: Path) -> str:
    """What to give instead of a folder that is nothing that can be audited."""
    found = _whole(path.resolve())
    if found:
        whole = found if path.is_absolute() else os.path.relpath(found)
        return f"is a part of the submission tree {whole}: give that, half of the checks need what lies beside it."
    if (path / "runs").is_dir():
        return "is the folder of a campaign: give run folders below its runs/, or the tree that `lgh submit` makes."
    wanted = (
        f"closed/, open/ or network/ (a submission tree), {RECORD} or {layout.DETAIL} (a run), nor an Endpoints result"
    )
    return f"holds neither {wanted}: check the path."

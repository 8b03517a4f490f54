"""System descriptions on disk: what is seen is refreshed, what a person wrote stays.

Beside `system.json` lies `system.json.seen`: what the program saw last.
A value that differs from it is a person's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from loadgen_harness import durable
from loadgen_harness.errors import BadInput
from loadgen_harness.system_gpus import UNSEEN

UNTOLD = ("", UNSEEN)
MOST_BYTES = 1 << 24  # of a description that are read
Change = tuple[str, str, str]  # key, before, after


def read(path: Path) -> dict[str, Any]:
    """A description; raises BadInput for a file that is none."""
    try:
        with path.open("rb") as file:  # which may be a device without an end
            text = file.read(MOST_BYTES).decode("utf-8-sig")
        found = json.loads(text, object_pairs_hook=_once)
        json.dumps(found, ensure_ascii=False).encode()  # halves of surrogate pairs, which nobody could write again
    except BadInput as error:
        raise BadInput(f"{path} {error}") from error
    except OSError as error:
        raise BadInput(
            f"cannot read {path}: {error.strerror}; name a file that `lgh system --output` wrote."
        ) from error
    except (ValueError, RecursionError) as error:
        raise BadInput(
            f"{path} cannot be read as JSON ({error}): mend it, or write one with `lgh system --output`."
        ) from error
    if not isinstance(found, dict):
        raise BadInput(f"{path} holds no JSON object: write one with `lgh system --output`.")
    return found


def kept(edited: Mapping[str, Any], before: Mapping[str, Any], seen: Mapping[str, str]) -> dict[str, Any]:
    """`edited` with what is `seen` now where nobody touched what was seen `before`; further keys stay as they are."""
    absent = str(seen.get("accelerators_per_node")) == "0"
    fresh = dict(edited)
    for key, value in seen.items():
        gone = absent and key.startswith("accelerator")
        if _untouched(key, edited, before) and (value not in UNTOLD or gone or key not in edited):
            fresh[key] = value
    if absent and str(fresh.get("accelerators_per_node")) == "0":  # a GPU that was seen before is no longer here
        stale = (key for key in before if key.startswith("accelerator") and key not in seen)
        fresh |= {key: UNSEEN for key in stale if _untouched(key, edited, before)}
    return fresh


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    """(key, before, after) of the values that differ."""
    return [
        (key, _text(before, key), _text(after, key))
        for key in dict.fromkeys((*before, *after))
        if key not in before or key not in after or before[key] != after[key]
    ]


def beside(path: Path) -> Path:
    """Where it is noted what was seen."""
    return path.with_name(f"{path.name}.seen")


def noted(path: Path) -> dict[str, Any]:
    """What was seen when `path` was last written; nothing for a file that a person made."""
    return read(beside(path)) if beside(path).exists() else {}


def write(path: Path, described: Mapping[str, Any], seen: Mapping[str, Any]) -> None:
    """Both files, each whole or not at all.

    The note comes first: a kill between the two leaves old values that look like a person's, never the reverse.
    """
    if not path.parent.is_dir():
        raise BadInput(f"the folder {path.parent} does not exist: make it, or choose another --output.")
    files = {beside(path): seen, path: described}
    texts = {each: json.dumps(dict(content), indent=2, ensure_ascii=False) + "\n" for each, content in files.items()}
    durable.put_all({each: text.encode("utf-8", "backslashreplace") for each, text in texts.items()})


def _untouched(key: str, edited: Mapping[str, Any], before: Mapping[str, Any]) -> bool:
    if key in before:
        return key not in edited or edited[key] == before[key]
    return edited.get(key) in (None, *UNTOLD)


def _text(described: Mapping[str, Any], key: str) -> str:
    return str(described[key]) if key in described else "(none)"


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object each of whose keys stands there once: of two, a reader would see the last only."""
    keys = [key for key, _ in pairs]
    double = next((key for key in keys if keys.count(key) > 1), None)
    if double is not None:
        raise BadInput(f"has the key {double} twice: keep one.")
    return dict(pairs)

"""Label files of official data sets: found by name, read without running anything that they hold."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from loadgen_harness.errors import BadInput

PICKLES = (".pkl", ".pickle", ".parquet")
VERDICTS = "verdicts.json"


def find(data: Path | None, *names: str) -> Path:
    """`data` itself where it is a file, else the first match of `names` (patterns) in that folder."""
    if data is None:
        raise BadInput(f"this metric needs labels: give --data with {' or '.join(names)}.")
    if data.is_file():
        return data
    for name in names:
        if matches := sorted(data.glob(name)):
            return matches[0]
    raise BadInput(f"{data} holds no {' or '.join(names)}: give the data set's labels, see docs/audit.md.")


def folder(data: Path | None) -> Path:
    """The folder of the data, of a file the one that holds it; raises BadInput where there is none."""
    if data is None or not data.exists():
        raise BadInput(f"{data or 'no data'} is not there: give --data with the data set's labels, see docs/audit.md.")
    return data if data.is_dir() else data.parent


def document(path: Path) -> Any:
    """A JSON document."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise BadInput(f"{path} is no readable JSON ({error}): fetch the data set anew.") from error


def records(path: Path, fields: Sequence[str]) -> list[Mapping[str, Any]]:
    """Rows with at least `fields` from a JSON list, JSON lines, or pandas' JSON by column; never from a pickle."""
    if path.suffix in PICKLES:
        raise BadInput(
            f"{path.name} may run code when it is opened: convert it once where you trust it, with pandas' "
            f"to_json({path.stem + '.jsonl'!r}, orient='records', lines=True), and give that file."
        )
    rows = _lines(path) if path.suffix == ".jsonl" else _rows(document(path))
    for number, row in enumerate(rows):
        missing = [name for name in fields if not isinstance(row, dict) or name not in row]
        if missing:
            raise BadInput(f"entry {number} of {path} has no {', '.join(missing)}: give the benchmark's own data set.")
    return rows


def verdicts(data: Path | None, wanted: Iterable[int], why: str) -> dict[int, bool]:
    """What the official evaluator said of the samples `wanted`: verdicts.json maps their indices to true and false.

    Raises BadInput, which says `why` they cannot be judged here, where the file or a sample is missing.
    """
    asked = sorted(set(wanted))
    if not asked:
        return {}
    path = folder(data) / VERDICTS
    if not path.is_file():
        raise BadInput(f"{len(asked)} samples {why}; put its verdicts by sample index into {path} (true or false).")
    found = document(path)
    told = {index: found.get(str(index)) for index in asked} if isinstance(found, dict) else {}
    silent = [index for index in asked if not isinstance(told.get(index), bool)]
    if silent:
        raise BadInput(
            f"{path} says neither true nor false of sample {silent[0]}: let the official evaluator judge all."
        )
    return {index: bool(verdict) for index, verdict in told.items()}


def _lines(path: Path) -> list[Mapping[str, Any]]:
    try:
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, ValueError, RecursionError) as error:
        raise BadInput(f"{path} is no readable JSON ({error}): fetch the data set anew.") from error


def _rows(content: Any) -> list[Mapping[str, Any]]:
    if isinstance(content, dict) and all(isinstance(column, dict) for column in content.values()):
        indices = sorted({index for column in content.values() for index in column}, key=_order)
        return [{name: column[index] for name, column in content.items() if index in column} for index in indices]
    return content if isinstance(content, list) else []


def _order(index: str) -> tuple[int, str]:
    return (int(index), "") if index.isdecimal() else (1 << 62, index)

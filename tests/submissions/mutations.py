"""Single faults, each a change of a copy of the golden tree with the Findings that it must give, and no others."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from audit.requested import pairs
from audit.summary import SECTION, parameters
from loadgen_harness import summary_log

HOME = Path("closed/Acme")
SYSTEM = HOME / "systems/toybox_1x_cpu.json"
RESULT = HOME / "results/toybox_1x_cpu/resnet50"
SINGLE, MULTI, OFFLINE = (RESULT / scenario for scenario in ("SingleStream", "MultiStream", "Offline"))
OPEN_HOME = Path("open/Acme")
OPEN = OPEN_HOME / "results/toybox_1x_cpu/my-toy-net/Offline"
RUN = "performance/run_1"
DETAIL, SUMMARY = "mlperf_log_detail.txt", "mlperf_log_summary.txt"
Change = Callable[[Path], object]
Wanted = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Mutation:
    """One fault: how it is made, and (check, key) of each Finding but notes, in their order."""

    change: Change
    wanted: Wanted


def one(check: str, key: str) -> Wanted:
    """A single Finding."""
    return ((check, key),)


def copied(source: Path, target: Path) -> Path:
    """A copy of a tree whose files are links: changes replace files, so the source stays as it is."""
    return Path(shutil.copytree(source, target, copy_function=os.link))


def put(path: Path, content: bytes | str) -> None:
    """Write a file anew, under folders as needed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)


def write(name: Path, content: bytes | str) -> Change:
    """A file with other content."""
    return lambda tree: put(tree / name, content)


def remove(name: Path) -> Change:
    """A file or folder less."""
    return lambda tree: shutil.rmtree(tree / name) if (tree / name).is_dir() else (tree / name).unlink()


def edit(name: Path, old: str, new: str) -> Change:
    """A text of a file replaced, wherever it stands."""

    def change(tree: Path) -> None:
        text = (tree / name).read_text()
        assert old in text, f"{old!r} is not in {name}"
        put(tree / name, text.replace(old, new))

    return change


def json_key(name: Path, key: str, value: object = None) -> Change:
    """A key of a JSON file with another value; None takes it out."""

    def change(tree: Path) -> None:
        content = {**json.loads((tree / name).read_text()), key: value}
        put(tree / name, json.dumps({k: v for k, v in content.items() if v is not None}))

    return change


def detail(folder: Path, **values: object) -> Change:
    """Values of a detail log replaced; keys spell "." as "__". A setting in effect is what was asked for, too."""

    def change(tree: Path) -> None:
        path = tree / folder / DETAIL
        text = path.read_text()
        asked = {key: each for key, each in pairs(_scenario(text)).items() if f'"key": "{each}"' in text}
        changes = {name.replace("__", "."): value for name, value in values.items()}
        changes |= {asked[key]: value for key, value in changes.items() if key in asked and asked[key] not in changes}
        for key, value in changes.items():
            pattern = re.compile(rf'("key": "{re.escape(key)}", "value": )("(?:[^"\\]|\\.)*"|[^,]*)(, "time_ms")')
            said = json.dumps(value).replace("\\", "\\\\")
            text, count = pattern.subn(rf"\g<1>{said}\g<3>", text)
            assert count, f"{key} is not in {path}"
        put(path, text)

    return change


def _scenario(text: str) -> str:
    """The scenario of a detail log."""
    found = re.search(r'"key": "effective_scenario", "value": "(\w+)"', text)
    return found[1] if found else ""


def summary(folder: Path, **values: object) -> Change:
    """The same figures of a summary replaced, where it has them."""

    def change(tree: Path) -> None:
        path = tree / folder / SUMMARY
        wanted = {name.replace("__", "."): value for name, value in values.items()}
        lines = path.read_text().splitlines()
        streams, below = "MultiStream" in lines[4], False
        for at, text in enumerate(lines):
            below = below or text == SECTION
            found = [*parameters([SECTION, text])] if below else [*summary_log.read(text.encode())]
            key = next(iter(found), "")
            key = re.sub("(?=latency_ns$)", "per_query_" if "percentile" in key else "query_", key) if streams else key
            if key in wanted:
                value = wanted[key]
                yes, no = (1, 0) if below else ("Yes", "NO")
                said = (yes if value else no) if isinstance(value, bool) else value
                lines[at] = f"{text.partition(':')[0]}: {said}"
        put(path, "\n".join(lines) + "\n")

    return change


def both(folder: Path, **values: object) -> Change:
    """Figures replaced in both logs."""
    return together(detail(folder, **values), summary(folder, **values))


def together(*changes: Change) -> Change:
    """Several changes that make one fault."""

    def change(tree: Path) -> None:
        for each in changes:
            each(tree)

    return change


def copy(source: Path, target: Path) -> Change:
    """A folder or file copied over another."""

    def change(tree: Path) -> None:
        if (tree / source).is_dir():
            shutil.rmtree(tree / target, ignore_errors=True)
            shutil.copytree(tree / source, tree / target, copy_function=os.link)
        else:
            put(tree / target, (tree / source).read_bytes())

    return change


def swap(one: Path, other: Path) -> Change:
    """Two folders in each other's place."""
    spare = one.with_name("spare")

    def change(tree: Path) -> None:
        (tree / one).rename(tree / spare)
        (tree / other).rename(tree / one)
        (tree / spare).rename(tree / other)

    return change


def line(folder: Path, key: str, value: object, *, error: bool = False) -> Change:
    """A line more in a detail log; the summary counts a warning or an error."""
    notes = {"is_error": error, "is_warning": key.startswith("warning"), "file": "loadgen.cc", "line_no": 1}
    record = {"key": key, "value": value, "namespace": "mlperf::logging", "metadata": notes}

    def change(tree: Path) -> None:
        path = tree / folder / DETAIL
        text = path.read_text()
        last = re.findall(r'"time_ms": ([\d.]+)', text)[-1]
        put(path, text + ":::MLLOG " + json.dumps({**record, "time_ms": float(last)}) + "\n")
        none, some = ("errors", "ERRORS") if error else ("warnings", "warning")
        if error or notes["is_warning"]:
            edit(folder / SUMMARY, f"No {none} encountered during test.", f"1 {some} encountered. See detailed log.")(
                tree
            )

    return change


def accuracy_text(tree_part: Path, text: str) -> Change:
    """accuracy.txt with another figure and the hash that it had."""

    def change(tree: Path) -> None:
        path = tree / tree_part / "accuracy/accuracy.txt"
        put(path, text + "\n\n" + path.read_text().splitlines()[-1] + "\n")

    return change


def hashed(place: Path, digest: Callable[[bytes], str]) -> Change:
    """accuracy.txt with another hash, made of the truncated log's bytes."""

    def change(tree: Path) -> None:
        text = (tree / place / "accuracy.txt").read_text()
        new = digest((tree / place / "mlperf_log_accuracy.json").read_bytes())
        put(tree / place / "accuracy.txt", re.sub(r"^hash=.*$", f"hash={new}", text, flags=re.MULTILINE))

    return change


def sha256(content: bytes) -> str:
    """A digest as accuracy.txt holds it."""
    return hashlib.sha256(content).hexdigest()

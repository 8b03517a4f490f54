"""One to five stars for energy within a named set of runs, after the method of the AI Energy Score.

That method (huggingface.github.io/AIEnergyScore, "What do the star ratings mean?") takes the watt-hours of the GPUs for
1,000 queries of each model of a task, cuts the range from the least to the most into five equal sections, and gives the
lowest five stars. So does this, with two differences that every output states: what is measured may be any scope that
all runs of the set share, and a query is one sample, since LoadGen's Offline puts all samples into one query.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loadgen_harness.errors import BadInput
from loadgen_harness.run import Run
from power import energy
from power.amount import Amount, Mean, mean
from power.figures import JOULES_PER_WH, Energy
from power.parts import overlap

MOST, FEWEST = 5, 5  # stars; entries of a set: fewer than bands would leave some empty whatever was measured
BOARD = "board"
RULE = (
    "the range of the set, from its least to its most Wh per 1,000 samples, in five equal bands;"
    " the lowest band has five stars"
)
SAME = ("benchmark", "scenario", "round")


@dataclass(frozen=True)
class Entry:
    """One member of a set: its name, its runs, its watt-hours for 1,000 samples."""

    name: str
    runs: tuple[Run, ...]
    wh: Mean


@dataclass(frozen=True)
class ReferenceSet:
    """A named set of runs of one task and scope; `digest` changes with whatever is in it."""

    name: str
    scope: str
    task: Mapping[str, str]
    entries: tuple[Entry, ...]
    digest: str

    @property
    def range_wh(self) -> tuple[float, float]:
        """The least and the most Wh for 1,000 samples."""
        values = [entry.wh.amount.value for entry in self.entries]
        return min(values), max(values)

    def stars(self, wh: float) -> int:
        """Stars of so many Wh for 1,000 samples; beyond the ends of the range they are those of its ends."""
        low, high = self.range_wh
        band = int(MOST * (wh - low) / (high - low))
        return MOST - min(max(band, 0), MOST - 1)


@dataclass(frozen=True)
class Rating:
    """Stars of some runs within a set: `least` and `most` are those of the ends of the interval."""

    stars: int
    least: int
    most: int
    wh: Amount
    member: str  # the entry of the set that the runs are, "" for runs that are none
    within: ReferenceSet

    def text(self) -> str:
        """The rating in a sentence, with the set that it holds in."""
        given = self.within
        low, high = given.range_wh
        sure = "" if self.least == self.most else f" ({self.least} to {self.most} within the interval)"
        kind = f"a member, {self.member}" if self.member else "not a member"
        return (
            f"{self.stars} of {MOST} stars{sure} within {given.name!r}: {len(given.entries)} entries from {low:.4g} to"
            f" {high:.4g} Wh per 1,000 samples, scope {given.scope}, digest {given.digest[:12]}; {kind}"
        )


def read(path: Path) -> ReferenceSet:
    """The set of a TOML file, or of a folder whose folders are its entries; raises BadInput for one that is none."""
    name, scope, given = _listed(path) if path.is_dir() else _file(path)
    found = {entry: runs_of(places) for entry, places in given.items()}
    return _set(name, scope, found)


def rate(runs: Sequence[Run], within: ReferenceSet) -> Rating:
    """The stars of runs of one task; raises BadInput where they do not fit the set."""
    for run in runs:
        for key, value in task(run).items():
            if within.task[key] != value:
                raise BadInput(
                    f"{run.path} does not fit the set {within.name!r}: its {key} is {value or 'unknown'}, the set's is"
                    f" {within.task[key] or 'unknown'}; give a set of its own task."
                )
    wh = mean([wh_of(run, within.scope) for run in runs]).amount
    member = next((entry.name for entry in within.entries if _paths(entry.runs) == _paths(runs)), "")
    ends = within.stars(wh.high), within.stars(wh.low)
    return Rating(within.stars(wh.value), *ends, wh, member, within)


def task(run: Run) -> dict[str, str]:
    """What all runs of a set share."""
    benchmark = run.spec.get("benchmark") or run.log.get("sut_name") or ""
    scenario = run.spec.get("scenario") or run.scenario
    return {"benchmark": str(benchmark), "scenario": str(scenario), "round": str(run.meta.get("round") or "")}


def wh_of(run: Run, scope: str) -> Amount:
    """Wh for 1,000 samples that meters of this scope measured; raises BadInput where none did."""
    if not run.valid:
        raise BadInput(f"{run.path} is INVALID and takes no part in stars: {'; '.join(run.invalid_reasons)}")
    found = measured(run, scope)
    samples = found[0].samples_done if found else None
    if not found or not samples:
        kind = f"was measured with scope {scope}" if not found else "says how many samples there were"
        raise BadInput(f"{run.path} takes no part in stars: nothing in it {kind}; estimates never count.")
    factor = 1000 / samples / JOULES_PER_WH
    total = Amount(0, 0, 0)
    for each in found:
        total = total.plus(Amount(each.joules, each.joules_low, each.joules_high).times(factor))
    return total


def measured(run: Run, scope: str) -> list[Energy]:
    """The energies of one scope, estimates and what lies inside another left out; of a sum of meters the sum."""
    whole = energy.total(run)
    if whole is not None and whole.scope == scope:
        return [whole]
    chosen: list[Energy] = []
    for each in energy.energies(run):
        apart = not any(overlap(each.parts, other.parts) for other in chosen)
        if each.scope == scope and not each.estimated and apart:
            chosen.append(each)
    return chosen


def runs_of(paths: Sequence[Path]) -> tuple[Run, ...]:
    """Run folders, a folder of repetitions (run-01, run-02, …) standing for them."""
    found: list[Run] = []
    for path in paths:
        repeated = sorted(
            each for each in path.glob("run-*") if each.is_dir() and each.suffix not in (".failed", ".partial")
        )
        found += [Run(each) for each in (repeated if repeated and not Run(path).log else [path])]
    return tuple(found)


def _listed(folder: Path) -> tuple[str, str, Mapping[str, list[Path]]]:
    entries = sorted(each for each in folder.iterdir() if each.is_dir() and each.suffix not in (".failed", ".partial"))
    return folder.resolve().name, "", {each.name: [each] for each in entries}


def _file(path: Path) -> tuple[str, str, Mapping[str, list[Path]]]:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(
            f"cannot read the set {path}: {error.strerror}; give a folder or TOML file, see docs/energy.md."
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"the set {path} is not TOML: {error}.") from error
    try:
        given = {str(row["name"]): [path.parent / each for each in _strings(row["runs"])] for row in content["entry"]}
        return str(content["name"]), str(content.get("scope", "")), given
    except (KeyError, TypeError) as error:
        raise BadInput(
            f"the set {path} is no set ({error!r}): it takes name, and [[entry]] tables with name and runs."
        ) from error


def _strings(value: Any) -> list[str]:
    if not isinstance(value, list) or not value or not all(isinstance(each, str) for each in value):
        raise TypeError("runs must be a list of folders")
    return value


def _set(name: str, scope: str, given: Mapping[str, Sequence[Run]]) -> ReferenceSet:
    if len(given) < FEWEST:
        raise BadInput(
            f"the set {name!r} has {len(given)} entries: five bands take at least {FEWEST}; add runs of other systems."
        )
    every = [run for runs in given.values() for run in runs]
    shared = task(every[0])
    for run in every:
        for key, value in task(run).items():
            if value != shared[key]:
                raise BadInput(
                    f"the set {name!r} mixes {key} {shared[key] or 'unknown'} and {value or 'unknown'} ({run.path}):"
                    " make a set for each."
                )
    scope = scope or _scope(name, every)
    entries = tuple(Entry(each, tuple(runs), mean([wh_of(run, scope) for run in runs])) for each, runs in given.items())
    found = ReferenceSet(name, scope, shared, entries, _digest(name, scope, entries))
    low, high = found.range_wh
    if not high > low:
        raise BadInput(f"all entries of the set {name!r} took the same energy: there is no range to cut into bands.")
    return found


def _scope(name: str, runs: Sequence[Run]) -> str:
    """The accelerators' boards where every run has them, as in the AI Energy Score, else the one scope of all runs."""
    if all(measured(run, BOARD) for run in runs):
        return BOARD
    scopes = {whole.scope if whole else "" for whole in map(energy.total, runs)}
    if "" in scopes:
        lacking = next(run for run in runs if energy.total(run) is None)
        raise BadInput(
            f"{lacking.path} of the set {name!r} was not measured: no meter exists there, estimates never count."
        )
    if len(scopes) > 1:
        raise BadInput(
            f"the set {name!r} mixes scopes ({', '.join(sorted(scopes))}): name one that all runs have with `scope`."
        )
    return scopes.pop()


def _paths(runs: Sequence[Run]) -> set[Path]:
    return {run.path.resolve() for run in runs}


def _digest(name: str, scope: str, entries: Sequence[Entry]) -> str:
    """SHA-256 over the name, the scope and what each entry's runs logged."""
    whole = hashlib.sha256(f"{name}\n{scope}\n".encode())
    for entry in sorted(entries, key=lambda each: each.name):
        for content in sorted(_content(entry)):
            whole.update(f"{entry.name}\n{content}\n".encode())
    return whole.hexdigest()


def _content(entry: Entry) -> Iterator[str]:
    for run in entry.runs:
        files = [
            run.file("mlperf_log_detail.txt"),
            run.file("spl.txt"),
            *sorted(run.file("power").glob("*.csv")),
            run.file("power/meters.json"),
        ]
        yield " ".join(hashlib.sha256(path.read_bytes()).hexdigest() for path in files if path.is_file())

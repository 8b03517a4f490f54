"""What an audit is given: the audited run, what repeats it, where the new runs go, who scores answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from audit.verdict import Scorer
from loadgen_harness import conf
from loadgen_harness.errors import BadInput
from loadgen_harness.run import Run
from loadgen_harness.types import Benchmark, Division, RunSpec, Scenario, TestMode

Launcher = Callable[[RunSpec], Run]
Plan = Mapping[str, RunSpec]  # the runs of an audit by name, in the order in which they are made
Runs = Mapping[str, Run]
FEWEST = 2  # repetitions: a verdict is never read from a single pair


@dataclass(frozen=True)
class Subject:
    """An audited run and how it is audited; `runs` is the number of repetitions, or of pairs of runs."""

    run: Run
    benchmark: Benchmark
    output: Path
    runs: int
    score: Scorer

    def __post_init__(self) -> None:
        """Refuse an audit that could decide nothing."""
        if self.runs < FEWEST:
            raise BadInput(f"--runs must be at least {FEWEST}: a verdict is never read from a single pair.")

    def spec(self, name: str, **changes: Any) -> RunSpec:
        """The audited run once more, into the folder called `name`; `overrides` are added to the run's own."""
        base = spec_of(self.run)
        overrides = {**base.overrides, **changes.pop("overrides", {})}
        return replace(base, output=self.output / name, overrides=overrides, **changes)


def spec_of(run: Run) -> RunSpec:
    """The spec behind a finished performance run, with the rates that were calibrated for it and the driver it had.

    Raises BadInput for any other folder.
    """
    timed = run.mode in (TestMode.PERFORMANCE, TestMode.SUBMISSION)
    if not run.spec or not timed or run.spec.get("test") or not run.file("user.conf").is_file():
        raise BadInput(f"{run.path} holds no performance run of this suite: give the folder of one.")
    known = {field.name for field in fields(RunSpec)} - {"user_conf", "overrides"}
    values: dict[str, Any] = {key: value for key, value in run.spec.items() if key in known and value is not None}
    kinds = {"scenario": Scenario, "mode": TestMode, "division": Division, "data_dir": Path, "model": Path}
    values |= {key: kind(values[key]) for key, kind in kinds.items() if key in values}
    stated = conf.select(conf.read(run.file("user.conf")), str(run.meta["benchmark"]["model_name"]), values["scenario"])
    return RunSpec(**values | {"output": run.path, "driver": str(run.meta.get("driver", "")), "overrides": stated})


def interleaved(first: str, second: str, pairs: int) -> Iterator[tuple[int, str]]:
    """(pair from 1, which): A B, B A, A B, … so that a steady drift of the machine weighs on both alike."""
    for number in range(1, pairs + 1):
        for which in (first, second) if number % 2 else (second, first):
            yield number, which


def numbered(which: str, number: int) -> str:
    """The name of one of several like runs."""
    return f"{which}-{number:02}"


def carry_out(plan: Plan, launcher: Launcher) -> dict[str, Run]:
    """Every run of a plan, one after the other."""
    return {name: launcher(spec) for name, spec in plan.items()}

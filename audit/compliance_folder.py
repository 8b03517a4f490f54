"""Judges the folder of a compliance test's run, whoever made it, and writes the verify_*.txt of the submission."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from audit.case import ACCURACY_LOG, DETAIL
from audit.compliance import _settings
from audit.compliance.test06 import DTYPES
from audit.verdict import ComplianceTest, Scorer, Trial, Verdict
from loadgen_harness import registry, rounds
from loadgen_harness.errors import BadInput, UnknownName
from loadgen_harness.run import Run
from loadgen_harness.types import Benchmark, Round

AUDITED = "the test's run"
OPTIONS = {"reference": "--performance", "accuracy": "--accuracy", "score": "--data"}
INSIDE = ("performance/run_1", "accuracy", "run_1", "performance")  # where a submission keeps a run's logs
WHAT = {
    "reference": "the folder of the submission's performance run",
    "accuracy": "the folder of the accuracy run with its whole log",
    "score": "the labels by which responses are scored",
}


@dataclass(frozen=True)
class Exhibit:
    """The folders that a test is judged by, as LoadGen wrote them, and NumPy's name for the type of a logged token.

    An empty `dtype` means the benchmark's own where it is a type of tokens, else int32.
    """

    audited: Path
    performance: Path | None = None
    accuracy: Path | None = None
    dtype: str = ""


def verify_folder(
    test: str, exhibit: Exhibit, *, benchmark: Benchmark, round_: Round, output: Path, score: Scorer | None = None
) -> Verdict:
    """The verdict on a test's run under the round's settings; its verify_*.txt lie in `output` afterwards.

    Raises UnknownName for a test that is not there or not demanded of the benchmark, BadInput for a folder that is
    missing or holds no LoadGen log.
    """
    judge = _demanded(test, benchmark, round_)
    trial = Trial(
        audit=logs(exhibit.audited, AUDITED),
        settings=_settings.merged(judge.name, round_.rules(benchmark.name)),
        reference=logs(exhibit.performance, OPTIONS["reference"]) if exhibit.performance else None,
        accuracy=logs(exhibit.accuracy, OPTIONS["accuracy"], ACCURACY_LOG) if exhibit.accuracy else None,
        score=score,
        dtype=_dtype(exhibit.dtype, benchmark),
    )
    missing = [need for need in judge.needs if getattr(trial, need) is None]
    if missing:
        wanted = " and ".join(f"{OPTIONS[need]} ({WHAT[need]})" for need in missing)
        raise BadInput(f"{judge.name} cannot be judged without {wanted}.")
    verdict = judge.judge(trial)
    write(verdict, output)
    return verdict


def round_of(run: Run) -> Round:
    """The round that a run says it obeys, else the newest official one with the seeds in its log; raises BadInput."""
    if named := run.spec.get("round"):
        return rounds.load(str(named))
    seeds = {name: run.log.get(f"effective_{name}_rng_seed") for name in ("qsl", "sample_index", "schedule")}
    for name in reversed(rounds.official()):
        if vars(rounds.load(name).seeds) == seeds:
            return rounds.load(name)
    raise BadInput(f"{run.path} was made with the seeds of no known round: {', '.join(rounds.names())}.")


def write(verdict: Verdict, output: Path) -> Iterable[Path]:
    """The verdict's texts in `output`, each under a temporary name first; an existing text is replaced."""
    written = []
    for name, text in verdict.files.items():
        path = output / name
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f"{path.name}.partial")
        partial.write_text(text, encoding="utf-8")
        os.replace(partial, path)
        written.append(path)
    return written


def _demanded(test: str, benchmark: Benchmark, round_: Round) -> ComplianceTest:
    """The test called `test` in any spelling."""
    name = test.lower()
    if name not in registry.names(registry.TESTS):
        raise UnknownName("compliance test", test, [each.upper() for each in registry.names(registry.TESTS)])
    found: ComplianceTest = registry.load(registry.TESTS, name)
    rules = round_.rules(benchmark.name)
    tests = {*rules.tests, *rules.test_settings}
    if found.name not in tests:
        raise UnknownName(f"compliance test of {benchmark.name} in round {round_.name}", found.name, tests)
    return found


def logs(folder: Path, what: str, file: str = DETAIL) -> Run:
    """The run in a folder of logs; raises BadInput with the folder below it that is wanted, where there is one."""
    if (folder / file).is_file():
        return Run(folder)
    if not folder.is_dir():
        raise BadInput(f"{what}: {folder} is no folder; give the one that LoadGen wrote its logs into.")
    below = [folder / each for each in INSIDE if (folder / each / file).is_file()]
    if below:
        raise BadInput(f"{what}: {folder} holds no {file} itself; give {' or '.join(map(str, below))}.")
    raise BadInput(f"{what}: {folder} holds no {file}; give the folder that LoadGen wrote.")


def _dtype(asked: str, benchmark: Benchmark) -> str:
    if asked and asked not in DTYPES:
        raise UnknownName("type of tokens", asked, DTYPES)
    return asked or (benchmark.response_dtype if benchmark.response_dtype in DTYPES else "int32")

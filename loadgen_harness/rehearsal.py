"""LoadGen's settings for one run, seen without the run: `python -m loadgen_harness.rehearsal FOLDER` asks one query.

`… rehearsal FOLDER MODEL SCENARIO` writes what LoadGen's own mlperf.conf says of a model instead. A process of its own
each time: LoadGen reads its configuration once in a process.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

from loadgen_harness import child, registry, rounds, settings
from loadgen_harness.progress import Counters
from loadgen_harness.qsl import QuerySampleLibrary
from loadgen_harness.sut import Driver, Ids, Indices, SystemUnderTest
from loadgen_harness.types import Benchmark, TestMode
from loadgen_harness.workers import Batching

ACCOUNT, BUILT_IN = "rehearsal.json", "built-in.json"
SLOW_NS = 1_000_000_000  # a latency so long that LoadGen generates few queries
RATE = 100.0  # of Server: its first query comes soon, and 600 s hold few
RUSH = 1e6  # of Server in accuracy runs, which no count ends: LoadGen asks for every sample of the data set
TOKENS = 2
LARGEST = 4096  # samples answered at once


class Answering(SystemUnderTest):
    """Answers at once with nothing in it, and reports tokens where they are timed."""

    def __init__(self, driver: Driver, *, tokens: bool) -> None:
        """Answer to `driver`."""
        self._driver, self._tokens = driver, tokens

    def issue(self, ids: Ids, indices: Indices) -> None:
        """Answer these samples."""
        count = len(ids)
        if self._tokens:
            self._driver.first_token(ids, [bytes(4)] * count)
        answers = [bytes(4 * TOKENS)] * count
        self._driver.complete(ids, answers, [TOKENS] * count if self._tokens else None)


class Counted(QuerySampleLibrary):
    """As many samples as the real library has, and nothing in them."""

    def read(self, index: int) -> Any:
        """Nothing."""
        return index

    def load(self, indices: Iterable[int]) -> None:
        """Load nothing."""

    def unload(self, indices: Iterable[int]) -> None:
        """Forget nothing."""


def main() -> NoReturn:
    """Do what the command line says, and leave without the exit handlers of anything that was imported."""
    folder = Path(sys.argv[1])
    child.prepare_process()
    try:
        if len(sys.argv) > 2:
            built_in(folder, sys.argv[2], sys.argv[3])
        else:
            rehearse(folder)
        code = 0
    except BaseException as error:
        known, message = child.told(error)
        _write(folder / ACCOUNT, {"known": known, "message": message})
        code = child.FAILED
    sys.stderr.flush()
    os._exit(code)


def rehearse(folder: Path) -> None:
    """One query under the settings of the spec in `folder`; LoadGen's logs tell which came into effect."""
    spec = child.read_spec(folder)
    round_ = rounds.load(spec.round)
    benchmark: Benchmark = registry.load(registry.BENCHMARKS, spec.benchmark)
    plan = settings.plan(spec, benchmark, round_)
    variant = benchmark.variant(spec.scenario, spec.mode, spec.test, round_)
    real = registry.part(benchmark.name, "qsl").QSL(variant, spec.data_dir)
    library = Counted(total_count=real.total_count, performance_count=real.performance_count)
    (folder / "user.conf").write_text(plan.user_conf, encoding="utf-8")
    driver_class = child.choose_driver(spec.driver, plan.settings)
    counters = Counters(folder / "progress.bin", create=True)
    driver = driver_class(Batching(max_batch=LARGEST), counters, _fail(folder))
    sut = Answering(driver, tokens=plan.settings.use_token_latencies)
    driver.start_test(sut, library, replace(plan, settings=one_query(plan.settings, spec.mode)), folder, inline=True)
    driver.stop()


def one_query(chosen: settings.TestSettings, mode: TestMode) -> settings.TestSettings:
    """Settings that end after the first query (accuracy: soon), and otherwise come into effect as the run's do."""
    return replace(
        chosen,
        max_query_count=1,
        single_stream_expected_latency_ns=SLOW_NS,
        multi_stream_expected_latency_ns=SLOW_NS,
        server_target_qps=RUSH if mode is TestMode.ACCURACY else RATE,
        server_num_issue_query_threads=0,
        offline_expected_qps=1.0,
    )


def built_in(folder: Path, model: str, scenario: str) -> None:
    """Write every setting that FromConfig makes for a model, with nothing in user.conf."""
    (folder / "user.conf").write_text("", encoding="utf-8")
    made = _module().TestSettings()
    made.FromConfig(str(folder / "user.conf"), model, scenario)
    names = [name for name in dir(made) if not name.startswith("_") and not callable(getattr(made, name))]
    _write(folder / BUILT_IN, {name: repr(getattr(made, name)) for name in names})


def _module() -> Any:
    """LoadGen's binding, or our bridge where only that is there."""
    if not child.bridge_missing():
        from loadgen_harness.native import presence

        return presence.load()
    return registry.load_module("loadgen_harness.loadgen", "a rehearsal").lg


def _fail(folder: Path) -> Any:
    """What ends this process with the cause, since LoadGen cannot be aborted."""

    def fail(error: BaseException) -> NoReturn:
        _write(folder / ACCOUNT, {"known": False, "message": child.told(error)[1]})
        os._exit(child.FAILED)

    return fail


def _write(path: Path, data: dict[str, Any] | Sequence[str]) -> None:
    path.write_text(json.dumps(data, default=str), encoding="utf-8")


if __name__ == "__main__":
    main()

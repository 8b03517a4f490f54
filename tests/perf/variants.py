"""The systems under test that are compared, and the one function that gives all of them the same settings."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from loadgen_harness import registry, rounds, settings
from loadgen_harness.errors import RunFailed
from loadgen_harness.launch import launch
from loadgen_harness.run import Run
from loadgen_harness.types import Division, RunSpec, Scenario, TestMode

PLUGIN = Path(__file__).with_name("plugin")  # a distribution with the benchmarks `instant` and `echo`
SPIN_US = 50.0
TIMEOUT_S = 300.0
CPP = "C++"


@dataclass(frozen=True)
class Variant:
    """A null system under test: the way to LoadGen (C++ itself, or a driver) and where it answers."""

    name: str
    driver: str
    worker: str  # of C++: inline or queue
    spin_us: float = 0.0
    postprocess: str = ""
    whole: bool = False  # C++ alone: complete whatever waits with one call, however much it is


CPP_INLINE = Variant("C++ inline", CPP, "inline")
CPP_QUEUE = Variant("C++ queue", CPP, "queue")
CPP_WHOLE = Variant("C++ queue, one completion", CPP, "queue", whole=True)
CPP_SPIN = Variant("C++ queue, spinning", CPP, "queue", SPIN_US)
PYTHON_INLINE = Variant("Python binding, inline", "python", "inline")
PYTHON_THREAD = Variant("Python binding, thread", "python", "thread")
NATIVE_INLINE = Variant("bridge, inline", "native", "inline")
NATIVE_THREAD = Variant("bridge, thread", "native", "thread")
NATIVE_THREAD_SPIN = Variant("bridge, thread, spinning", "native", "thread", SPIN_US)
NATIVE_PROCESS = Variant("bridge, process", "native", "process")
NATIVE_APART = Variant("bridge, process, respond apart", "native", "process", postprocess="process")
NATIVE_PROCESS_SPIN = Variant("bridge, process, spinning", "native", "process", SPIN_US)

YARDSTICKS = {  # a variant -> what its ratio is to
    "": CPP_QUEUE.name,
    PYTHON_INLINE.name: CPP_INLINE.name,
    NATIVE_INLINE.name: CPP_INLINE.name,
    NATIVE_THREAD_SPIN.name: CPP_SPIN.name,
    NATIVE_PROCESS_SPIN.name: CPP_SPIN.name,
}
RATIOS = "ratio to the C++ queue; of inline ones to C++ inline, of spinning ones to the spinning C++ queue"


@dataclass(frozen=True)
class Probe:
    """One LoadGen test, the same for every variant: scenario, user.conf keys, samples in a batch."""

    scenario: Scenario
    overrides: Mapping[str, float]
    max_batch: int
    benchmark: str = "instant"
    environment: Mapping[str, str] = field(default_factory=dict)  # what keeps the machine busy
    max_wait_ms: float = 0.0  # of the harness's batching; the C++ programs take what is there

    @property
    def key(self) -> tuple[object, ...]:
        """Equal for probes of equal settings."""
        return self.benchmark, self.scenario, tuple(sorted(self.overrides.items())), self.max_batch

    def spec(self, variant: Variant, output: Path) -> RunSpec:
        """The run of `variant`."""
        python: dict[str, Any] = {} if variant.driver == CPP else {"driver": variant.driver, "worker": variant.worker}
        return RunSpec(
            benchmark=self.benchmark,
            backend="busy",
            scenario=self.scenario,
            mode=TestMode.PERFORMANCE,
            output=output,
            round="bench",
            division=Division.OPEN,
            max_batch=self.max_batch,
            max_wait_ms=self.max_wait_ms,
            overrides=self.overrides,
            spin_us=variant.spin_us,
            postprocess=variant.postprocess,
            **python,
        )


@dataclass(frozen=True)
class Ended:
    """What remains of a run when its folder is gone: LoadGen's verdict and log, peak memory, bytes of samples.npy."""

    valid: bool
    log: Mapping[str, object]
    peak_bytes: int
    record_bytes: int

    def number(self, key: str) -> float:
        """A figure of LoadGen's log; raises RunFailed where it is not there."""
        value = self.log.get(key)
        if not isinstance(value, int | float):
            raise RunFailed(f"LoadGen logged no {key}")
        return float(value)

    @property
    def settings(self) -> dict[str, object]:
        """The settings that LoadGen says it obeyed."""
        return {key: value for key, value in self.log.items() if key.startswith("effective_")}


def run(variant: Variant, probe: Probe, folder: Path, program: Path) -> Ended:
    """Run one test in a process of its own; `folder` must not exist."""
    spec = probe.spec(variant, folder)
    if variant.driver == CPP:
        folder.mkdir(parents=True)
        beside = [sys.executable, "-m", "lgh_bench.busy"] if probe.environment else []
        with environment(probe.environment):
            peak = _run_program([*beside, str(program), *arguments(variant, spec)])
        ended = Run(folder)
    else:
        with environment(probe.environment):
            ended = launch(spec)
        peak = int(ended.meta["memory"]["host_peak_bytes"])
    if not ended.finished:
        raise RunFailed(f"{variant.name} ended without a result in LoadGen's log")
    record = ended.file("samples.npy")
    return Ended(ended.valid, dict(ended.log), peak, record.stat().st_size if record.exists() else 0)


def arguments(variant: Variant, spec: RunSpec) -> list[str]:
    """The C++ program's command line for the settings that a Python run of `spec` would have."""
    benchmark, round_ = registry.load(registry.BENCHMARKS, spec.benchmark), rounds.load(spec.round)
    chosen = settings.plan(spec, benchmark, round_).settings
    library = benchmark.variant(spec.scenario, spec.mode, spec.test, round_)
    whole = max(chosen.min_query_count, spec.max_batch)
    values = {
        "sut": variant.worker,
        "output": str(spec.output),
        "total": library.total_count,
        "loaded": library.performance_count,
        "max_batch": whole if variant.whole else spec.max_batch,
        "spin_us": spec.spin_us,
        **{each.name: getattr(chosen, each.name) for each in fields(chosen)},
    }
    return [text for name, value in values.items() for text in (f"--{name}", _text(value))]


def _text(value: object) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)


def _run_program(command: list[str]) -> int:
    """Run the C++ program in a session of its own, as launch() does; returns its peak memory in bytes."""
    program = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        said, complained = program.communicate(timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired as error:
        raise RunFailed(f"the C++ system under test did not end within {TIMEOUT_S:g} s") from error
    finally:
        program.kill()
    if program.returncode:
        raise RunFailed(f"the C++ system under test ended with {program.returncode}: {complained.strip()}")
    return int(said)


@contextmanager
def environment(values: Mapping[str, str]) -> Iterator[None]:
    """Environment variables for the processes that begin inside."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value

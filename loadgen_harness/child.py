"""The child process of one LoadGen run: `python -m loadgen_harness.child FOLDER`, started by launch()."""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import signal
import sys
import traceback
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from loadgen_harness import __version__, calibrate, model_files, registry, rounds, settings, system, weights
from loadgen_harness.errors import BadInput, MissingDependency, SuiteError, UnknownName
from loadgen_harness.progress import Counters, Phase
from loadgen_harness.qsl import QuerySampleLibrary
from loadgen_harness.stream import StreamSUT
from loadgen_harness.sut import BatchSUT, Driver, Fail, LoadGenDriver, SystemUnderTest
from loadgen_harness.types import Benchmark, Division, RunSpec, Scenario, TestMode
from loadgen_harness.workers import Batching, Work, Worker

PR_SET_PDEATHSIG, PR_SET_TIMERSLACK = 1, 29
SWITCH_INTERVAL_S = 1e-4  # of the GIL: the issuing thread must not wait 5 ms for a busy worker
FAILED = 3
DRIVERS = ("native", "python")
BRIDGE = "loadgen_harness.native"


@dataclass(frozen=True)
class Parts:
    """Everything a run is made of."""

    benchmark: Benchmark
    plan: settings.Plan
    backend: Any
    model: Path | None
    chosen: model_files.Chosen
    qsl: QuerySampleLibrary


def main() -> None:
    """Run the spec of the folder named on the command line."""
    folder = Path(sys.argv[1])
    prepare_process(int(sys.argv[2]) if len(sys.argv) > 2 else 0)
    fail = _failure(folder)
    try:
        _run(folder, read_spec(folder), Counters(folder / "progress.bin"), fail)
    except BaseException as error:
        fail(error)


def read_spec(folder: Path) -> RunSpec:
    """The RunSpec that launch() wrote."""
    data = json.loads((folder / "spec.json").read_text(encoding="utf-8"))
    kinds = {"scenario": Scenario, "mode": TestMode, "division": Division, "output": Path}
    optional = {"user_conf": Path, "data_dir": Path, "model": Path}
    data.update({key: kind(data[key]) for key, kind in kinds.items()})
    data.update({key: kind(data[key]) for key, kind in optional.items() if data[key]})
    return RunSpec(**data)


def prepare_process(parent: int = 0) -> None:
    """Die with the parent; sleep precisely (timer slack of 1 ns took p50 at 1,000 queries/s from 109 to 34 us).

    `parent` is who started this process, where that is known: it may be dead by now.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if hasattr(libc, "prctl"):
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        libc.prctl(PR_SET_TIMERSLACK, 1)
        if parent and os.getppid() != parent:  # it died while this process began, of which no signal tells any more
            os._exit(FAILED)
    sys.setswitchinterval(SWITCH_INTERVAL_S)


def told(error: BaseException) -> tuple[bool, str]:
    """Whether the user can mend the cause before a run, and the cause in words."""
    known = isinstance(error, BadInput | UnknownName | MissingDependency)
    return known, str(error) if isinstance(error, SuiteError) else f"{type(error).__name__}: {error}"


def _failure(folder: Path) -> Fail:
    """A callback that ends the process with an account of the cause; LoadGen itself cannot be aborted."""

    def fail(error: BaseException) -> None:
        known, text = told(error)
        message = text if known or isinstance(error, SuiteError) else f"the run failed with {text}"
        account = {"kind": "input" if known else "failure", "message": message}
        try:
            (folder / "error.json").write_text(json.dumps(account), encoding="utf-8")
            traceback.print_exception(error)
            sys.stderr.flush()
        finally:  # also where the disk is full: LoadGen's frames must not see an exception
            os._exit(FAILED)

    return fail


def _run(folder: Path, spec: RunSpec, counters: Counters, fail: Fail) -> None:
    counters.enter(Phase.LOADING)
    parts = assemble(spec)
    worker = build(parts, spec, folder=folder, counters=counters, fail=fail)
    driver, sut = worker.work.driver, worker.work.sut
    parts = begin(worker, parts)
    if isinstance(sut, BatchSUT) and calibrate.wanted(parts.plan):
        parts = replace(parts, plan=calibrate.calibrated(parts.plan, pace(worker)))
    (folder / "user.conf").write_text(parts.plan.user_conf, encoding="utf-8")
    gc.collect()
    gc.freeze()
    counters.enter(Phase.TESTING, _expected(parts))
    driver.start_test(sut, parts.qsl, parts.plan, folder, inline=worker.inline)
    counters.enter(Phase.WRITING)
    described = worker.describe()
    driver.stop()
    worker.close()
    sut.close()
    left_out = driver.save(folder / "samples.npy")
    _write_account(folder, worker, parts, left_out=left_out, described=described)
    if not worker.remote:
        parts.backend.close()
    sys.stderr.flush()
    os._exit(0)  # frameworks' own exit handlers must not turn a finished run into a failed one


def assemble(spec: RunSpec) -> Parts:
    """Names become values: benchmark, settings, backend and data, nothing loaded yet but the library's index."""
    benchmark: Benchmark = registry.load(registry.BENCHMARKS, spec.benchmark)
    round_ = rounds.load(spec.round)
    plan = settings.plan(spec, benchmark, round_)
    backend = registry.load(registry.BACKENDS, spec.backend)(spec.options)
    variant = benchmark.variant(spec.scenario, spec.mode, spec.test, round_)
    chosen = model_files.choose(benchmark, backend, spec.precision)
    model = spec.model or model_files.locate(benchmark, chosen.source)
    qsl = registry.part(benchmark.name, "qsl").QSL(variant, spec.data_dir)
    return Parts(benchmark, plan, backend, model, chosen, qsl)


def load(parts: Parts, sut: SystemUnderTest, spec: RunSpec) -> None:
    """Load the backend and warm it up, untimed; it is told what it has an attribute for (see backends.Backend)."""
    backend = parts.backend
    told: dict[str, Any] = {"max_batch": max(spec.max_batch, 1), "cast": parts.chosen.cast}
    if isinstance(sut, BatchSUT):
        told["calibration"] = lambda: (sut.collate([sample]) for sample in parts.qsl.calibration())
    for name, value in told.items():
        if hasattr(backend, name):
            setattr(backend, name, value)
    backend.load(parts.model, spec.device, parts.chosen.precision)
    if isinstance(sut, BatchSUT) and hasattr(backend, "warm_up"):
        backend.warm_up(sut.collate([parts.qsl.read(0)]))


def build(parts: Parts, spec: RunSpec, *, folder: Path, counters: Counters, fail: Fail) -> Worker:
    """Driver, SUT and worker of a run, nothing loaded or started yet; raises BadInput for what does not go together."""
    driver_class = choose_driver(spec.driver, parts.plan.settings)
    name = worker_for(spec, parts.benchmark, driver_class)
    batching = batching_of(spec)
    driver = driver_class(batching, counters, fail)
    sut = build_sut(parts, driver, fail)
    work = Work(sut, driver, batching, replace(spec, worker=name), folder, fail, parts.backend)
    worker: Worker = registry.load(registry.WORKERS, name)(work)
    return worker


def batching_of(spec: RunSpec) -> Batching:
    """How batches form in a run."""
    return Batching(max(spec.max_batch, 1), int(spec.max_wait_ms * 1e6), int(spec.spin_us * 1e3))


def worker_for(spec: RunSpec, benchmark: Benchmark, driver: type[LoadGenDriver]) -> str:
    """The name of a run's worker; raises BadInput for numbers that are none, and for one that this driver lacks."""
    if spec.replicas < 1:
        raise BadInput(f"--replicas must be at least 1, not {spec.replicas}.")
    if spec.spin_us < 0:
        raise BadInput(f"--spin-us must not be negative, as {spec.spin_us:g} is.")
    name = worker_name(spec, benchmark, driver.name)
    if name == "process" and driver.name == "python":
        remedy = "leave --driver python out." if spec.driver else bridge_missing()
        raise BadInput(f"--worker process needs the native bridge: {remedy}")
    return name


def build_sut(parts: Parts, driver: Driver, fail: Fail) -> SystemUnderTest:
    """The task's SUT; its backend is loaded, and its polling thread started, later."""
    sut: SystemUnderTest = registry.part(parts.benchmark.name, "sut").SUT(parts.backend, parts.qsl, driver)
    if isinstance(sut, StreamSUT):
        sut.fail = fail
    return sut


def begin(worker: Worker, parts: Parts) -> Parts:
    """Load a local backend, start what takes batches; the parts with what LoadGen loads samples into."""
    work = worker.work
    if not worker.remote:
        load(parts, work.sut, work.spec)
        if isinstance(work.sut, StreamSUT):
            work.sut.start()
    work.sut.qsl = worker.library(parts.qsl)
    worker.start()
    return replace(parts, qsl=work.sut.qsl)


def choose_driver(name: str, chosen: settings.TestSettings) -> type[LoadGenDriver]:
    """The driver called `name`; by default the native one where it is built. Raises BadInput where it cannot run."""
    if name not in ("", *DRIVERS):
        raise UnknownName("driver", name, DRIVERS)
    lacking = "" if name == "python" else bridge_missing()
    if name == "native" and lacking:
        raise BadInput(lacking)
    if name != "python" and not lacking:
        native: type[LoadGenDriver] = importlib.import_module(BRIDGE).NativeDriver
        return native
    if chosen.server_num_issue_query_threads > 0:
        raise BadInput(
            "LoadGen's Python binding cannot register the threads of num_issue_query_threads: choose --driver native."
        )
    python: type[LoadGenDriver] = registry.load_module("loadgen_harness.loadgen", "a run").PythonDriver
    return python


def bridge_missing() -> str:
    """Why the native bridge cannot be used and how to get it, empty where it can; its absence breaks nothing."""
    try:
        reason: str = importlib.import_module(BRIDGE).missing()
    except ImportError as error:
        return f"the native bridge is not built ({error}): install loadgen-harness anew where a C++ compiler is."
    return reason


def worker_name(spec: RunSpec, benchmark: Benchmark, driver: str) -> str:
    """The chosen worker; by default no hop, but where LoadGen's thread must not wait for the model (Server).

    Streaming requests are merely submitted, on LoadGen's thread where that is a Python thread anyway.
    """
    if benchmark.streaming:
        return spec.worker or ("thread" if driver == "native" else "inline")
    return spec.worker or ("thread" if spec.scenario.loadgen == "Server" else "inline")


def pace(worker: Worker) -> calibrate.Pace:
    """How fast this layout answers.

    Only replicas of their own multiply the rate: what threads on one backend gain is the backend's secret, and counted
    on where it is not there, a run would last for as many times its duration.
    """
    work = worker.work
    at_once = copies(work.spec) if worker.remote else 1
    return calibrate.Pace(worker.seconds, work.batching.max_batch, at_once, work.driver.name)


def copies(spec: RunSpec) -> int:
    """Replicas of a run: one for each device where several are named."""
    return max(spec.replicas, spec.device.count(",") + 1)


def _expected(parts: Parts) -> int:
    """Samples that LoadGen will issue, 0 where only the clock decides."""
    chosen = parts.plan.settings
    if chosen.mode == TestMode.FIND_PEAK.value:
        return 0
    if chosen.mode == TestMode.ACCURACY.value:
        return chosen.accuracy_sample_count_override or parts.qsl.total_count
    seconds = chosen.min_duration_ms / 1000
    if chosen.scenario == Scenario.OFFLINE.value:
        return max(chosen.min_query_count, int(1.1 * chosen.offline_expected_qps * seconds))
    if chosen.scenario == Scenario.SERVER.value:
        return max(chosen.min_query_count, int(chosen.server_target_qps * seconds))
    return 0


def _write_account(folder: Path, worker: Worker, parts: Parts, *, left_out: int, described: Mapping[str, str]) -> None:
    """What only this process knows of the run, for run.json."""
    work, spec = worker.work, worker.work.spec
    own = system.peak_bytes()
    apart = worker.account()
    peak = own + sum(each["host_peak_bytes"] for each in apart.get("processes", ()))  # what they share counts for each
    account = {
        "suite": {"version": __version__},
        "benchmark": {
            "name": parts.benchmark.name,
            "model_name": parts.plan.model_name,
            "assets": parts.benchmark.assets,
        },
        "settings": asdict(parts.plan.settings),
        "locked": parts.plan.locked,
        "backend": {"name": spec.backend, "wanted_precision": parts.chosen.precision, **described},
        "driver": work.driver.name,
        "harness": {
            "driver": work.driver.name,
            "worker": spec.worker,
            "replicas": copies(spec),
            "pin": spec.pin,
            "spin_us": spec.spin_us,
            "postprocess": spec.postprocess,
            "batching": f"at most {work.batching.max_batch}, waiting up to {spec.max_wait_ms:g} ms",
            **work.driver.account(),
            **apart,
        },
        "versions": _versions(parts.benchmark, spec.backend),
        "model_sha256": weights.digest(parts.model, parts.benchmark.assets),
        "synthetic": parts.benchmark.synthetic,
        "samples_left_out": left_out,
        "host_peak_bytes": peak,
    }
    (folder / "child.json").write_text(json.dumps(account, default=str), encoding="utf-8")


def _versions(benchmark: Benchmark, backend: str) -> Mapping[str, str]:
    """Versions of Python, the harness's own needs, what the backend imports and what the benchmark names."""
    imported = sorted(registry.imports(registry.BACKENDS, backend) - set(sys.stdlib_module_names))
    frameworks = (registry.PACKAGES.get(root, root).partition("[")[0] for root in imported)
    wanted = ("mlcommons-loadgen", "numpy", *frameworks, *benchmark.requirements)
    found = {"python": sys.version.split()[0]}
    for name in dict.fromkeys(wanted):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


if __name__ == "__main__":
    main()

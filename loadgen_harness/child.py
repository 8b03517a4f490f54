"""The child process of one LoadGen run: `python -m loadgen_harness.child FOLDER`, started by launch()."""

from __future__ import annotations

import ctypes
import gc
import hashlib
import json
import os
import resource
import signal
import sys
import traceback
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from loadgen_harness import __version__, calibrate, registry, rounds, settings
from loadgen_harness.errors import BadInput, MissingDependency, SuiteError, UnknownName
from loadgen_harness.progress import Counters, Phase
from loadgen_harness.qsl import QuerySampleLibrary
from loadgen_harness.samples import Recorder
from loadgen_harness.sut import BatchSUT, Fail, SystemUnderTest
from loadgen_harness.types import Benchmark, Division, RunSpec, Scenario, TestMode
from loadgen_harness.workers import Batching

PR_SET_PDEATHSIG, PR_SET_TIMERSLACK = 1, 29
SWITCH_INTERVAL_S = 1e-4  # of the GIL: the issuing thread must not wait 5 ms for a busy worker
FAILED = 3


@dataclass(frozen=True)
class Parts:
    """Everything a run is made of."""

    benchmark: Benchmark
    plan: settings.Plan
    backend: Any
    model: Path | None
    qsl: QuerySampleLibrary


def main() -> None:
    """Run the spec of the folder named on the command line."""
    folder = Path(sys.argv[1])
    prepare_process()
    fail = _failure(folder)
    try:
        _run(folder, read_spec(folder), Counters(folder / "progress.bin"), fail)
    except BaseException as error:
        fail(error)


def read_spec(folder: Path) -> RunSpec:
    """The RunSpec that launch() wrote."""
    data = json.loads((folder / "spec.json").read_text(encoding="utf-8"))
    kinds = {"scenario": Scenario, "mode": TestMode, "division": Division, "output": Path}
    optional = {"user_conf": Path, "data_dir": Path}
    data.update({key: kind(data[key]) for key, kind in kinds.items()})
    data.update({key: kind(data[key]) for key, kind in optional.items() if data[key]})
    return RunSpec(**data)


def prepare_process() -> None:
    """Die with the parent; sleep precisely (timer slack of 1 ns took p50 at 1,000 queries/s from 109 to 34 us)."""
    libc = ctypes.CDLL(None, use_errno=True)
    if hasattr(libc, "prctl"):
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        libc.prctl(PR_SET_TIMERSLACK, 1)
    sys.setswitchinterval(SWITCH_INTERVAL_S)


def _failure(folder: Path) -> Fail:
    """A callback that ends the process with an account of the cause; LoadGen itself cannot be aborted."""

    def fail(error: BaseException) -> None:
        traceback.print_exception(error)
        known = isinstance(error, BadInput | UnknownName | MissingDependency)
        text = str(error) if isinstance(error, SuiteError) else f"{type(error).__name__}: {error}"
        message = text if known or isinstance(error, SuiteError) else f"the run failed with {text}"
        account = {"kind": "input" if known else "failure", "message": message}
        (folder / "error.json").write_text(json.dumps(account), encoding="utf-8")
        sys.stderr.flush()
        os._exit(FAILED)

    return fail


def _run(folder: Path, spec: RunSpec, counters: Counters, fail: Fail) -> None:
    counters.enter(Phase.LOADING)
    parts = assemble(spec)
    parts.backend.load(parts.model, spec.device, spec.precision or parts.benchmark.precisions[0])
    loadgen = registry.load_module("loadgen_harness.loadgen", "a run")  # only now: it imports LoadGen
    recorder = Recorder()
    driver = loadgen.PythonDriver()
    sut = build_sut(spec, parts, driver, recorder, counters, fail)
    if isinstance(sut, BatchSUT) and calibrate.wanted(parts.plan):
        parts = replace(parts, plan=calibrate.calibrated(parts.plan, sut, max(spec.max_batch, 1)))
    (folder / "user.conf").write_text(parts.plan.user_conf, encoding="utf-8")
    gc.collect()
    gc.freeze()
    counters.enter(Phase.TESTING, _expected(parts))
    loadgen.start_test(sut, parts.qsl, parts.plan, folder, fail)
    counters.enter(Phase.WRITING)
    sut.close()
    recorder.save(folder / "samples.npy")
    _write_account(folder, spec, parts, driver.name, recorder.left_out)
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
    model = model_file(benchmark, spec.precision) if backend.needs_model else None
    qsl = registry.part(benchmark.name, "qsl").QSL(variant, spec.data_dir)
    return Parts(benchmark, plan, backend, model, qsl)


def model_file(benchmark: Benchmark, precision: str) -> Path | None:
    """The model's file at one precision: in the benchmark's own package, or inside an asset."""
    chosen = precision or benchmark.precisions[0]
    if chosen not in benchmark.precisions:
        raise UnknownName(f"precision of {benchmark.name}", chosen, benchmark.precisions)
    if chosen not in benchmark.model:
        raise BadInput(f"{benchmark.name} ships no {chosen} model: run it with --backend null.")
    asset, colon, inner = benchmark.model[chosen].rpartition(":")
    if colon:
        from benchmarks._data import assets

        return assets.resolve(asset) / inner
    return Path(registry.part(benchmark.name, "qsl").__file__).parent / inner


def build_sut(
    spec: RunSpec, parts: Parts, driver: Any, recorder: Recorder, counters: Counters, fail: Fail
) -> SystemUnderTest:
    """The task's SUT with its worker or its polling thread."""
    sut = registry.part(parts.benchmark.name, "sut").SUT(parts.backend, parts.qsl, driver, recorder)
    sut.progress = counters
    if parts.benchmark.streaming:
        sut.fail = fail
        sut.start()
        return sut  # type: ignore[no-any-return]
    name = worker_name(spec, parts.benchmark)
    batching = Batching(max(spec.max_batch, 1), int(spec.max_wait_ms * 1e6), threads=1)
    sut.worker = registry.load(registry.WORKERS, name)(sut.run, batching, fail)
    return sut  # type: ignore[no-any-return]


def worker_name(spec: RunSpec, benchmark: Benchmark) -> str:
    """The chosen worker; by default no hop but for Server, where LoadGen's thread must not wait for the model."""
    if benchmark.streaming:
        return "stream"
    return spec.worker or ("thread" if spec.scenario.loadgen == "Server" else "inline")


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


def _write_account(folder: Path, spec: RunSpec, parts: Parts, driver: str, left_out: int) -> None:
    """What only this process knows of the run, for run.json."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    account = {
        "suite": {"version": __version__},
        "benchmark": {
            "name": parts.benchmark.name,
            "model_name": parts.plan.model_name,
            "assets": parts.benchmark.assets,
        },
        "settings": asdict(parts.plan.settings),
        "locked": parts.plan.locked,
        "backend": {"name": spec.backend, **parts.backend.describe()},
        "driver": driver,
        "harness": {
            "driver": driver,
            "worker": worker_name(spec, parts.benchmark),
            "batching": f"at most {max(spec.max_batch, 1)}, waiting up to {spec.max_wait_ms:g} ms",
        },
        "versions": _versions(parts.benchmark),
        "model_sha256": _sha256(parts.model),
        "synthetic": parts.benchmark.synthetic,
        "samples_left_out": left_out,
        "host_peak_bytes": peak,
    }
    (folder / "child.json").write_text(json.dumps(account, default=str), encoding="utf-8")


def _versions(benchmark: Benchmark) -> Mapping[str, str]:
    """Versions of Python and of every loaded distribution that this benchmark or the harness names."""
    wanted = ("mlcommons-loadgen", "numpy", "onnxruntime", "xllamacpp", "torch", *benchmark.requirements)
    found = {"python": sys.version.split()[0]}
    for name in dict.fromkeys(wanted):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _sha256(path: Path | None) -> str:
    if path is None:
        return ""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


if __name__ == "__main__":
    main()

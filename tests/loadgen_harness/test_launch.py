"""Runs through the real LoadGen in real child processes: finished ones are whole, failed ones are a sentence."""

from __future__ import annotations

import json
import re
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from loadgen_harness import launch as launching
from loadgen_harness.errors import BadInput, RunFailed, SuiteError
from loadgen_harness.launch import Status, digests, launch
from loadgen_harness.progress import Phase
from loadgen_harness.run import Run
from loadgen_harness.types import Division, RunSpec, Scenario, TestMode
from tests.fakes import names, tiny

pytestmark = pytest.mark.usefixtures("plugin")

SCENARIOS = (Scenario.SINGLE_STREAM, Scenario.MULTI_STREAM, Scenario.SERVER, Scenario.OFFLINE)
COUNT = 64  # samples of the tiny benchmark
FILES = {
    "child.log",
    "mlperf_log_accuracy.json",
    "mlperf_log_detail.txt",
    "mlperf_log_summary.txt",
    "run.json",
    "samples.npy",
    "user.conf",
}
META = {
    *("format", "suite", "spec", "benchmark", "round", "settings", "locked", "backend", "driver", "versions", "system"),
    *("command", "memory", "harness", "digests", "model_sha256", "started", "wall_s", "synthetic", "samples_left_out"),
}


def check_whole(run: Run, spec: RunSpec) -> None:
    """Nothing beside the run's folder, nothing missing in it, nothing damaged, its digests right."""
    assert names(spec.output.parent) == {spec.output.name}
    assert names(run.path) == FILES
    assert set(run.meta) >= META
    assert run.damage == ()
    assert run.log_errors == ()
    assert run.meta["digests"] == digests(run.path)
    assert set(run.meta["digests"]) == FILES - {"run.json"}
    assert run.spec["benchmark"] == spec.benchmark
    assert run.spec["output"] == spec.output.name
    assert run.meta["locked"] == []
    assert run.meta["memory"]["host_peak_bytes"] > 1 << 20
    assert run.scenario == spec.scenario.loadgen
    assert run.mode == spec.mode


@pytest.mark.parametrize(("scenario", "driver"), [*((each, "") for each in SCENARIOS), (Scenario.SERVER, "python")])
def test_performance(tmp_path: Path, scenario: Scenario, driver: str) -> None:
    paced = {"max_batch": 16, "max_wait_ms": 0.5, "options": {"latency_us": "500"}}
    spec = tiny(tmp_path / "run", scenario=scenario, driver=driver, **paced)
    phases: list[Phase] = []

    def see(status: Status) -> None:
        phases.append(status.phase)

    run = launch(spec, on_progress=see)
    check_whole(run, spec)
    assert run.valid or scenario is not Scenario.SERVER, run.invalid_reasons  # nothing can be late within 2 s
    assert run.result is not None
    assert run.result.value > 0
    assert phases == sorted(phases)
    samples = run.samples
    assert samples is not None
    per_query = 8 if scenario is Scenario.MULTI_STREAM else 1
    counted = "effective_min_sample_count" if scenario is Scenario.OFFLINE else "result_query_count"
    assert len(samples) == run.log[counted] * per_query
    assert len(np.unique(samples["id"])) == len(samples)
    assert set(samples["index"]) <= set(range(COUNT))
    for early, late in pairwise(("issued", "dequeued", "started", "computed", "done")):
        assert (samples[early] <= samples[late]).all()
    assert (samples["scheduled"] <= samples["issued"]).all()
    assert samples["batch"].max() <= 16
    assert run.meta["format"] == 2
    layout = {"worker": "thread" if scenario is Scenario.SERVER else "inline", "replicas": 1, "pin": "", "spin_us": 0}
    assert run.meta["harness"].items() >= {"driver": run.meta["driver"], "postprocess": "", **layout}.items()
    assert run.meta["driver"] == driver or not driver
    assert run.duration_s is not None
    assert run.duration_s > 0


@pytest.mark.parametrize("driver", ["", "python"])
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_accuracy(tmp_path: Path, scenario: Scenario, driver: str) -> None:
    spec = tiny(tmp_path / "run", scenario=scenario, mode=TestMode.ACCURACY, max_batch=16, driver=driver)
    run = launch(spec)
    check_whole(run, spec)
    assert run.valid
    assert run.result is None
    assert Counter(entry.qsl_idx for entry in run.response_entries) == Counter(range(COUNT))
    assert all(data == np.int32(index).tobytes() for index, data in run.responses.items())
    assert run.samples is not None
    assert sorted(run.samples["index"].tolist()) == list(range(COUNT))


STREAMS = [
    (Scenario.SINGLE_STREAM, "", ""),
    (Scenario.INTERACTIVE, "", ""),
    (Scenario.OFFLINE, "", ""),
    (Scenario.INTERACTIVE, "python", "inline"),
    (Scenario.OFFLINE, "python", "thread"),
]


@pytest.mark.parametrize(("scenario", "driver", "worker"), STREAMS)
def test_streaming(tmp_path: Path, scenario: Scenario, driver: str, worker: str) -> None:
    changes = {"benchmark": "tiny_stream", "backend": "null_stream", "options": {"slots": "8"}}
    spec = tiny(tmp_path / "run", scenario=scenario, driver=driver, worker=worker, **changes)
    run = launch(spec)
    check_whole(run, spec)
    assert run.log["requested_use_token_latencies"] is True
    samples = run.samples
    assert samples is not None
    assert (samples["tokens"] == 3 + samples["index"] % 3).all()
    assert (samples["issued"] <= samples["first_token"]).all()
    assert (samples["first_token"] <= samples["done"]).all()
    assert run.meta["driver"] == driver or not driver
    assert run.meta["harness"]["worker"] == worker or not worker


def test_streaming_accuracy(tmp_path: Path) -> None:
    changes = {"benchmark": "tiny_stream", "backend": "null_stream", "mode": TestMode.ACCURACY}
    run = launch(tiny(tmp_path / "run", **changes))
    assert len(run.response_entries) == 32
    for entry in run.response_entries:
        assert entry.token_count == 3 + entry.qsl_idx % 3
        assert np.frombuffer(entry.data, np.int32).tolist() == list(range(1, entry.token_count + 1))
        assert entry.token_data == np.int32(1).tobytes()


@pytest.mark.parametrize("scenario", [Scenario.SINGLE_STREAM, Scenario.SERVER])
def test_submission_run(tmp_path: Path, scenario: Scenario) -> None:
    """Accuracy, then performance in one run: the samples are the timed part's, the responses the other's."""
    spec = tiny(tmp_path / "run", scenario=scenario, mode=TestMode.SUBMISSION)
    run = launch(spec)
    check_whole(run, spec)
    assert sorted(run.responses) == list(range(COUNT))
    assert run.samples is not None
    assert len(run.samples) == run.log["result_query_count"]
    assert set(run.samples["index"]) != set(range(COUNT))  # 48 are in RAM, all 64 only for accuracy
    assert run.result is not None


def test_memory_is_the_run_s_own(tmp_path: Path) -> None:
    """Linux tells a process of its parent's peak as if it were its own."""
    held = np.ones(1 << 26)  # 512 MB here
    run = launch(tiny(tmp_path / "run"))
    assert run.meta["memory"]["host_peak_bytes"] < held.nbytes / 2


def test_find_peak(tmp_path: Path) -> None:
    """A backend of 0.5 ms a query: the peak is below 2,000 queries/s."""
    spec = tiny(
        tmp_path / "run",
        scenario=Scenario.SERVER,
        mode=TestMode.FIND_PEAK,
        division=Division.OPEN,
        options={"latency_us": "500"},
        overrides={"target_qps": 50, "target_latency": 20, "min_duration": 20, "min_query_count": 64},
    )
    run = launch(spec)
    check_whole(run, spec)
    assert run.result is not None
    assert 20 < run.result.value < 2000


def test_two_runs_are_reproducible(tmp_path: Path) -> None:
    """The round's seeds decide which samples come in which order."""
    first, second = (launch(tiny(tmp_path / name, options={"latency_us": "500"})).samples for name in "ab")
    assert first is not None
    assert second is not None
    assert first["index"][:COUNT].tolist() == second["index"][:COUNT].tolist()


def test_closed_locks_reach_run_json(tmp_path: Path) -> None:
    wanted = {"min_query_count": 3, "performance_issue_same": 1}
    run = launch(tiny(tmp_path / "run", options={"latency_us": "500"}, overrides=wanted))
    assert len(run.meta["locked"]) == 2
    assert run.log["effective_min_query_count"] == 64


BROKEN = [
    ("raise", "5", RunFailed, "the run failed with ArithmeticError: the device caught fire"),
    ("load", "0", RunFailed, "the run failed with ArithmeticError: the device caught fire"),
    ("refuse", "0", BadInput, "this backend runs on full moon only: wait for it."),
    ("die", "5", RunFailed, "the LoadGen process was killed by SIGKILL"),
    ("crash", "5", RunFailed, "the LoadGen process was killed by SIGABRT"),
    ("exit", "5", RunFailed, "the run failed with SystemExit"),
    ("few", "5", RunFailed, "7 responses to 8 samples"),
    ("many", "5", RunFailed, "16 responses to 8 samples"),
    ("strided", "5", RunFailed, "mend its respond()"),
    ("hang", "5", RunFailed, "nothing happened for 2 s while"),
    ("hang-load", "0", RunFailed, "nothing happened for 2 s while"),
]


@pytest.mark.parametrize(("fault", "after", "kind", "sentence"), BROKEN, ids=[case[0] for case in BROKEN])
def test_a_broken_backend(tmp_path: Path, fault: str, after: str, kind: type[SuiteError], sentence: str) -> None:
    spec = tiny(
        tmp_path / "run",
        scenario=Scenario.MULTI_STREAM,
        backend="broken",
        options={"fault": fault, "after": after},
        max_batch=8,
        hang_timeout_s=2 if "hang" in fault else 50,
    )
    with pytest.raises(kind) as caught:
        launch(spec)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)
    assert names(tmp_path) == ({"run.failed"} if kind is RunFailed else set())
    if kind is RunFailed:
        assert str(tmp_path / "run.failed" / "child.log") in str(caught.value)
        assert "run.json" not in names(tmp_path / "run.failed")


def test_a_failed_run_may_be_tried_again(tmp_path: Path) -> None:
    broken = tiny(tmp_path / "run", backend="broken")
    for _ in range(2):
        with pytest.raises(RunFailed):
            launch(broken)
    assert launch(tiny(tmp_path / "run", mode=TestMode.ACCURACY)).valid
    assert names(tmp_path) == {"run", "run.failed"}


@pytest.mark.parametrize("driver", ["", "python"])
@pytest.mark.parametrize("scenario", [Scenario.SERVER, Scenario.SINGLE_STREAM])
def test_every_layout_fails_alike(tmp_path: Path, scenario: Scenario, driver: str) -> None:
    spec = tiny(tmp_path / "run", scenario=scenario, driver=driver, backend="broken", options={"after": "20"})
    with pytest.raises(RunFailed, match="caught fire"):
        launch(spec)


def test_a_loadgen_error_is_a_failed_run(tmp_path: Path) -> None:
    with pytest.raises(RunFailed, match="LoadGen recorded an error: error_invalid_config: Invalid value passed"):
        launch(tiny(tmp_path / "run", mode=TestMode.ACCURACY), audit_config="*.*.mode = 7\n")
    assert names(tmp_path) == {"run.failed"}


LAST_WORDS = [
    (
        "terminate called after throwing an instance of 'std::bad_alloc'\n  what():  std::bad_alloc\n",
        r"what\(\):  std::bad",
    ),
    ("  what():  earlier\nterminate called without an active exception\n", "terminate called without an active"),
    ("nothing of the kind\n", "was killed by SIGABRT$"),
]


@pytest.mark.parametrize(("log", "said"), LAST_WORDS)
def test_an_aborted_process_has_last_words(tmp_path: Path, log: str, said: str) -> None:
    (tmp_path / "child.log").write_bytes(b"\xff\n" * launching.TAIL_BYTES + log.encode())
    cause = launching._cause(tmp_path, -signal.SIGABRT)
    assert re.search(said, str(cause))
    assert "\n" not in str(cause)


def test_two_launches_cannot_make_the_same_run(tmp_path: Path) -> None:
    @contextmanager
    def again(folder: Path) -> Iterator[None]:
        with pytest.raises(BadInput, match="is being made by another run"):
            launch(tiny(tmp_path / "run", mode=TestMode.ACCURACY))
        yield

    assert launch(tiny(tmp_path / "run", mode=TestMode.ACCURACY), hooks=[again]).valid
    assert names(tmp_path) == {"run"}


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"benchmark": "tyni"}, "unknown benchmark 'tyni': did you mean 'tiny'?"),
    ({"backend": "nul"}, "unknown backend 'nul': did you mean 'null'?"),
    ({"backend": "needy"}, "pip install a_framework_that_nobody_has"),
    ({"round": "tinny"}, "unknown round 'tinny': did you mean 'tiny'?"),
    ({"round": "mini"}, "unknown benchmark in round mini 'tiny'"),
    ({"scenario": Scenario.INTERACTIVE}, "unknown scenario of tiny in round tiny 'Interactive'"),
    ({"worker": "tread"}, "unknown worker 'tread': did you mean 'thread'?"),
    ({"driver": "pyton"}, "unknown driver 'pyton': did you mean 'python'?"),
    ({"driver": "python", "worker": "process"}, "--worker process needs the native bridge"),
    ({"replicas": 2}, "need --worker thread or process"),
    ({"options": {"latency": "1"}}, "backend null has no option 'latency'"),
    ({"overrides": {"target_qps": 0}}, "target_qps must be more than 0"),
    ({"user_conf": Path("absent.conf")}, "cannot read absent.conf"),
    ({"mode": TestMode.FIND_PEAK}, "use --scenario Server"),
]


@pytest.mark.parametrize(("changes", "sentence"), WRONG, ids=[sentence[:30] for _, sentence in WRONG])
def test_what_cannot_be_run_leaves_nothing(tmp_path: Path, changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SuiteError) as caught:
        launch(tiny(tmp_path / "run", **changes))
    assert not isinstance(caught.value, RunFailed)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)
    assert names(tmp_path) == set()


@pytest.mark.parametrize(
    ("precision", "sentence"),
    [("corrupt", "corrupt.onnx"), ("absent", "ships no absent model"), ("fp8", "unknown precision of tiny 'fp8'")],
)
def test_models_that_cannot_be_loaded(tmp_path: Path, precision: str, sentence: str) -> None:
    pytest.importorskip("onnxruntime", exc_type=ImportError)
    with pytest.raises(BadInput) as caught:
        launch(tiny(tmp_path / "run", backend="onnxruntime", precision=precision))
    assert sentence in str(caught.value)
    assert names(tmp_path) == set()


def test_an_existing_output_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "mine.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for name in ("run", "file"):
        with pytest.raises(BadInput, match="exists: choose another --output"):
            launch(tiny(tmp_path / name))
    assert names(tmp_path / "run") == {"mine.txt"}
    assert names(tmp_path) == {"run", "file"}


def test_an_output_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for output in (tmp_path / "file" / "run", tmp_path / ("x" * 300), Path("/proc/none/run")):
        with pytest.raises(BadInput, match="choose another --output") as caught:
            launch(tiny(output))
        assert "\n" not in str(caught.value)
    assert names(tmp_path) == {"file"}


def test_hooks_are_open_around_the_child(tmp_path: Path) -> None:
    seen: list[str] = []

    @contextmanager
    def hook(folder: Path) -> Iterator[None]:
        seen.append(f"opened, {(folder / 'samples.npy').exists()}")
        (folder / "power").mkdir()
        (folder / "power" / "log.txt").write_text("1 W")
        yield
        seen.append(f"closed, {(folder / 'samples.npy').exists()}")

    run = launch(tiny(tmp_path / "run", mode=TestMode.ACCURACY), hooks=[hook])
    assert seen == ["opened, False", "closed, True"]
    assert run.meta["digests"]["power/log.txt"]


def test_a_hook_that_fails_ends_the_run(tmp_path: Path) -> None:
    @contextmanager
    def hook(folder: Path) -> Iterator[None]:
        yield
        raise RunFailed("the meter fell off")

    with pytest.raises(RunFailed, match="the meter fell off"):
        launch(tiny(tmp_path / "run", mode=TestMode.ACCURACY), hooks=[hook])
    assert names(tmp_path) == {"run.failed"}


def test_the_audit_config_is_given_and_kept(tmp_path: Path) -> None:
    spec = tiny(tmp_path / "run", options={"latency_us": "500"})
    run = launch(spec, audit_config="*.*.mode = 2\n*.*.accuracy_log_sampling_target = 16\n")
    assert (run.path / "audit.config").read_text().startswith("*.*.mode = 2")
    assert run.response_entries


def test_an_audit_config_in_the_working_directory_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "audit.config").write_text("*.*.mode = 2\n")
    run = launch(tiny(tmp_path / "out" / "run", mode=TestMode.ACCURACY))
    assert run.mode == "AccuracyOnly"


def test_no_result_in_the_log_is_a_failed_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launching, "Run", lambda folder: Run(tmp_path / "nowhere"))
    with pytest.raises(RunFailed, match="without a result"):
        launch(tiny(tmp_path / "run", mode=TestMode.ACCURACY))
    assert names(tmp_path) == {"run.failed"}


def test_run_json_is_plain_json(tmp_path: Path) -> None:
    run = launch(tiny(tmp_path / "run", mode=TestMode.ACCURACY))
    text = (run.path / "run.json").read_text(encoding="utf-8")
    assert json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert str(tmp_path) not in text.replace(json.dumps(run.meta["command"])[1:-1], "")

"""What preflight finds of backends that cannot be used as a plan says, before any model is loaded."""

from __future__ import annotations

import argparse
import importlib.util
import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from audit.finding import Finding, Severity
from loadgen_harness import cli, plan, preflight, road, unusable, usable, verbs
from loadgen_harness.errors import BadInput, UnknownName
from loadgen_harness.plan import Job
from loadgen_harness.usable import Fault

ROOT = Path(__file__).parents[2]


def toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {toml(each)}" for key, each in value.items()) + " }"
    return json.dumps(value)


def written(folder: Path, *tables: Mapping[str, Any]) -> Path:
    """A plan of these benchmarks: digits in one scenario on the null backend, but for what a table says."""
    usual = {"name": "digits", "backend": "null", "scenarios": ["Offline"]}
    lines = [f"{key} = {toml(value)}" for table in tables for key, value in [("", ""), *{**usual, **table}.items()]]
    file = folder / "plan.toml"
    file.write_text("\n".join("[[benchmark]]" if not line.strip(' ="') else line for line in lines), encoding="utf-8")
    return file


def jobs(folder: Path, *tables: Mapping[str, Any]) -> list[Job]:
    return plan.jobs(plan.read(written(folder, *tables)), folder / "out")


def found(folder: Path, *tables: Mapping[str, Any]) -> list[Finding]:
    return [each.finding for each in unusable.check(jobs(folder, *tables))]


def arguments(file: Path, folder: Path, *more: str) -> argparse.Namespace:
    args = cli.build().parse_args(["campaign", str(file), "--output", str(folder / "out"), *more])
    args.round = ""
    return args


def shadowed(folder: Path, monkeypatch: pytest.MonkeyPatch, package: str, source: str) -> None:
    """Where the processes that preflight starts look for a package first."""
    (folder / "shadow").mkdir()
    (folder / "shadow" / f"{package}.py").write_text(source, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", f"{folder / 'shadow'}:{ROOT}")


def test_nothing_where_all_is_well(tmp_path: Path) -> None:
    streaming = {"name": "smollm2", "backend": "null_stream", "scenarios": ["Server"], "options": {"slots": 2}}
    assert found(tmp_path, {"options": {"latency_us": 5}, "worker": "thread", "replicas": 2}, streaming) == []


def test_everything_at_once_and_each_fault_once(tmp_path: Path) -> None:
    table = {
        "scenarios": ["Offline", "SingleStream", "Server"],
        "options": {"latency_ms": 1, "seed": "x"},
        "Server": {"worker": "process", "driver": "python"},
        "SingleStream": {"replicas": 2},
    }
    streaming = {"name": "smollm2", "scenarios": ["Offline"]}
    seen = unusable.check(jobs(tmp_path, table, streaming))
    assert [(each.finding.key, each.finding.found, each.finding.fix) for each in seen] == [
        ("digits: options.latency_ms", "unknown option of backend null 'latency_ms'", "Did you mean 'latency_us'?"),
        ("digits: options.seed", "option seed of backend null takes a whole number, not 'x'", "Mend it."),
        ("digits/SingleStream: worker", "--worker inline answers on LoadGen's one thread",
         "--replicas beyond 1 need --worker thread or process."),
        ("digits/Server: worker", "--worker process needs the native bridge", "Leave --driver python out."),
        ("smollm2: backend", "backend null cannot answer streams of tokens, which smollm2 is run with",
         "Choose another backend, such as llamacpp, transformers, openai, null_stream."),
    ]  # fmt: skip
    assert {each.finding.check for each in seen} == {"backend"}
    assert {each.finding.severity for each in seen} == {Severity.ERROR}
    assert {each.finding.file for each in seen} == {"plan"}
    assert {key.rsplit("/", 1)[0] for key in seen[2].keys} == {"digits/SingleStream"}
    assert seen[0].keys == {job.key for job in jobs(tmp_path, table)}
    assert "latency_us" in seen[0].finding.wanted


@pytest.mark.parametrize(("table", "key", "said", "fix"), [
    ({"precision": "int9"}, "precision", "unknown precision of digits 'int9'", "'int8'"),
    ({"precision": "fp16"}, "precision", "CPU provider computes fp16 in fp32", "fp32"),
    ({"device": "gpu"}, "device", "unknown execution provider 'gpu'", "Choose one of these."),
    ({"device": "cpu:x"}, "device", "has no number after its colon", "cuda:1"),
    ({"options": {"graph": "most"}}, "options", "unknown graph of backend onnxruntime 'most'", "Choose one of these."),
    ({"options": {"cuda_graph": True}}, "device", "needs a CUDA device", "device"),
    ({"options": {"provider_options": "x"}}, "device", "is key=value,key=value", ""),
    ({"options": {"cuda_graph": True, "provider": "cuda"}, "worker": "thread", "replicas": 2}, "worker",
     "serves one thread at a time", "--worker process"),
    ({"device": "cpu,cpu"}, "worker", "several devices", "--worker process"),
    ({"worker": "process", "replicas": 2, "pin": "0/0/0"}, "worker", "3 groups of cores", "one for each"),
])  # fmt: skip
def test_onnxruntime(tmp_path: Path, table: Mapping[str, Any], key: str, said: str, fix: str) -> None:
    pytest.importorskip("onnxruntime")
    job = jobs(tmp_path, {"backend": "onnxruntime", **table})[0]
    seen = [each for each in usable.faults(job.spec, tmp_path, {}) if each.key == key]
    assert len(seen) == 1
    assert said in seen[0].found
    assert fix in seen[0].fix


SLOW = pytest.mark.slow  # some frameworks take seconds to import


@pytest.mark.parametrize(("backend", "package", "benchmark"), [
    ("onnxruntime", "onnxruntime", "digits"), ("litert", "ai_edge_litert", "image_classification"),
    pytest.param("torch", "torch", "image_classification", marks=SLOW),
    pytest.param("openvino", "openvino", "image_classification", marks=SLOW),
    pytest.param("jax", "jax", "image_classification", marks=SLOW),
    pytest.param("llamacpp", "xllamacpp", "smollm2", marks=SLOW),
    pytest.param("transformers", "transformers", "smollm2", marks=SLOW),
])  # fmt: skip
def test_devices_that_are_not_there(tmp_path: Path, backend: str, package: str, benchmark: str) -> None:
    """SingleStream is to run on the CPU, which every framework has."""
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed here")
    table = {"name": benchmark, "backend": backend, "scenarios": ["Offline", "SingleStream"], "device": "cuda:99"}
    (fault,) = found(tmp_path, {**table, "SingleStream": {"device": "cpu"}})
    assert fault.key == f"{benchmark}/Offline: device"
    assert "cuda" in fault.found.lower()
    assert fault.fix


def test_a_provider_must_start() -> None:
    """The file that tries it is one: the CPU's provider runs it."""
    onnxruntime = pytest.importorskip("onnxruntime")
    from loadgen_harness.backends.onnxruntime import IDENTITY

    session = onnxruntime.InferenceSession(IDENTITY, providers=["CPUExecutionProvider"])
    assert [each.name for each in session.get_inputs()] == ["x"]


def test_a_format_that_the_backend_does_not_read(tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_litert")
    (fault,) = found(tmp_path, {"backend": "litert"})
    assert (fault.key, "*.tflite" in fault.found) == ("digits: backend", True)


def test_a_package_that_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = "raise ModuleNotFoundError(\"No module named 'onnxruntime'\", name='onnxruntime')"
    shadowed(tmp_path, monkeypatch, "onnxruntime", source)
    (fault,) = found(tmp_path, {"backend": "onnxruntime", "scenarios": ["Offline", "Server"]})
    assert (fault.key, fault.fix) == ("digits: backend", "Run `pip install onnxruntime`.")


@pytest.mark.parametrize(("source", "said"), [
    ("raise ImportError('libcudart.so.13: cannot open shared object file')", "libcudart.so.13"),
    ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "ended its process by SIGSEGV"),
])  # fmt: skip
def test_a_framework_that_breaks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, said: str) -> None:
    shadowed(tmp_path, monkeypatch, "onnxruntime", source)
    (fault,) = found(tmp_path, {"backend": "onnxruntime"})
    assert fault.key == "digits: backend"
    assert said in fault.found


def test_one_that_never_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shadowed(tmp_path, monkeypatch, "onnxruntime", "import time; time.sleep(600)")
    monkeypatch.setattr(unusable, "TIMEOUT_S", 1.0)
    (fault,) = found(tmp_path, {"backend": "onnxruntime"})
    assert fault.found == "onnxruntime did not answer within 1 s"


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    table = {"name": "smollm2", "backend": "openai", "options": {"url": "http://127.0.0.1:9/v1"}}
    (fault,) = found(tmp_path, table)
    assert (fault.key, fault.fix) == ("smollm2: backend", "Start it, or mend url.")


def test_frameworks_stay_out_of_this_process(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    file = written(tmp_path, {"backend": "onnxruntime"})
    code = (
        "import sys; from pathlib import Path; from loadgen_harness import plan, unusable; "
        f"found = unusable.check(plan.jobs(plan.read(Path({str(file)!r})), Path('out'))); "
        "sys.exit(len(found) + 2 * ('onnxruntime' in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_names_of_backends_are_read_with_the_plan(tmp_path: Path) -> None:
    file = written(tmp_path, {"scenarios": ["Offline", "Server"], "Server": {"backend": "nul"}})
    with pytest.raises(UnknownName, match="unknown backend 'nul': did you mean 'null'"):
        plan.read(file)
    with pytest.raises(UnknownName):
        road.campaign_(arguments(file, tmp_path, "--dry-run"))


def test_a_plan_made_by_a_program_may_name_one_that_is_not_there(tmp_path: Path) -> None:
    strange = [replace(job, spec=replace(job.spec, backend="nul")) for job in jobs(tmp_path, {})]
    (fault,) = [each.finding for each in unusable.check(strange)]
    assert (fault.key, fault.fix) == ("digits: backend", "Did you mean 'null'?")


def test_a_campaign_lists_them_and_stops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*specs: object) -> None:
        raise RuntimeError("nothing is fetched or made for runs that cannot be made")

    monkeypatch.setattr(verbs, "prepare", refuse)
    file = written(tmp_path, {"options": {"latency_ms": 1, "bussy": True}})
    assert road.campaign_(arguments(file, tmp_path)) == 1
    said = capsys.readouterr()
    assert said.out.count("backend") >= 2
    assert "Did you mean 'busy'?" in said.out
    assert "2 errors; nothing was run" in said.out
    assert not (tmp_path / "out" / "runs").exists()


def test_findings_say_a_fault_once(tmp_path: Path) -> None:
    """The rehearsal of such a run, which may fail for the same reason, says nothing more."""
    chosen = plan.read(written(tmp_path, {"driver": "python", "overrides": {"num_issue_query_threads": 2}}))
    output = tmp_path / "out"
    flight = preflight.Flight(chosen, plan.jobs(chosen, output)[:1], output, trials=False)
    seen = list(preflight.findings(flight))
    assert [(each.check, each.key) for each in seen if each.severity is Severity.ERROR] == [
        ("backend", "digits: driver")
    ]


def test_brackets_hold_no_remedy() -> None:
    said = "no server at x (GET: refused): start it, or name its port (theirs: 8000)."
    fault = usable.told("backend", BadInput(said))
    assert fault == Fault(
        "backend",
        "no server at x (GET: refused)",
        usable.WANTED["backend"],
        "Start it, or name its port (theirs: 8000).",
    )
    assert usable.told("device", BadInput("no such thing.")).fix == "Change device in the plan."

"""The Triton backend on decoupled models: tokens, failures that say which and why, cancelling, whole runs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks._data import assets
from loadgen_harness import registry
from loadgen_harness.backends import TokenEvent
from loadgen_harness.errors import BadInput, RunFailed
from loadgen_harness.launch import launch
from loadgen_harness.types import RunSpec, Scenario, TestMode
from tests.fakes import ROOT, tiny, wait_for

pytest.importorskip("tritonclient.grpc", reason="pip install tritonclient[all]")
from tests.backends.kserve_server import Arrays, Faults, KServe, Model
from tests.backends.triton_models import BOTH, MODELS, Servers, X, ids, loaded, start, streamed, until_final


@pytest.fixture(scope="module")
def module_servers() -> Iterator[Servers]:
    made = start(KServe(MODELS))
    yield made
    made.stop()


@pytest.fixture
def servers(module_servers: Servers) -> Iterator[Servers]:
    module_servers.host.seen.clear()
    module_servers.host.headers.clear()
    yield module_servers
    module_servers.host.faults = Faults()


@pytest.mark.parametrize(
    ("model", "options", "prompt", "source"),
    [("vllm", {"token_ids": "logprobs"}, "Count!", "engine"), ("vllm", {}, "Count!", "usage"),
     ("plain", {}, "Count!", "responses"), ("trtllm", {}, [7, 8, 9], "engine")],
)  # fmt: skip
def test_streams(servers: Servers, model: str, options: dict[str, str], prompt: Any, source: str) -> None:
    backend = loaded(servers.grpc.url, model, slots="3", **options)
    assert backend.slots == 3
    events = streamed(backend, {id_: id_ for id_ in range(1, 11)}, prompt)
    said = backend.describe()
    backend.close()
    for id_ in range(1, 11):
        mine = [event for event in events if event.id == id_]
        assert ids(events, id_) == (tuple(range(1, id_ + 1)) if source == "engine" else (-1,) * id_)
        assert [event.final for event in mine] == [False] * id_ + [True]
        assert not any(event.error for event in mine)
        assert sorted(event.time_ns for event in mine) == [event.time_ns for event in mine]
        assert "".join(event.text for event in mine) == (
            "" if model == "trtllm" else "".join(f"{n} " for n in range(1, id_ + 1))
        )
    assert said["tokens"] == source
    assert said["prefix_cache"].startswith("off" if model == "trtllm" else "unknown")
    assert ("fallback" in said) == (source == "responses")
    assert (said["mode"], said["precision"]) == ("decoupled", "unknown")


@pytest.mark.parametrize(
    ("kind", "after", "why"),
    [("refuse", 0, "request 1: no such luck"), ("RESOURCE_EXHAUSTED", 0, "request 1: RESOURCE_EXHAUSTED: as the test"),
     ("cut", 0, "request 1: UNAVAILABLE: cut in the middle"), ("end", 0, "request 1: the server ended the stream"),
     ("stranger", 0, "request 1: the server answered request 77"), ("short", 0, "request 1: malformed answer"),
     ("slow", 0, "request 1: no last response after 0.4 s")],
)  # fmt: skip
def test_a_failing_stream_says_which_and_why(servers: Servers, kind: str, after: int, why: str) -> None:
    backend = loaded(servers.grpc.url, "vllm", timeout_s="0.4")
    servers.host.faults = Faults(kind, after, times=1)
    events = streamed(backend, {1: 3, 2: 3})  # one slot: the second comes after the failure, on a stream of its own
    backend.close()
    (failed,) = [event for event in events if event.error]
    assert failed.final
    assert failed.error.startswith(why)
    assert ids(events, 2) == (-1, -1, -1)


def test_stream_retries_before_the_first_response_alone(servers: Servers) -> None:
    backend = loaded(servers.grpc.url, "vllm", retries="2")
    servers.host.faults = Faults("UNAVAILABLE", times=2)
    assert ids(streamed(backend, {1: 3}), 1) == (-1, -1, -1)
    assert backend.describe()["retries"] == "2"
    servers.host.faults = Faults("cut", times=1)
    assert streamed(backend, {2: 3})[-1].error == "request 2: UNAVAILABLE: cut in the middle"
    backend.close()


def test_cancel(servers: Servers) -> None:
    backend = loaded(servers.grpc.url, "vllm")
    servers.host.cancelled.clear()
    for id_ in (1, 2, 3):
        backend.submit(id_, {"prompt": "Count!", "max_new_tokens": 3 if id_ == 3 else 1_000_000})
    events: list[TokenEvent] = []
    wait_for(lambda: events.extend(backend.poll(0.05)) or len(events) > 2)
    backend.cancel(2)  # waits for a slot
    backend.cancel(1)  # is in flight
    backend.cancel(99)  # nobody
    events += until_final(backend, 3)
    backend.cancel(3)  # is over
    last = {event.id: event.error for event in events if event.final}
    backend.close()
    assert last == {1: "cancelled", 2: "cancelled", 3: ""}
    assert servers.host.cancelled.wait(10)  # the server stopped computing, too


def test_a_broken_connection_fails_every_request_in_flight() -> None:
    servers = start(KServe(MODELS))
    backend = loaded(servers.grpc.url, "vllm", slots="4")
    for id_ in range(1, 7):
        backend.submit(id_, {"prompt": "Count!", "max_new_tokens": 1_000_000})
    wait_for(lambda: backend.poll(0.05))
    servers.stop()
    events = until_final(backend, 6)
    failed = {event.id: event.error for event in events if event.final}
    assert sorted(failed) == [1, 2, 3, 4, 5, 6]
    for id_, error in failed.items():  # grpc's event-loop half has other words where a write meets the broken stream
        assert error.startswith(
            (f"request {id_}: UNAVAILABLE", f"request {id_}: CANCELLED", f"request {id_}: INTERNAL")
        )
    backend.close()


def test_close_with_requests_in_flight(servers: Servers) -> None:
    backend = loaded(servers.grpc.url, "vllm", slots="2")
    for id_ in range(1, 5):
        backend.submit(id_, {"prompt": "Count!", "max_new_tokens": 1_000_000})
    wait_for(lambda: backend.poll(0.05))
    backend.close()


@pytest.mark.parametrize(
    ("model", "options", "why"),
    [("plain", {"text_input": "prompt"}, "text_input"), ("plain", {"max_tokens": "length"}, "no input 'length'"),
     ("plain", {"token_ids": "logprobs"}, "return_logprobs"), ("plain", {"parameters": "seed=1"}, "no JSON"),
     ("plain", {"parameters": "[1]"}, "JSON object")],
)  # fmt: skip
def test_bad_options_of_streams(servers: Servers, model: str, options: dict[str, str], why: str) -> None:
    with pytest.raises(BadInput, match=why):
        loaded(servers.grpc.url, model, **options)


def test_the_wrong_kind_of_task(servers: Servers) -> None:
    backend = loaded(servers.grpc.url, "vllm")
    with pytest.raises(BadInput, match="task that streams"):
        backend.predict({"input": X})
    assert "token ids and model vllm wants a text" in streamed(backend, {1: 3}, [7, 8])[-1].error
    backend.close()
    backend = loaded(servers.grpc.url, "lin")
    with pytest.raises(BadInput, match="not decoupled"):
        backend.submit(1, {"prompt": "", "max_new_tokens": 1})
    assert backend.poll(0) == []
    backend.cancel(1)
    backend.close()


def test_digits_end_to_end(tmp_path: Path) -> None:
    """Every answer is the in-process one, over both protocols."""
    onnxruntime = pytest.importorskip("onnxruntime", reason="pip install onnxruntime")
    try:
        assets.resolve("mnist-5k", offline=True)
    except BadInput as error:
        pytest.skip(str(error))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(ROOT / "benchmarks/digits/model/digits-fp32.onnx"), options)

    def compute(arrays: Arrays) -> Arrays:
        return {"logits": session.run(None, {session.get_inputs()[0].name: arrays["image"]})[0]}

    model = Model({"image": ("FP32", (-1, 1, 28, 28))}, {"logits": ("FP32", (-1, 10))}, compute, max_batch=16)
    qsl = registry.part("digits", "qsl").QSL(registry.load(registry.BENCHMARKS, "digits").variants[""], None)
    images = np.stack([qsl.read(index) for index in range(1000)])
    digits = compute({"image": images})["logits"].argmax(axis=1).astype("<i4")
    servers = start(KServe({"digits": model}))
    try:
        for protocol in BOTH:
            spec = RunSpec(
                output=tmp_path / protocol, benchmark="digits", backend="triton", round="mini", max_batch=32,
                options={"url": servers.url(protocol), "model": "digits"},
                scenario=Scenario.OFFLINE, mode=TestMode.ACCURACY,
            )  # fmt: skip
            run = launch(spec)
            assert run.responses == {index: digit.tobytes() for index, digit in enumerate(digits)}
            said = run.meta["backend"]
            assert (said["framework"], said["server_compute_us"]) == ("kserve-test", "10.0")
            assert run.meta["versions"]["tritonclient"]
    finally:
        servers.stop()


@pytest.mark.usefixtures("plugin")
@pytest.mark.parametrize("scenario", [Scenario.SERVER, Scenario.OFFLINE])
def test_a_streaming_run(servers: Servers, tmp_path: Path, scenario: Scenario) -> None:
    options = {"url": servers.grpc.url, "model": "vllm", "slots": "4", "token_ids": "logprobs"}
    run = launch(
        tiny(tmp_path / "run", benchmark="tiny_stream", backend="triton", scenario=scenario, options=options,
             mode=TestMode.ACCURACY)
    )  # fmt: skip
    assert run.damage == ()
    found = {index: np.frombuffer(data, "<i4").tolist() for index, data in run.responses.items()}
    assert found
    assert found == {index: list(range(1, 4 + index % 3)) for index in found}
    assert run.meta["backend"]["tokens"] == "engine"


@pytest.mark.usefixtures("plugin")
def test_a_run_whose_server_fails_says_so(servers: Servers, tmp_path: Path) -> None:
    options = {"url": servers.grpc.url, "model": "vllm"}
    servers.host.faults = Faults("refuse", after=10)
    with pytest.raises(RunFailed, match="no such luck"):
        launch(
            tiny(
                tmp_path / "run", benchmark="tiny_stream", backend="triton", scenario=Scenario.OFFLINE, options=options
            )
        )


def test_importing_it_disturbs_nothing() -> None:
    """gevent comes with the HTTP protocol alone, and patches nothing then either."""
    source = (
        "import sys, socket, threading, ssl; before = (socket.socket, threading.Thread, ssl.SSLContext)\n"
        "import loadgen_harness.backends.triton\n"
        "assert 'gevent' not in sys.modules and 'tritonclient.http' not in sys.modules\n"
        "import tritonclient.http\n"
        "assert before == (socket.socket, threading.Thread, ssl.SSLContext)\n"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", source], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr

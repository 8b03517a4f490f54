"""The Triton backend against a real Triton on this machine's CPU; docs/triton.md says how to get one from a wheel.

LGH_TRITON names its folder (bin/, backends/, caches/), LGH_TRITON_SITE the packages that its Python models may import.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from loadgen_harness.errors import BadInput, RunFailed

pytest.importorskip("tritonclient.grpc", reason="pip install tritonclient[all]")
from tests.backends.triton_models import BOTH, WEIGHTS, X, ids, linear, loaded, streamed, until_final
from tests.fakes import wait_for

pytestmark = [
    pytest.mark.hardware,
    pytest.mark.skipif("LGH_TRITON" not in os.environ, reason="LGH_TRITON names no real Triton: see docs/triton.md"),
]
LINEAR = """
input [ {{ name: "image" data_type: TYPE_FP32 dims: [4] }} ]
output [ {{ name: "y" data_type: TYPE_FP32 dims: [3] }},
  {{ name: "top" data_type: TYPE_INT64 dims: [1] reshape {{ shape: [] }} }} ]
name: "{name}" backend: "python" max_batch_size: 8 instance_group [ {{ kind: KIND_CPU count: 1 }} ] {more}
"""
COUNTING = """
name: "count" backend: "python" max_batch_size: 0 instance_group [ { kind: KIND_CPU count: 1 } ]
model_transaction_policy { decoupled: true }
input [ { name: "text_input" data_type: TYPE_STRING dims: [1] },
  { name: "sampling_parameters" data_type: TYPE_STRING dims: [1] optional: true } ]
output [ { name: "text_output" data_type: TYPE_STRING dims: [-1] } ]
"""
COMPUTE = f"""
import numpy, triton_python_backend_utils as utils
WEIGHTS = numpy.frombuffer({WEIGHTS.tobytes()!r}, numpy.float32).reshape(4, 3)
class TritonPythonModel:
    def execute(self, requests):
        return [self.answer(utils.get_input_tensor_by_name(each, "image").as_numpy()) for each in requests]
    def answer(self, x):
        y = numpy.stack([row @ WEIGHTS for row in x])
        return utils.InferenceResponse([utils.Tensor("y", y), utils.Tensor("top", y.argmax(axis=1))])
"""
COUNT = """
import json, threading, time
import numpy, triton_python_backend_utils as utils
class TritonPythonModel:
    def execute(self, requests):
        for each in requests:
            threading.Thread(target=self.answer, args=(each, each.get_response_sender())).start()
    def answer(self, request, sender):
        last = utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL
        if utils.get_input_tensor_by_name(request, "text_input").as_numpy()[0] == b"fail":
            return sender.send(utils.InferenceResponse(error=utils.TritonError("no such luck")), flags=last)
        limit = utils.get_input_tensor_by_name(request, "sampling_parameters").as_numpy()[0]
        for number in range(1, json.loads(limit)["max_tokens"] + 1):
            if request.is_cancelled():
                return sender.send(flags=last)
            words = numpy.array([f"{number} ".encode()], object)
            sender.send(utils.InferenceResponse([utils.Tensor("text_output", words)]))
            time.sleep(0.001)
        sender.send(flags=last)
"""


class Real:
    """A Triton of its own, with the models above."""

    def __init__(self, folder: Path) -> None:
        root = Path(os.environ["LGH_TRITON"])
        cached = "response_cache { enable: true }"
        models = {"lin": (LINEAR.format(name="lin", more=""), COMPUTE), "count": (COUNTING, COUNT)}
        models["cached"] = (LINEAR.format(name="cached", more=cached), COMPUTE)
        for name, (config, source) in models.items():
            (folder / name / "1").mkdir(parents=True)
            (folder / name / "config.pbtxt").write_text(config)
            (folder / name / "1" / "model.py").write_text(source)
        self.ports = dict(zip((*BOTH, "metrics"), free_ports(3), strict=True))
        command = [
            root / "bin" / "tritonserver", f"--model-repository={folder}", f"--backend-directory={root}/backends",
            f"--cache-directory={root}/caches", "--cache-config=local,size=1048576", "--disable-auto-complete-config",
            *(f"--{name}-port={port}" for name, port in self.ports.items()),
        ]  # fmt: skip
        environment = {**os.environ, "PYTHONPATH": os.environ.get("LGH_TRITON_SITE", "")}
        with (folder.parent / "log").open("w") as log:
            self.process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        end = time.monotonic() + 60
        while self.process.poll() is None and time.monotonic() < end and not self.ready():
            time.sleep(0.1)

    def url(self, protocol: str) -> str:
        return f"{protocol}://127.0.0.1:{self.ports[protocol]}"

    def ready(self) -> bool:
        try:
            loaded(self.url("grpc"), "count").close()
        except BadInput:
            return False
        return True

    def stop(self, how: int = signal.SIGTERM) -> None:
        self.process.send_signal(how)
        self.process.wait()


def free_ports(count: int) -> list[int]:
    """Ports that were free a moment ago."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Real]:
    made = Real(tmp_path_factory.mktemp("triton") / "models")
    yield made
    made.stop()


@pytest.mark.parametrize("options", [{}, {"shared_memory": "system"}, {"concurrency": "3"}])
@pytest.mark.parametrize("protocol", BOTH)
def test_batches(real: Real, protocol: str, options: dict[str, str]) -> None:
    backend = loaded(real.url(protocol), "lin", **options)
    for size in (0, 1, 3, 33):
        y, top = backend.predict({"input": X[:size]})
        np.testing.assert_allclose(y, linear({"": X})["y"][:size], rtol=1e-5)
        np.testing.assert_array_equal(top.reshape(-1), linear({"": X})["top"][:size])
    said = backend.describe()
    backend.close()
    assert (said["framework"], said["request_batch"], said["response_cache"]) == ("triton", "at most 8", "off")
    assert float(said["server_compute_us"]) > 0


def test_a_response_cache_is_refused(real: Real) -> None:
    with pytest.raises(BadInput, match="caches responses"):
        loaded(real.url("grpc"), "cached")


def test_streams_failures_and_cancelling(real: Real) -> None:
    backend = loaded(real.url("grpc"), "count", slots="3")
    events = streamed(backend, {id_: id_ for id_ in range(1, 11)})
    assert [ids(events, id_) for id_ in range(1, 11)] == [(-1,) * id_ for id_ in range(1, 11)]
    backend.submit(11, {"prompt": "fail", "max_new_tokens": 3})
    assert until_final(backend, 1)[-1].error == "request 11: no such luck"
    backend.submit(12, {"prompt": "Count!", "max_new_tokens": 100_000})
    wait_for(lambda: backend.poll(0.05))
    backend.cancel(12)
    assert until_final(backend, 1)[-1].error == "cancelled"
    backend.close()


def test_it_is_killed(tmp_path: Path) -> None:
    own = Real(tmp_path / "models")
    batches: Any = loaded(own.url("http"), "lin")
    backend = loaded(own.url("grpc"), "count", slots="2")
    for id_ in (1, 2, 3):
        backend.submit(id_, {"prompt": "Count!", "max_new_tokens": 100_000})
    wait_for(lambda: backend.poll(0.05))
    own.stop(signal.SIGKILL)
    failed = {event.id: event.error for event in until_final(backend, 3) if event.final}
    assert sorted(failed) == [1, 2, 3]
    for id_, error in failed.items():  # grpc's event-loop half has other words where a write meets the broken stream
        assert error.startswith(
            (f"request {id_}: UNAVAILABLE", f"request {id_}: CANCELLED", f"request {id_}: INTERNAL")
        )
    with pytest.raises(RunFailed, match=r"batch of 8 .connection"):
        batches.predict({"input": X})
    batches.close()
    backend.close()

"""The Triton backend on batches, against a KServe v2 server: both protocols, with and without Triton's extensions."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from loadgen_harness.errors import BadInput, RunFailed, UnknownName

pytest.importorskip("tritonclient.grpc", reason="pip install tritonclient[all]")
from tests.backends import conformance, tiny
from tests.backends.kserve_rest import RestServer
from tests.backends.kserve_server import Arrays, Faults, GrpcServer, KServe, Model
from tests.backends.triton_models import BOTH, MODELS, Servers, X, ids, linear, loaded, start, streamed

SIZES = (0, 1, 3, 33)
KEY = "sk-very-secret"


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


@pytest.fixture
def plain() -> Iterator[Servers]:
    """KServe v2 without any of Triton's extensions, gRPC answers in typed contents."""
    made = start(KServe(MODELS, (), typed=True))
    yield made
    made.stop()


def answers(backend: Any, key: str = "input", x: np.ndarray = X) -> list[list[np.ndarray]]:
    found = [backend.predict({key: x[:size]}) for size in SIZES]
    backend.close()
    return found


@pytest.mark.parametrize("options", [{}, {"shared_memory": "system"}, {"concurrency": "3"}])
@pytest.mark.parametrize("model", ["lin", "lin8", "one"])
@pytest.mark.parametrize("protocol", BOTH)
def test_batches_of_any_size(servers: Servers, protocol: str, model: str, options: dict[str, str]) -> None:
    """The same bytes whatever protocol, pieces and memory."""
    for size, (y, top) in zip(SIZES, answers(loaded(servers.url(protocol), model, **options)), strict=True):
        np.testing.assert_array_equal(y, linear({"": X})["y"][:size])
        np.testing.assert_array_equal(top, linear({"": X})["top"][:size])
        assert (y.shape, y.dtype, top.dtype) == ((size, 3), np.float32, np.int64)
        assert y.flags.c_contiguous
        assert y.flags.writeable
    largest = {"lin": 33, "lin8": 8, "one": 1}[model]
    assert max(shape[0] for each in servers.host.seen for shape in each.values()) == largest
    assert not servers.host.regions


@pytest.mark.parametrize("protocol", BOTH)
def test_plain_kserve(plain: Servers, protocol: str) -> None:
    """No configuration, no statistics, no binary tensors, typed contents."""
    backend = loaded(plain.url(protocol), max_batch="8")
    y, top = backend.predict({"input": X[:33]})
    np.testing.assert_array_equal(y, linear({"": X[:33]})["y"])
    assert top.dtype == np.int64
    said = backend.describe()
    backend.close()
    assert max(each["image"][0] for each in plain.host.seen) == 8
    assert said["response_cache"].startswith("unknown")
    assert not [key for key in said if key.startswith("server_")]


def test_texts_and_open_shapes(servers: Servers, plain: Servers) -> None:
    words = np.array([["a", "bc"], ["ü", ""]])
    for url in (servers.grpc.url, servers.http.url, plain.grpc.url):
        backend = loaded(url, "words")
        (found,) = backend.predict({"x": words})
        assert [[item if isinstance(item, str) else item.decode() for item in row] for row in found] == words.tolist()
        assert backend.predict({"x": words[:0]})[0].shape == (0, 2)
        backend.close()


@pytest.mark.parametrize("protocol", BOTH)
@pytest.mark.parametrize("model", ["fp16", "bf16"])
def test_narrow_floats_only_when_asked(servers: Servers, protocol: str, model: str) -> None:
    backend = loaded(servers.url(protocol), model)
    with pytest.raises(BadInput, match="convert=true"):
        backend.predict({"x": X})
    backend.close()
    backend = loaded(servers.url(protocol), model, convert="true")
    (found,) = backend.predict({"x": X})
    assert found.dtype == (np.float16 if model == "fp16" else np.float32)
    np.testing.assert_allclose(found, X / 2, rtol=2**-7)
    assert backend.describe()["precision"] == model
    backend.close()


def test_inputs_and_outputs_by_name(servers: Servers) -> None:
    backend = loaded(servers.grpc.url, "two", inputs="left=a, right=b", outputs="top,y")
    top, y = backend.predict({"left": X, "right": X})
    assert (top.ndim, y.ndim) == (1, 2)
    for batch in ({"left": X}, {"left": X, "c": X}, {"left": X, "right": X[:3]}, {"left": X, "right": X[:, :2]}):
        with pytest.raises(BadInput):
            backend.predict(batch)
    backend.close()


@pytest.mark.parametrize("protocol", BOTH)
def test_several_threads_at_once(servers: Servers, protocol: str) -> None:
    backend = loaded(servers.url(protocol), "lin8", shared_memory="system")
    expected = linear({"": X})["y"]
    with ThreadPoolExecutor(8) as pool:
        for found in pool.map(lambda size: backend.predict({"input": X[:size]})[0], [*range(1, 65)] * 2):
            np.testing.assert_array_equal(found, expected[: len(found)])
    backend.close()
    assert not servers.host.regions


@pytest.mark.parametrize("protocol", BOTH)
def test_describe_says_what_ran_and_where_time_went(servers: Servers, protocol: str) -> None:
    backend = loaded(servers.url(protocol), "lin8", version="1")
    for _ in range(5):
        backend.predict({"input": X[:16]})
    said = backend.describe()
    backend.close()
    assert said["framework"] == "kserve-test"
    assert (said["version"], said["provider"], said["device"], said["precision"]) == ("1.2", protocol, "remote", "fp32")
    assert (said["request_batch"], said["batches_in_pieces"], said["instances"]) == ("at most 8", "5", "2 KIND_CPU")
    assert (said["server_requests"], said["server_queue_us"], said["server_compute_us"]) == ("10", "5.0", "10.0")
    assert (said["response_cache"], said["tls"]) == ("off", "none")
    assert "retries" not in said


# --- what cannot be used -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", BOTH)
@pytest.mark.parametrize(
    ("model", "why"),
    [("absent", "no model 'absent'"), ("asleep", "not ready"), ("cached", "caches responses"), ("chain", "caches"),
     ("four", "exactly 4"), ("reusing", "prefixes|gRPC"), ("trtllm", "gRPC streams it|^$")],
)  # fmt: skip
def test_models_that_cannot_be_used(servers: Servers, protocol: str, model: str, why: str) -> None:
    if (protocol, model) == ("grpc", "trtllm"):
        return
    with pytest.raises(BadInput, match=why):
        loaded(servers.url(protocol), model)


@pytest.mark.parametrize("options", [
    {"model": ""}, {"slots": "0"}, {"concurrency": "0"}, {"retries": "-1"}, {"timeout_s": "0"}, {"url": "ftp://a"},
    {"url": "grpc://a:port"}, {"url": "grpc://user:pw@a:1"}, {"url": "grpc://a/b"}, {"protocol": "htp"},
    {"url": "http://a", "protocol": "grpc"}, {"ca": "/no/such/file"}, {"verify": "false"}, {"inputs": "a"},
    {"shared_memory": "cuda"}, {"token_ids": "some"}, {"outputs": "z"}, {"url": "grpcs://a", "verify": "false"},
])  # fmt: skip
def test_bad_options(servers: Servers, options: dict[str, str]) -> None:
    with pytest.raises((BadInput, UnknownName)) as caught:
        loaded(**{"url": servers.grpc.url, **options})
    assert "pw@" not in str(caught.value)


@pytest.mark.parametrize("protocol", BOTH)
def test_no_server_there(servers: Servers, protocol: str) -> None:
    other = servers.http.url if protocol == "grpc" else servers.grpc.url
    for place in ("127.0.0.1:1", other.partition("://")[2]):  # nobody, and somebody who speaks otherwise
        with pytest.raises(BadInput, match="Triton's: 8001 for grpc, 8000 for http"):
            loaded(f"{protocol}://{place}", timeout_s="2")


# --- what goes wrong in a run --------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", BOTH)
@pytest.mark.parametrize(
    ("kind", "why"),
    [("RESOURCE_EXHAUSTED", "RESOURCE_EXHAUSTED|429"), ("UNAVAILABLE", "UNAVAILABLE|503"), ("short", "malformed"),
     ("long", "malformed"), ("fewer", "malformed.* batch of 3"), ("renamed", "malformed|UNAVAIL"),
     ("retyped", "malformed"), ("unshaped", "malformed"), ("slow", "DEADLINE_EXCEEDED|timeout")],
)  # fmt: skip
def test_a_failing_request_ends_the_run(servers: Servers, protocol: str, kind: str, why: str) -> None:
    backend = loaded(servers.url(protocol), timeout_s="0.4")
    servers.host.faults = Faults(kind)
    with pytest.raises(RunFailed, match=rf"model lin at .* failed on a batch of 3 \((.*{why})"):
        backend.predict({"input": X[:3]})
    backend.close()


@pytest.mark.parametrize("protocol", BOTH)
def test_retries_only_if_asked_and_never_hidden(servers: Servers, protocol: str) -> None:
    backend = loaded(servers.url(protocol), retries="2")
    servers.host.faults = Faults("UNAVAILABLE", times=2)
    assert len(backend.predict({"input": X[:3]})[0]) == 3
    assert backend.describe()["retries"] == "2"
    servers.host.faults = Faults("INVALID_ARGUMENT", times=1)  # trying again would not help
    with pytest.raises(RunFailed, match=r"INVALID_ARGUMENT|400"):
        backend.predict({"input": X[:3]})
    backend.close()


@pytest.mark.parametrize("protocol", BOTH)
def test_the_server_goes_away(protocol: str) -> None:
    servers = start(KServe(MODELS))
    backend = loaded(servers.url(protocol), shared_memory="system")
    backend.predict({"input": X})
    servers.stop()
    servers.host.unregister("")
    with pytest.raises(RunFailed, match=r"batch of 64 .*(UNAVAILABLE|connection)"):
        backend.predict({"input": X})
    assert backend.describe()["server_statistics"].startswith("unknown")
    backend.close()


@pytest.mark.parametrize("protocol", BOTH)
def test_a_key_goes_to_the_server_alone(
    servers: Servers, protocol: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TRITON_API_KEY", KEY)
    backend = loaded(servers.url(protocol))
    servers.host.faults = Faults("echo")
    with pytest.raises(RunFailed, match=r"no such key: Bearer \*\*\*") as caught:
        backend.predict({"input": X[:3]})
    assert servers.host.headers[-1]["authorization"] == f"Bearer {KEY}"
    told = [str(caught.getrepr(style="long")), repr(backend.__dict__), str(backend.describe()), *capfd.readouterr()]
    backend.close()
    assert KEY not in "".join(told)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with a self-signed certificate for localhost and its key."""
    if not shutil.which("openssl"):
        pytest.skip("no openssl to make a certificate with")
    folder = tmp_path_factory.mktemp("tls")
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -keyout key.pem -out cert.pem"
    more = ["-addext", "subjectAltName=DNS:localhost"]
    subprocess.run([*command.split(), *more], cwd=folder, check=True, capture_output=True)
    chain = folder / "chain.pem"
    chain.write_bytes((folder / "key.pem").read_bytes() + (folder / "cert.pem").read_bytes())
    return chain


@pytest.mark.parametrize("protocol", BOTH)
def test_tls(certificate: Path, protocol: str) -> None:
    host, root = KServe(MODELS), str(certificate.with_name("cert.pem"))
    pair = (certificate.with_name("key.pem").read_bytes(), certificate.with_name("cert.pem").read_bytes())
    server = GrpcServer(host, pair) if protocol == "grpc" else RestServer(host, str(certificate))
    try:
        backend = loaded(server.url, ca=root)
        assert len(backend.predict({"input": X[:3]})[0]) == 3
        assert backend.describe()["tls"] == "verified"
        backend.close()
        with pytest.raises(BadInput, match=r"(?i)certificate|handshake"):
            loaded(server.url)
        if protocol == "http":
            backend = loaded(server.url, verify="false")
            assert backend.describe()["tls"] == "not verified, as asked"
            backend.close()
        else:
            events = streamed(backend := loaded(server.url, "vllm", ca=root), {1: 2})
            assert ids(events, 1) == (-1, -1)
            backend.close()
    finally:
        server.stop()


def test_a_server_that_restarts_is_found_again_if_retries_are_asked_for() -> None:
    server = GrpcServer(KServe(MODELS))
    backend = loaded(server.url, retries="6")
    backend.predict({"input": X})
    server.stop()
    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(backend.predict, {"input": X})
        again = GrpcServer(KServe(MODELS), port=server.port)
        assert len(late.result()[0]) == 64
    assert int(backend.describe()["retries"]) > 0
    backend.close()
    again.stop()


# --- what every backend keeps --------------------------------------------------------------------------------------

FILES = {"threads_are_an_option", "refuses_what_it_does_not_know", "refuses_what_is_no_model"}  # it has neither
KEPT = [check for check in conformance.CHECKS if check.__name__ not in FILES]


def served_tiny(kind: str) -> Model:
    """A tiny model of the conformance suite, computed by numpy."""
    inputs = {
        each.name: ("FP32" if each.dtype is np.float32 else "INT64", (-1, *each.shape)) for each in tiny.INPUTS[kind]
    }
    outputs = {name: ("FP32", (-1, columns)) for name, columns in tiny.OUTPUTS[kind].items()}

    def compute(arrays: Arrays) -> Arrays:
        batch = {"input": next(iter(arrays.values()))} if len(arrays) == 1 else arrays
        with np.errstate(all="ignore"):  # a mask of zeros
            return dict(zip(outputs, tiny.reference(kind, batch), strict=True))

    return Model(inputs, outputs, compute, max_batch=16)


class Remote(conformance.Subject):
    """A backend whose models are served."""

    def __init__(self, servers: Servers, protocol: str, folder: Path) -> None:
        self.url = servers.url(protocol)
        super().__init__(conformance.Case("triton", options={"model": "image", "url": self.url}), folder)

    def load(self, kind: str) -> Any:
        return loaded(self.url, kind)


@pytest.fixture(scope="module", params=BOTH)
def remote(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Remote]:
    served = start(KServe({kind: served_tiny(kind) for kind in tiny.KINDS}))
    with Remote(served, request.param, tmp_path_factory.mktemp("tiny")) as made:
        yield made
    served.stop()


@pytest.mark.parametrize("check", KEPT, ids=lambda check: check.__name__)
def test_conforms(remote: Remote, check: Callable[[conformance.Subject], None]) -> None:
    check(remote)

"""Whole runs through LoadGen against servers on loopback: valid and failed ones, and the key in none of their files."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from loadgen_harness.errors import BadInput, RunFailed
from loadgen_harness.launch import launch
from loadgen_harness.native import presence
from loadgen_harness.types import Division, RunSpec, Scenario
from tests.backends.asking import SECRET
from tests.backends.servers import Reply, Server, chunked, good, head, refusal, token
from tests.fakes import ROOT, tiny

pytestmark = pytest.mark.usefixtures("plugin")
BRIDGE = pytest.mark.skipif(bool(presence.missing()), reason="the native bridge is not built")
CUT = Reply((head(), *chunked(token(1), token(2), end=False)), "close")


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key in the environment of the run."""
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)


@pytest.fixture(scope="module")
def echo() -> Iterator[str]:
    """The URL of an echo server in a process of its own."""
    command = [sys.executable, "-m", "loadgen_harness.echo", "--ttft-ms", "2", "--tpot-ms", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as server:
        assert server.stdout
        yield server.stdout.readline().strip()
        server.terminate()


def spec(output: Path, url: str, **changes: object) -> RunSpec:
    """A run of the plug-in's streaming benchmark: three to five tokens a prompt."""
    chosen = {"scenario": Scenario.SERVER, "division": Division.OPEN, "options": {"url": url}}
    rates = {"target_qps": 200.0, "min_duration": 300.0, "min_query_count": 60.0}
    return tiny(output, benchmark="tiny_stream", backend="openai", overrides=rates, **{**chosen, **changes})


def leaks(folder: Path) -> list[str]:
    """Files below `folder` that hold the key."""
    return [str(path) for path in folder.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]


@pytest.mark.parametrize(
    ("worker", "replicas"), [("inline", 1), ("thread", 1), pytest.param("process", 2, marks=BRIDGE)]
)
def test_a_server_is_measured(tmp_path: Path, echo: str, worker: str, replicas: int) -> None:
    run = launch(spec(tmp_path / "run", echo, worker=worker, replicas=replicas))
    told = run.meta["backend"]
    assert (told["framework"], told["tokens"], told["provider"][:24]) == (
        "echo server",
        "engine",
        "completions over HTTP/1.",
    )
    first = run.samples["first_token"] - run.samples["issued"]
    assert (first >= 2_000_000).all(), "no answer comes before the server's time to first token"
    assert set(run.samples["tokens"]) == {3, 4, 5}
    assert leaks(tmp_path) == []


FAULTS = {
    "refused": (refusal(429, "slow down", Retry_After="9"), r"HTTP 429 \(Retry-After: 9\): slow down"),
    "cut": (CUT, "after 2 tokens, .*: the server closed the connection in the middle of its answer"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_failed_run_names_the_sample_and_the_cause(
    tmp_path: Path, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    reply, said = FAULTS[name]
    with Server(*[good()] * 9, reply) as server:
        with pytest.raises(
            RunFailed, match=rf"the backend failed on sample \d+ \(request 0x[0-9a-f]+, .*{said}"
        ) as caught:
            launch(spec(tmp_path / "run", server.url, scenario=Scenario.SINGLE_STREAM))
        assert any(SECRET in each for each in server.keys)
    assert not (tmp_path / "run").exists() and (tmp_path / "run.failed").is_dir()
    assert leaks(tmp_path) == [] and SECRET not in str(caught.value) + "".join(capfd.readouterr())


def test_what_can_be_mended_leaves_no_folder(tmp_path: Path) -> None:
    with Server(refusal(401, "who are you")) as server:
        made, said = (
            spec(tmp_path / "run", server.url),
            r"cannot be measured \(HTTP 401: who are you \(you sent Bearer \*",
        )
        with pytest.raises(BadInput, match=said):
            launch(made)
    assert list(tmp_path.iterdir()) == []

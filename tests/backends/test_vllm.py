"""The vLLM backend against a stand-in for the engine: deltas become events, and what the engine says is carried out."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from loadgen_harness.backends import TokenEvent
from loadgen_harness.errors import BadInput, SuiteError
from tests.backends import vllm_stand_in as stand_in

NAME = "loadgen_harness.backends.vllm"


@pytest.fixture(scope="module")
def backend_class() -> Iterator[Any]:
    """The backend, imported as if vLLM were there, and forgotten afterwards."""
    replaced = {name: sys.modules.get(name) for name in (*stand_in.modules(), NAME)}
    sys.modules.update(stand_in.modules())
    sys.modules.pop(NAME, None)
    yield importlib.import_module(NAME).BACKEND
    for name, module in replaced.items():
        sys.modules.pop(name)
        if module is not None:
            sys.modules[name] = module


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("model") / "config.json"
    file.write_text("{}")
    return file


@pytest.fixture
def opened(backend_class: Any, config: Path) -> Iterator[Any]:
    made = []

    def open_(device: str = "cuda", precision: str = "bf16", **options: str) -> Any:
        backend = backend_class(options)
        made.append(backend)
        backend.load(config, device, precision)
        return backend

    yield open_
    for backend in made:
        backend.close()


def wait(backend: Any, ids: set[int]) -> dict[int, list[TokenEvent]]:
    seen: dict[int, list[TokenEvent]] = {id_: [] for id_ in ids}
    while not all(events and events[-1].final for events in seen.values()):
        for event in backend.poll(1.0):
            seen[event.id].append(event)
    return seen


def tokens(events: list[TokenEvent]) -> list[int]:
    return [token for event in events for token in event.tokens]


def arguments() -> stand_in.AsyncEngineArgs:
    return stand_in.AsyncLLM.made[-1].args


def test_deltas_become_events(opened: Any) -> None:
    backend = opened()
    for id_, limit in ((1, 4), (2, 2)):
        backend.submit(id_, {"prompt": "why is that?", "max_new_tokens": limit})
    events = wait(backend, {1, 2})
    assert tokens(events[1]) == [101, 102, 103, 104] and tokens(events[2]) == [101, 102]
    assert "".join(event.text for event in events[1]) == " t1 t2 t3 t4"
    assert [event.final for event in events[1]] == [False] * 3 + [True]
    times = [event.time_ns for event in events[1]]
    assert times == sorted(times) and len(set(times)) == 4
    assert events[2][-1].time_ns < events[1][-1].time_ns


def test_the_stop_token_is_no_output(opened: Any) -> None:
    backend = opened()
    backend.submit(1, {"prompt": (5, stand_in.STOPS), "max_new_tokens": 9})
    assert tokens(wait(backend, {1})[1]) == [101, 102]


def test_random_weights_never_stop(opened: Any) -> None:
    backend = opened(weights="random")
    backend.submit(1, {"prompt": (5, stand_in.STOPS), "max_new_tokens": 9})
    assert len(tokens(wait(backend, {1})[1])) == 9
    assert arguments().load_format == "dummy" and backend.describe()["weights"] == "random"


def test_cancelling_aborts(opened: Any) -> None:
    backend = opened(slots="1")
    for id_ in (1, 2, 3):
        backend.submit(id_, {"prompt": (5, 6), "max_new_tokens": 40})
    backend.cancel(1)
    backend.cancel(2)
    backend.cancel(99)
    events = wait(backend, {1, 2, 3})
    assert [events[id_][-1].error for id_ in (1, 2, 3)] == ["cancelled", "cancelled", ""]
    assert len(tokens(events[3])) == 40


@pytest.mark.parametrize(
    ("prompt", "limit", "sentence"),
    [
        ((5,) * 64, 4, "VLLMValidationError: The decoder prompt (length 64) is longer"),
        ((5, 1000), 4, "Token id 1000 is out of vocabulary"),
        ((5,), 0, "max_tokens must be at least 1"),
    ],
)
def test_what_the_engine_refuses_is_carried_out(
    opened: Any, prompt: tuple[int, ...], limit: int, sentence: str
) -> None:
    backend = opened()
    backend.submit(1, {"prompt": prompt, "max_new_tokens": limit})
    (event,) = wait(backend, {1})[1]
    assert event.final and sentence in event.error


def test_a_dead_engine_fails_every_request(opened: Any) -> None:
    backend = opened()
    backend.submit(1, {"prompt": (stand_in.KILLS,), "max_new_tokens": 4})
    assert "EngineDeadError: EngineCore encountered an issue" in wait(backend, {1})[1][-1].error
    backend.submit(2, {"prompt": (5,), "max_new_tokens": 4})
    assert "EngineDeadError" in wait(backend, {2})[2][-1].error


def test_no_prompt_is_cached(opened: Any) -> None:
    backend = opened()
    for id_ in (1, 2):
        backend.submit(id_, {"prompt": (5, 6, 8), "max_new_tokens": 2})
        assert not wait(backend, {id_})[id_][-1].error
    assert backend.describe()["prefix_cache"] == "off"
    arguments().enable_prefix_caching = True  # an engine that caches nevertheless
    backend.submit(3, {"prompt": (5, 6, 8), "max_new_tokens": 2})
    assert "prompt cache was used for 2 tokens" in wait(backend, {3})[3][-1].error


def test_options_reach_the_engine(opened: Any, config: Path) -> None:
    speculative = '{"method": "ngram", "num_speculative_tokens": 3}'
    told = opened(
        "cuda:1", "fp8", slots="8", context="32", batch_tokens="64", quantization="fp8", eager="true",
        speculative=speculative, tensor_parallel_size="2", gpu_memory_utilization="0.5",
    ).describe()  # fmt: skip
    wanted = stand_in.AsyncEngineArgs(
        str(config.parent), "auto", enable_prefix_caching=False, max_num_seqs=8, max_model_len=32,
        max_num_batched_tokens=64, gpu_memory_utilization=0.5, tensor_parallel_size=2, quantization="fp8",
        speculative_config={"method": "ngram", "num_speculative_tokens": 3}, enforce_eager=True, device_ids=[1],
    )  # fmt: skip
    assert arguments() == wanted
    assert told["mode"] == "eager, speculative" and told["version"] == "0.33.0" and told["batching"] == "continuous"
    assert told["preemptions"] == "1", "of the request that warmed the engine up"


def test_closing_ends_what_is_in_flight(backend_class: Any, config: Path) -> None:
    backend = backend_class({"slots": "1"})
    backend.load(config, "cuda", "fp16")
    assert arguments().dtype == "float16"
    for id_ in (1, 2):
        backend.submit(id_, {"prompt": (5,), "max_new_tokens": 50})
    while not backend.poll(1.0):
        continue
    engine = stand_in.AsyncLLM.made[-1]
    backend.close()
    backend.close()
    assert engine.stopped and engine.aborted
    with pytest.raises(BadInput, match="before it was loaded"):
        backend.submit(3, {"prompt": (5,), "max_new_tokens": 1})


@pytest.mark.parametrize(
    "options",
    [
        {"slots": "0"}, {"context": "-1"}, {"gpu_memory_utilization": "1.5"}, {"weights": "good"}, {"speculative": "{"},
        {"speculative": "[1]"}, {"tensor_parallel_size": "0"}, {"slot": "1"}, {"eager": "perhaps"},
    ],
)  # fmt: skip
def test_bad_options(backend_class: Any, options: dict[str, str]) -> None:
    with pytest.raises(SuiteError):
        backend_class(options)


def test_bad_files_and_devices(opened: Any, backend_class: Any, tmp_path: Path) -> None:
    (tmp_path / "a.gguf").write_bytes(b"")
    for model in (None, tmp_path / "config.json", tmp_path / "a.gguf"):
        with pytest.raises(BadInput, match=r"needs the config\.json"):
            backend_class({}).load(model, "cuda", "bf16")
    with pytest.raises(BadInput, match="runs on cuda, not on 'cpu'"):
        opened("cpu")
    with pytest.raises(BadInput, match="not on 'cuda:x'"):
        opened("cuda:x")
    with pytest.raises(BadInput, match=r"vLLM cannot run the model in .*Unknown quantization method"):
        opened(quantization="odd")

"""SmolLM2 through llama.cpp in process, through its own HTTP server and through transformers, 1 to 16 in flight."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np

from benchmarks._data import assets
from benchmarks.smollm2 import BENCHMARK
from loadgen_harness import metrics, registry
from loadgen_harness.errors import RunFailed
from loadgen_harness.launch import launch
from loadgen_harness.matrix import interleaved
from loadgen_harness.types import Division, RunSpec, Scenario, TestMode
from tests.perf.ratios import Row, row, summarized
from tests.perf.served import served
from tests.perf.session import Effort, Part, Session

THREADS, CONTEXT = os.cpu_count() or 1, 512


@dataclass(frozen=True)
class Way:
    """One way to the answers, and what it takes to load and to answer, for the time left."""

    name: str
    backend: str
    precision: str = ""
    start_s: float = 2.0
    request_s: float = 0.25


IN_PROCESS = Way("llama.cpp in process", "llamacpp")
OVER_HTTP = Way("llama.cpp over HTTP", "openai", start_s=3.0)
TRANSFORMERS = Way("transformers fp32", "transformers", "fp32", start_s=35.0, request_s=1.5)
WAYS = (IN_PROCESS, OVER_HTTP, TRANSFORMERS)
FLIGHTS = {1: 16, 4: 16, 16: 48}  # in flight -> requests of one run
FEW = {1: 2, 4: 4}
UNITS = {"TTFT": "ms", "TPOT": "ms", "tokens/s": "tokens/s"}
ADDED = "added by HTTP"


def measure(session: Session) -> list[Row]:
    """Each figure's ratio to llama.cpp in process, and what HTTP adds to its times."""
    rows: list[Row] = []
    chosen = [way for way in WAYS if not registry.missing(registry.BACKENDS, way.backend)]
    for flight, requests in counts(session.effort).items():
        measured = {name: defaultdict[str, dict[int, float]](dict) for name in UNITS}
        for number, way in interleaved(chosen, session.effort.pairs):
            session.tell(f"{flight} in flight, {way.name}")
            for name, value in run(session, way, flight, requests).items():
                measured[name][way.name][number] = value
        rows += compared(flight, measured)
    return rows


def compared(flight: int, measured: Mapping[str, Mapping[str, Mapping[int, float]]]) -> list[Row]:
    """Rows of one number in flight from figure -> way -> round -> value."""
    rows: list[Row] = []
    for name, table in measured.items():
        case = f"{flight} in flight: {name}"
        rows += summarized("generation", case, UNITS[name], table, {"": IN_PROCESS.name})
        own, http = table.get(IN_PROCESS.name, {}), table.get(OVER_HTTP.name, {})
        if own and http and UNITS[name] == "ms":
            added = [http[number] - own[number] for number in sorted(own.keys() & http.keys())]
            rows.append(row(("generation", f"{case}, {ADDED}", OVER_HTTP.name), "ms", added))
    return rows


def run(session: Session, way: Way, flight: int, requests: int) -> dict[str, float]:
    """One LoadGen run: SingleStream for one in flight, else Offline with as many slots."""
    scenario = Scenario.SINGLE_STREAM if flight == 1 else Scenario.OFFLINE
    spec = RunSpec(BENCHMARK.name, way.backend, scenario, TestMode.PERFORMANCE, session.folder())
    # the open division allows runs this short
    short = {"min_duration": 1.0, "min_query_count": float(requests)}
    short |= {"target_latency": 1000.0} if flight == 1 else {"target_qps": 1.0}
    spec = replace(spec, division=Division.OPEN, overrides=short, precision=way.precision, hang_timeout_s=600.0)
    with options(way, flight) as chosen:
        return figures(launch(replace(spec, options=chosen)).samples, flight)


@contextmanager
def options(way: Way, flight: int) -> Iterator[dict[str, str]]:
    """The backend's options; the server that it may ask runs inside the block, with the settings of the engine here."""
    if way is not OVER_HTTP:
        yield {"slots": str(flight), "threads": str(THREADS), "context": str(CONTEXT)}
        return
    asset, _, inner = BENCHMARK.files("q4_1")[0].partition(":")
    with served(assets.resolve(asset) / inner, flight, THREADS, CONTEXT) as url:
        yield {"url": url, "concurrency": str(flight)}


def figures(samples: np.ndarray | None, flight: int) -> dict[str, float]:
    """Medians of TTFT and TPOT in ms, and tokens a second; Offline issues all at once, so TTFT is that of the first
    `flight` requests, which need not wait for others."""
    if samples is None or not len(samples):
        raise RunFailed("a run left no samples.npy")
    first = samples[np.argsort(samples["first_token"])][: flight if flight > 1 else None]
    ttft_ns = first["first_token"] - first["issued"]
    took_s = (samples["done"].max() - samples["issued"].min()) * 1e-9
    return {
        "TTFT": float(np.median(ttft_ns)) * 1e-6,
        "TPOT": float(np.median(metrics.token_times(samples).tpot_ns)) * 1e-6,
        "tokens/s": float(samples["tokens"].sum() / took_s),
    }


def counts(effort: Effort) -> dict[int, int]:
    """In flight -> requests of one run."""
    return FEW if effort.few else FLIGHTS


def seconds(effort: Effort) -> float:
    """What each way takes to start and to answer."""
    requests = counts(effort).values()
    return effort.pairs * sum(len(requests) * way.start_s + sum(requests) * way.request_s for way in WAYS)


NOTE = "ratio to llama.cpp in process; TTFT is that of requests that need not wait for a slot"
PART = Part("generation", "SmolLM2, 16 tokens an answer: TTFT, TPOT, tokens/s", seconds, measure, NOTE)

"""What a server says of itself, of a model and of where time went; works with either protocol's JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from loadgen_harness.backends.triton.address import PORTS, Address
from loadgen_harness.errors import BadInput

AGAIN = {"UNAVAILABLE", "RESOURCE_EXHAUSTED", "429", "503", "connection"}  # what a later try may mend
COMPUTE = ("compute_input_ns", "compute_infer_ns", "compute_output_ns")


PAUSE_S = 0.05  # before the first retry; each further one waits twice as long


def pause(attempt: int) -> float:
    """Seconds before an attempt, the first of which is 0."""
    return PAUSE_S * 2 ** (attempt - 1) if attempt else 0.0


class CallFailed(Exception):
    """A call that the server did not answer as it should; `status` as the protocol names it."""

    def __init__(self, status: str, words: str) -> None:
        """`words` hold no key."""
        super().__init__(f"{status}: {words}" if status else words)
        self.status = status


class Asked(Protocol):
    """A connection: `call` takes the client library's name of a method, and answers with its JSON."""

    address: Address

    def call(self, method: str, *args: Any, **more: Any) -> Any:
        """Raises CallFailed."""


def find_server(link: Asked) -> Mapping[str, Any]:
    """The server's metadata: name, version, extensions; raises BadInput where none is ready."""
    try:
        ready = link.call("is_server_ready")
        metadata: Mapping[str, Any] = link.call("get_server_metadata") if ready else {}
    except CallFailed as error:
        usual = ", ".join(f"{port} for {name}" for name, port in PORTS.items())
        raise BadInput(
            f"no KServe v2 server can be used at {link.address} ({error}): start it, or name its port and protocol "
            f"with --option url=… (Triton's: {usual})."
        ) from error
    if not ready:
        raise BadInput(f"the server at {link.address} is not ready: wait until it has loaded its models.")
    return metadata


def find_model(link: Asked, name: str, version: str) -> Mapping[str, Any]:
    """The model's metadata; raises BadInput where the server has no such model ready."""
    try:
        metadata: Mapping[str, Any] = link.call("get_model_metadata", name, version)
        ready = link.call("is_model_ready", name, version)
    except CallFailed as error:
        raise BadInput(
            f"the server at {link.address} has no model {name!r} {version}".rstrip() + f" ({error}): load it there, or "
            f"name another with --option model=…."
        ) from error
    if not ready:
        raise BadInput(f"model {name} of {link.address} is not ready: wait, or read the server's log.")
    return metadata


def configuration(link: Asked, name: str, version: str) -> dict[str, Any]:
    """The model's configuration (an extension of Triton's); an ensemble's holds what its steps imply.

    Raises BadInput where responses are cached: every query must be computed.
    """
    own = _asked(link, name, version)
    steps = [_asked(link, each["model_name"], "") for each in own.get("ensemble_scheduling", {}).get("step", ())]
    for each in (own, *steps):
        if each.get("response_cache", {}).get("enable"):
            raise BadInput(
                f"model {each.get('name', name)} caches responses, and every query must be computed: set "
                f"response_cache {{ enable: false }} in its configuration."
            )
    if any(each.get("model_transaction_policy", {}).get("decoupled") for each in steps):
        own["model_transaction_policy"] = {"decoupled": True}
    parameters = [each.get("parameters", {}) for each in (*steps, own)]
    return own | {"parameters": {key: value for each in parameters for key, value in each.items()}}


def _asked(link: Asked, name: str, version: str) -> dict[str, Any]:
    try:
        found = link.call("get_model_config", name, version)
    except CallFailed as error:
        raise BadInput(f"the configuration of model {name} cannot be read ({error}): mend the server.") from error
    return dict(found.get("config", found))


def instances(config: Mapping[str, Any]) -> str:
    """Copies of the model and where they are, as far as the configuration says."""
    groups = config.get("instance_group", ())
    return ", ".join(f"{each.get('count', 1)} {each.get('kind', 'KIND_AUTO')}" for each in groups) or "unknown"


def counters(link: Asked, name: str, version: str) -> dict[str, int]:
    """The server's counters of a model (an extension of Triton's), over all its versions."""
    found = link.call("get_inference_statistics", name, version)
    totals: dict[str, int] = {}
    for each in found.get("model_stats", ()):
        for key, value in _flat(each):
            totals[key] = totals.get(key, 0) + value
    return totals


def _flat(stats: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    yield "inferences", int(stats.get("inference_count", 0))  # int64 travels as text in protobuf's JSON
    yield "executions", int(stats.get("execution_count", 0))
    for key, value in stats.get("inference_stats", {}).items():
        yield f"{key}_count", int(value.get("count", 0))
        yield f"{key}_ns", int(value.get("ns", 0))


def account(link: Asked, name: str, version: str, before: Mapping[str, int]) -> dict[str, str]:
    """The server's own account since its counters were `before`; nothing where it keeps none."""
    if not before:
        return {}
    try:
        return _spent(before, counters(link, name, version))
    except CallFailed as error:
        return {"server_statistics": f"unknown: {error}"}


def _spent(before: Mapping[str, int], after: Mapping[str, int]) -> dict[str, str]:
    """Mean microseconds per request in the server's queue and computation between two readings."""
    done = {key: value - before.get(key, 0) for key, value in after.items()}
    requests = done.get("success_count", 0)
    if requests < 1:
        return {}
    compute = sum(done.get(key, 0) for key in COMPUTE)
    found = {
        "server_requests": str(requests),
        "server_queue_us": f"{done.get('queue_ns', 0) / requests / 1e3:.1f}",
        "server_compute_us": f"{compute / requests / 1e3:.1f}",
        "server_batch_mean": f"{done.get('inferences', 0) / max(done.get('executions', 0), 1):.2f}",
    }
    hits = done.get("cache_hit_count", 0)
    return found | ({"response_cache": f"on: {hits} hits"} if hits else {})

"""The only importer of `mlperf_loadgen`: starts a test, completes samples, reports first tokens."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlperf_loadgen as lg
import numpy as np

from loadgen_harness.errors import BadInput, RunFailed
from loadgen_harness.settings import Plan

if TYPE_CHECKING:
    from loadgen_harness.qsl import QuerySampleLibrary
    from loadgen_harness.sut import Fail, SystemUnderTest

SEEDS = ("qsl_rng_seed", "sample_index_rng_seed", "schedule_rng_seed")


class PythonDriver:
    """Talks to LoadGen through its own Python binding; ids go back exactly as they came."""

    name = "python"

    def __init__(self) -> None:
        """Every completing thread gets response objects of its own."""
        self._slots = _Slots()

    def complete(
        self, ids: Sequence[int], responses: np.ndarray | Sequence[bytes], tokens: Sequence[int] | None = None
    ) -> None:
        """Report finished samples: rows of a C-contiguous (n, k) array or n byte strings, in the order of `ids`.

        LoadGen copies the bytes before the call returns, so buffers may be reused at once. Raises RunFailed for
        responses that do not fit the samples.
        """
        if len(responses) != len(ids):
            counts = f"{len(responses)} responses to {len(ids)} samples"
            raise RunFailed(f"the system under test gave {counts}: mend its respond()")
        if isinstance(responses, np.ndarray):
            lg.QuerySamplesComplete(self._slots.filled(ids, responses))
            return
        keep, starts, sizes = _pointers(responses)
        more = () if tokens is None else (tokens,)
        lg.QuerySamplesComplete(list(map(lg.QuerySampleResponse, ids, starts, sizes, *more)))
        del keep

    def first_token(self, ids: Sequence[int], responses: Sequence[bytes]) -> None:
        """Report the first token of streaming samples, with its bytes."""
        keep, starts, sizes = _pointers(responses)
        lg.FirstTokenComplete(list(map(lg.QuerySampleResponse, ids, starts, sizes)))
        del keep


class _Slots(threading.local):
    """One thread's response objects and their bytes, used again for every batch.

    Making a response object takes 0.7 us, three times as long as giving it another id.
    """

    def __init__(self) -> None:
        self._responses: list[Any] = []
        self._bytes = np.zeros(0, dtype=np.uint8)
        self._size = -1

    def filled(self, ids: Sequence[int], rows: np.ndarray) -> list[Any]:
        """Responses with these ids and the bytes of these rows."""
        if not rows.flags.c_contiguous:
            raise RunFailed("the system under test gave responses in a strided array: copy it in its respond()")
        count, size = len(ids), rows.nbytes // len(ids)
        if size != self._size or count > len(self._responses):
            self._make(max(count, len(self._responses)), size)
        self._bytes[: rows.nbytes] = rows.reshape(-1).view(np.uint8)
        chosen = self._responses if count == len(self._responses) else self._responses[:count]
        for response, id_ in zip(chosen, ids, strict=True):
            response.id = id_
        return chosen

    def _make(self, count: int, size: int) -> None:
        self._size = size
        self._bytes = np.zeros(max(count * size, 1), dtype=np.uint8)
        base = self._bytes.__array_interface__["data"][0]
        self._responses = [lg.QuerySampleResponse(0, base + number * size, size) for number in range(count)]


def _pointers(responses: Sequence[bytes]) -> tuple[object, Iterable[int], Iterable[int]]:
    """What must stay alive, then address and size of each response."""
    sizes = [len(each) for each in responses]
    joined = np.frombuffer(b"".join(responses) or b"\0", dtype=np.uint8)
    base = joined.__array_interface__["data"][0]
    return joined, accumulate(sizes[:-1], initial=base), sizes


def start_test(sut: SystemUnderTest, qsl: QuerySampleLibrary, plan: Plan, folder: Path, fail: Fail) -> None:
    """Run one LoadGen test to its end, logs in `folder`, which holds user.conf and, for an audit run, audit.config.

    Once per process: LoadGen loads its built-in mlperf.conf only on the first FromConfig. The audit.config of the
    working directory is never read. `fail` ends the run when loading samples raises.
    """
    settings = effective_settings(plan, folder)
    log_settings = lg.LogSettings()
    log_settings.log_output.outdir = str(folder)
    log_settings.log_output.copy_summary_to_stdout = False
    log_settings.enable_trace = False
    library = lg.ConstructQSL(qsl.total_count, qsl.performance_count, _guarded(qsl.load, fail), qsl.unload)
    system = lg.ConstructFastSUT(sut.issue, _guarded(sut.flush, fail))
    try:
        lg.StartTestWithLogSettings(system, library, settings, log_settings, str(folder / "audit.config"))
    finally:
        lg.DestroyFastSUT(system)
        lg.DestroyQSL(library)


def _guarded(call: Callable[..., None], fail: Fail) -> Callable[..., None]:
    """`call` whose exception ends the run with its cause: through LoadGen's C++ frames it would only abort."""

    def guarded(*arguments: object) -> None:
        try:
            call(*arguments)
        except BaseException as error:
            fail(error)

    return guarded


def effective_settings(plan: Plan, folder: Path) -> lg.TestSettings:
    """LoadGen's settings object for `plan`; raises BadInput where this LoadGen was built for another round."""
    settings = lg.TestSettings()
    wanted = plan.settings
    settings.FromConfig(str(folder / "user.conf"), plan.model_name, wanted.scenario)
    built_in = {name: getattr(settings, name) for name in SEEDS}
    if built_in != {name: getattr(wanted, name) for name in SEEDS}:
        raise BadInput(
            "the installed mlcommons-loadgen has the seeds of another round built in: "
            "install the LoadGen version of the round, or choose its round with --round."
        )
    settings.scenario = getattr(lg.TestScenario, wanted.scenario)
    settings.mode = getattr(lg.TestMode, wanted.mode)
    for field in fields(wanted):
        if field.name not in ("scenario", "mode"):
            setattr(settings, field.name, getattr(wanted, field.name))
    return settings

"""The only importer of `mlperf_loadgen`: starts a test, completes samples, reports first tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields
from itertools import accumulate, repeat
from pathlib import Path
from typing import TYPE_CHECKING

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

    def complete(
        self, ids: Sequence[int], responses: np.ndarray | Sequence[bytes], tokens: Sequence[int] | None = None
    ) -> None:
        """Report finished samples: rows of a C-contiguous (n, k) array or n byte strings, in the order of `ids`.

        LoadGen copies the bytes before the call returns, so buffers may be reused at once.
        """
        keep, starts, sizes = _pointers(responses, len(ids))
        if tokens is None:
            lg.QuerySamplesComplete(list(map(lg.QuerySampleResponse, ids, starts, sizes)))
        else:
            lg.QuerySamplesComplete(list(map(lg.QuerySampleResponse, ids, starts, sizes, tokens)))
        del keep

    def first_token(self, ids: Sequence[int], responses: Sequence[bytes]) -> None:
        """Report the first token of streaming samples, with its bytes."""
        keep, starts, sizes = _pointers(responses, len(ids))
        lg.FirstTokenComplete(list(map(lg.QuerySampleResponse, ids, starts, sizes)))
        del keep


def _pointers(responses: np.ndarray | Sequence[bytes], count: int) -> tuple[object, Iterable[int], Iterable[int]]:
    """What must stay alive, then address and size of each response; raises RunFailed for responses that do not fit."""
    if len(responses) != count:
        raise RunFailed(f"the system under test gave {len(responses)} responses to {count} samples: mend its respond()")
    if isinstance(responses, np.ndarray):
        if not responses.flags.c_contiguous:
            raise RunFailed("the system under test gave responses in a strided array: copy it in its respond()")
        size = responses.nbytes // count
        base = responses.__array_interface__["data"][0]
        return responses, (range(base, base + len(responses) * size, size) if size else repeat(base)), repeat(size)
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

"""A program: one LoadGen run of nothing, with the settings of FOLDER/user.conf, in a process of its own.

`python -m tests.audit.stated FOLDER SCENARIO` asks LoadGen alone, as reference implementations do; with a third
argument, the JSON of this suite's settings, their values stand over LoadGen's own reading, as in `lgh run`.
"""

from __future__ import annotations

import json
import sys
import types

import mlperf_loadgen as lg

MODEL = "toy-model"  # of tests/audit/folders.py
SAMPLES = 64


def main(folder: str, scenario: str, given: str = "{}") -> None:
    """Run, and leave LoadGen's logs in `folder`."""
    settings = lg.TestSettings()
    settings.FromConfig(f"{folder}/user.conf", MODEL, scenario)
    for name, value in json.loads(given).items():
        setattr(settings, name, value)
    settings.scenario = getattr(lg.TestScenario, scenario)
    settings.mode = lg.TestMode.PerformanceOnly
    logs = lg.LogSettings()
    logs.log_output.outdir = folder
    logs.enable_trace = False
    sut = lg.ConstructSUT(answer, flush)
    qsl = lg.ConstructQSL(SAMPLES, SAMPLES, ignore, ignore)
    lg.StartTestWithLogSettings(sut, qsl, settings, logs, f"{folder}/audit.config")
    lg.DestroyQSL(qsl)
    lg.DestroySUT(sut)


def answer(samples: list[types.SimpleNamespace]) -> None:
    """Nothing at once."""
    lg.QuerySamplesComplete([lg.QuerySampleResponse(sample.id, 0, 0) for sample in samples])


def flush() -> None:
    """Nothing waits."""


def ignore(indices: list[int]) -> None:
    """No data."""


if __name__ == "__main__":
    main(*sys.argv[1:])

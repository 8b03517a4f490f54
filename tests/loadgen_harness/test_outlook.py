"""The time left and the warnings of a campaign, as functions of what a run's counters say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from loadgen_harness import outlook
from loadgen_harness.doomed import Doomed
from loadgen_harness.launch import Status
from loadgen_harness.outlook import Outlook, Pace, Watch
from loadgen_harness.plan import Job
from loadgen_harness.progress import Phase
from loadgen_harness.settings import TestSettings
from loadgen_harness.types import TestMode
from tests.fakes import tiny

SINGLE = TestSettings("SingleStream", "PerformanceOnly", min_duration_ms=60_000, min_query_count=1000)
OFFLINE = TestSettings("Offline", "PerformanceOnly", min_duration_ms=60_000, min_query_count=1000)
SERVER = TestSettings(
    "Server",
    "PerformanceOnly",
    server_target_qps=100.0,
    server_target_latency_ns=15_000_000,
    min_duration_ms=60_000,
    min_query_count=100,
)


def job(estimate_s: float, **changes: object) -> Job:
    return Job("key", tiny(Path("unused"), **changes), estimate_s)


def test_the_pace_of_this_machine_is_learned() -> None:
    pace = Pace()
    accuracy = {"mode": TestMode.ACCURACY}
    assert pace.estimate_s(job(10)) == 10
    pace.learn(job(10), 30)
    assert pace.estimate_s(job(10)) == 30
    assert pace.estimate_s(job(100)) == 300  # in proportion
    assert pace.estimate_s(job(600, **accuracy)) == 620  # of another kind: 20 s longer, as the one run was
    assert pace.estimate_s(job(2, **accuracy)) == 4  # twice at most
    pace.learn(job(10, **accuracy), 5)
    pace.learn(job(30, **accuracy), 15)
    assert pace.estimate_s(job(40, **accuracy)) == 20
    assert pace.estimate_s(job(10, benchmark="tiny_stream")) == 5  # the median is 5 s less


def status(completed: int, elapsed_s: float, expected: int = 0, **more: int) -> Status:
    return Status(Phase.TESTING, completed, completed, expected, elapsed_s, **more)


def test_seconds_left_of_a_run() -> None:
    assert outlook.left_s(status(100, 12), 10, SINGLE) == 90  # 900 more at 10/s, beyond the minute
    assert outlook.left_s(status(1000, 12), 10, SINGLE) == 50  # the minimum duration
    assert outlook.left_s(status(1000, 12, 6000), 10, OFFLINE) == 50
    assert outlook.left_s(status(6000, 12, 6000), 10, OFFLINE) == 0  # an Offline run ends with its samples
    assert outlook.left_s(status(0, 12), 10, SINGLE) is None
    assert outlook.left_s(Status(Phase.LOADING, 0, 0, 0, 3.0), 0, SINGLE) is None
    accuracy = replace(SINGLE, mode="AccuracyOnly")
    assert outlook.left_s(status(100, 12, 500), 10, accuracy) == 40
    assert outlook.left_s(status(100, 12), 10, replace(SERVER, mode="FindPeakPerformance")) is None


def test_a_query_of_multistream_is_eight_samples() -> None:
    multi = TestSettings("MultiStream", "PerformanceOnly", min_duration_ms=0, min_query_count=100)
    assert outlook.left_s(status(400, 12), 10, multi) == 10


def known(settings: TestSettings, estimate_s: float = 62.5, *, judged: bool = True) -> Outlook:
    return Outlook(settings, 0, calibrated=True, judged=judged, estimate_s=estimate_s)


def test_a_slow_run_is_said_with_its_time() -> None:
    said = outlook.amiss(status(20, 22), 20, 980, known(SINGLE))
    assert said == "at its present 1 samples/s this run takes 17 min, planned were 62 s: 20 of 1000 samples are done"
    assert outlook.amiss(status(20, 7), 5, 245, known(SINGLE)) == ""  # too early to say
    assert outlook.amiss(status(500, 22), 20, 40, known(SINGLE)) == ""
    unnamed = replace(known(SINGLE), open_end=True)  # the estimate is the least: nothing was planned
    assert outlook.amiss(status(20, 22), 20, 980, unnamed) == ""


def test_an_offline_run_that_will_be_too_short_is_said() -> None:
    said = outlook.amiss(status(5000, 22, 6000), 20, 4, known(OFFLINE))
    assert "this run will be INVALID: its 6000 samples are done after 24 s, before the 60 s" in said
    assert "raise target_qps" in said
    assert outlook.amiss(status(5000, 22, 20000), 20, 60, known(OFFLINE)) == ""


def test_an_offline_run_with_too_few_samples_for_its_time_is_stopped() -> None:
    watch = Watch(known(OFFLINE), lambda status, left_s, warning: None, early_stop=True)
    watch(Status(Phase.TESTING, 6000, 6000, 0, 2.0))
    watch(status(5000, 11, 6000))  # nine seconds of the test tell nothing yet
    with pytest.raises(Doomed, match=r"too few samples for its time: at its 285 samples/s .* set target_qps = 285"):
        watch(status(5700, 22, 6000))
    late = status(5700, 22, 6000)
    assert outlook.too_short(late, 20, 1, known(OFFLINE)) and not outlook.too_short(late, 20, 1, known(SINGLE))
    assert not outlook.too_short(late, 20, 1, known(OFFLINE, judged=False))
    assert not outlook.too_short(status(5000, 22, 6000), 20, 4, known(OFFLINE))  # ten times slower it would do
    lenient = Watch(known(OFFLINE), lambda status, left_s, warning: None, early_stop=False)
    lenient(Status(Phase.TESTING, 6000, 6000, 0, 2.0))
    lenient(late)


def test_a_watch_warns_once_and_stops_what_is_lost() -> None:
    told: list[tuple[float, str]] = []
    watch = Watch(known(SINGLE), lambda status, left_s, warning: told.append((left_s, warning)), early_stop=True)
    watch(Status(Phase.LOADING, 0, 0, 0, 2.5))
    watch(status(0, 10))
    watch(status(20, 30))
    watch(status(21, 31))
    assert told[0] == (60.0, "")
    assert told[2][0] == 980
    assert [bool(warning) for _, warning in told] == [False, False, True, False]
    for early_stop, judged in ((True, True), (False, True), (True, False)):
        watch = Watch(known(SERVER, judged=judged), lambda status, left_s, warning: None, early_stop=early_stop)
        watch(status(1000, 12, late=10))
        if early_stop and judged:
            with pytest.raises(Doomed, match=r"^stopped after 13\.0 s, since it cannot become valid any more: 90 of"):
                watch(status(1100, 13, late=90))
        else:
            watch(status(1100, 13, late=90))


@pytest.mark.usefixtures("plugin")
def test_what_a_compliance_test_overrules_is_not_judged() -> None:
    assert outlook.of(job(3), "", 3).judged
    assert outlook.of(job(3), "*.*.mode = 2\n*.*.accuracy_log_sampling_target = 10\n", 3).judged
    assert not outlook.of(job(3), "*.*.mode = 2\n*.*.min_query_count = 10\n", 3).judged
    found = outlook.of(job(7), "", 9)
    assert found.in_memory == 48
    assert found.estimate_s == 9

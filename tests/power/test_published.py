"""The 16 published power results: the watts of the README beside them, and MLPerf's metric as its parser makes it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from loadgen_harness.run import Run
from power.energy import Energy, findings, summarize
from power.log import read
from tests.power.folders import SHARED

FORMAT = "%m-%d-%Y %H:%M:%S.%f"
KRAI, SIMA, UNTETHER = "v1.0/closed/Krai/results", "v3.0/closed/SiMa/results", "v4.1/closed/UntetherAI/results"
OLD = {  # Offline is inferred from SingleStream there: one log serves both
    "rpi4coral-fan.off-tflite-v2.4.1-ruy": 5.8,
    "rpi4coral-fan.on-tflite-v2.4.1-ruy": 6.7,
    "xavier-power.0-fan.cool-armnn-v21.02-neon": 23.2,
    "xavier-power.0-fan.cool-tflite-v2.4.1-ruy": 28.2,
}
WATTS = {
    **{f"{KRAI}/{system}/resnet50/{name}": w for system, w in OLD.items() for name in ("offline", "singlestream")},
    f"{SIMA}/davinci_dualm2/resnet50/MultiStream": 16.2,
    f"{SIMA}/davinci_dualm2/resnet50/Offline": 16.1,
    f"{SIMA}/davinci_dualm2/resnet50/SingleStream": 12.9,
    f"{UNTETHER}/h13_u3_slim/resnet50/multistream": 303.2,
    f"{UNTETHER}/h13_u3_slim/resnet50/offline": 398.3,
    f"{UNTETHER}/h13_u3_slim/resnet50/singlestream": 231.1,
    f"{UNTETHER}/r760_u6_slim/resnet50/offline": 1021.4,
    f"{UNTETHER}/r760_u6_slim/resnet50/server": 985.5,
}
SCENARIOS = {"offline": "Offline", "server": "Server", "singlestream": "SingleStream", "multistream": "MultiStream"}


def parsed(folder: Path, scenario: str, run: Run) -> float:
    """MLPerf's metric, told from the two files by the steps that its checker takes."""
    begin, end = (datetime.strptime(str(run.log[key]), FORMAT) for key in ("power_begin", "power_end"))
    found = []
    for line in (folder / "spl.txt").read_text().splitlines():
        fields = line.split(",")
        if fields[0] == "Time" and begin < datetime.strptime(fields[1], FORMAT) < end and float(fields[3]) > 0:
            found.append(float(fields[3]))
    mean = sum(found) / len(found)
    if scenario in ("Offline", "Server"):
        return mean
    if "result_query_count" not in run.log:  # v1.0 logged the rate instead
        return mean * 1000 / float(run.log["result_qps_with_loadgen_overhead"])
    return mean * (end - begin).total_seconds() * 1000 / int(run.log["result_query_count"])


def published(place: str) -> tuple[Path, Run]:
    folder = SHARED / "published" / place / "performance" / "run_1"
    if not folder.exists():
        pytest.skip("the published results are not beside the repository")
    return folder, Run(folder)


def test_there_are_sixteen() -> None:
    assert len(WATTS) == 16


@pytest.mark.parametrize(("place", "watts"), WATTS.items())
def test_watts_and_metric(place: str, watts: float) -> None:
    folder, run = published(place)
    assert list(findings(run)) == []
    assert not read(folder / "spl.txt").damage
    energy = summarize(run)
    assert isinstance(energy, Energy)
    assert energy.official_w == pytest.approx(watts, abs=0.05001)
    assert energy.mean_w == pytest.approx(energy.official_w, rel=0.005)  # samples moved to the middle of their second
    assert energy.joules_low < watts * energy.duration_s < energy.joules_high
    assert 0.01 <= energy.joules_high / energy.joules - 1 < 0.02
    scenario = SCENARIOS[place.rpartition("/")[2].lower()]
    value, unit = energy.metric_as(scenario)
    assert unit == ("W" if scenario in ("Offline", "Server") else "mJ/query")
    exact = 1e-9 if "result_query_count" in run.log else 1e-4
    assert value == pytest.approx(parsed(folder, scenario, run), rel=exact)


def test_multistream_inferred_from_singlestream_is_of_eight() -> None:
    place = f"{SIMA}/davinci_dualm2/resnet50/SingleStream"
    energy = summarize(published(place)[1])
    assert energy is not None
    assert energy.metric is not None
    value, unit = energy.metric_as("MultiStream")
    assert value == pytest.approx(8 * energy.metric)
    assert unit == "mJ/query"

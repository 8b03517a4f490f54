"""The proof of docs/submission.md in short: real LoadGen runs of the null backend through plan, campaign and submit.

Closed Edge resnet50 with all its tests, and an open entry. Only the durations are other than the round's: the check
holds them to a round that demands 1.5 s, and v6.1 itself refuses this tree for its durations alone.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from audit.finding import Finding, Severity
from benchmarks import resnet50
from benchmarks.resnet50.qsl import QSL
from loadgen_harness import campaign, plan, rounds
from loadgen_harness.types import Round
from submissions.check import check
from submissions.system import complete
from tests.fakes import environment
from tests.loadgen_harness.test_submitting import submit
from tests.submissions import trees

ROOT = Path(__file__).resolve().parents[2]
SHORT_MS = 1_500
TOLERANCE = "performance_tolerance_percent = 50"  # of such short runs beside other tests; ten in the round itself
PLAN = """
round = "short"
division = "{division}"
tax = false
[submission]
submitter = "Acme"
system_name = "null_backend"
system_type = "edge"
[[benchmark]]
name = "resnet50"
backend = "null"
scenarios = ["{scenario}"]
max_batch = {batch}
options = {{ latency_us = {latency_us} }}
overrides = {{ {overrides} }}
"""
MANIFEST = """
round = "short"
division = "closed"
submitter = "Acme"
system_name = "null_backend"
system = "system.json"
infer = ["MultiStream", "Offline"]
[measurements]
input_data_types = "fp32"
retraining = "No"
starting_weights_filename = "none"
weight_data_types = "fp32"
weight_transformations = "No"
[[result]]
benchmark = "resnet50"
scenario = "SingleStream"
runs = "runs/resnet50/SingleStream"
data = "val_map.txt"
"""
SLEEPING = {"division": "closed", "scenario": "SingleStream", "batch": 1, "latency_us": 4000}
CLOSED = {
    "performance": SLEEPING,
    "TEST01": SLEEPING,
    "TEST04": SLEEPING,
    "accuracy": SLEEPING | {"latency_us": 0},  # 50,000 samples one by one
}
OPEN = {"division": "open", "scenario": "Offline", "batch": 256, "latency_us": 12_800}  # 20,000 samples a second


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A distribution with the round "short": v6.1 with other durations; its folder, for the path of child processes."""
    folder = tmp_path_factory.mktemp("plugin")
    text = (ROOT / "audit" / "rounds" / "v6.1.toml").read_text(encoding="utf-8")
    text = text.replace('name = "v6.1"', 'name = "short"', 1).replace("600000", str(SHORT_MS))
    own = "[benchmarks.resnet50]", "test_settings.TEST01 = { accuracy_log_sampling_target = 4096 }"
    head, _, rest = text.partition(own[0])
    more = f"test_settings.TEST01 = {{ accuracy_log_sampling_target = 4096, {TOLERANCE} }}"
    rest = rest.replace(own[1], f"{more}\ntest_settings.TEST04 = {{ {TOLERANCE} }}", 1)
    package, described = folder / "lgh_short", folder / "lgh_short-1.0.dist-info"
    package.mkdir()
    described.mkdir()
    (package / "__init__.py").write_text("")
    (package / "short.toml").write_text(f"{head}{own[0]}{rest}", encoding="utf-8")
    (described / "METADATA").write_text("Metadata-Version: 2.1\nName: lgh-short\nVersion: 1.0\n")
    (described / "entry_points.txt").write_text("[loadgen_harness.plugins]\nround.short = lgh_short\n")
    return str(folder)


@pytest.fixture(scope="module")
def campaigns(short: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Five campaigns side by side, most of which sleep: the runs of the closed result, and the open entry."""
    folder = tmp_path_factory.mktemp("campaigns")
    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(len(CLOSED) + 1) as pool:
        patch.syspath_prepend(short)
        patch.setenv("PYTHONPATH", os.pathsep.join((short, environment()["PYTHONPATH"])))
        rounds.load("short")
        failed = [each for each in pool.map(partial(campaign_of, folder), (*CLOSED, "open")) if each]
        assert not failed
        for name in CLOSED:
            shutil.copytree(folder / name / "runs", folder / "runs", dirs_exist_ok=True)
        yield folder


def campaign_of(folder: Path, name: str) -> str:
    """Run one of them; what went wrong, empty for nothing. From 662 queries on LoadGen estimates the p99 too."""
    sleeping = "target_latency = 4, min_query_count = 700", f"/{name}"
    overrides, only = ("target_qps = 20000", "") if name == "open" else sleeping
    file = folder / f"{name}.toml"
    file.write_text(PLAN.format(**{**CLOSED, "open": OPEN}[name], overrides=overrides))
    return "".join(each.error for each in campaign.execute(plan.read(file), folder / name, only=only))


def severe(found: Sequence[Finding]) -> set[str]:
    """The checks whose errors reject it."""
    return {each.check for each in found if each.severity is Severity.ERROR}


def whole() -> Round:
    """The round v6.1 with its own durations; between a test and its reference it allows as much as the short one."""
    own, name = rounds.load("v6.1"), "resnet50"
    settings = rounds.load("short").rules(name).test_settings
    return replace(own, benchmarks={**own.benchmarks, name: replace(own.rules(name), test_settings=settings)})


def test_the_closed_tree_is_in_order_but_for_its_durations(campaigns: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels = QSL(resnet50.BENCHMARK.variants[""], None)
    lines = (f"sample{index} {labels.label(index)}" for index in range(50_000))
    (campaigns / "val_map.txt").write_text("\n".join(lines) + "\n")
    named = {"division": "closed", "submitter": "Acme", "system_name": "null_backend"}
    (campaigns / "system.json").write_text(json.dumps(complete({**trees.SYSTEM, **named})))
    (campaigns / "manifest.toml").write_text(MANIFEST)
    tree = campaigns / "closed-tree"
    assert submit("--from", campaigns / "manifest.toml", "--output", tree) == 0, capsys.readouterr().out
    results = tree / "closed" / "Acme" / "results" / "null_backend" / "resnet50"
    assert {path.name for path in results.iterdir()} == {"SingleStream", "MultiStream", "Offline"}
    assert "accuracy=76.502%" in (results / "SingleStream" / "accuracy" / "accuracy.txt").read_text()
    assert severe(list(check(tree, whole()))) == {"duration", "duration-setting"}


def test_the_open_entry_too(campaigns: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tree = campaigns / "open-tree"
    words = (campaigns / "open.toml", "--campaign", campaigns / "open", "--output", tree)
    assert submit(*words) == 0, capsys.readouterr().out
    assert severe(list(check(tree, rounds.load("v6.1")))) == {"duration", "duration-setting"}

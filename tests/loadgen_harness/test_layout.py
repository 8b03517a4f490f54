"""Driver and worker layout reach a run's spec the same way from the command line and from a plan."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from loadgen_harness import cli, plan, verbs
from loadgen_harness.errors import BadInput
from loadgen_harness.types import RunSpec

LAYOUT = {
    "driver": "native",
    "worker": "process",
    "replicas": 2,
    "pin": "0-1/2-3",
    "spin_us": 12.5,
    "postprocess": "process",
    "device": "cuda:0,cuda:1",
}


def layout_of(spec: RunSpec) -> dict[str, Any]:
    return {key: getattr(spec, key) for key in LAYOUT}


def toml(**layout: Any) -> str:
    lines = [f"{key} = {value!r}".replace("'", '"') for key, value in layout.items()]
    return "\n".join(["[[benchmark]]", 'name = "digits"', 'scenarios = ["Offline"]', *lines])


def test_flags() -> None:
    flags = [f"--{key.replace('_', '-')}={value}" for key, value in LAYOUT.items()]
    args = cli.build().parse_args(["run", "digits", "--output", "x", *flags])
    args.round = ""
    assert layout_of(verbs.spec_of(args)) == LAYOUT


def test_plan_keys(tmp_path: Path) -> None:
    (tmp_path / "plan.toml").write_text(toml(**LAYOUT))
    jobs = plan.jobs(plan.read(tmp_path / "plan.toml"), tmp_path / "out")
    assert [layout_of(job.spec) for job in jobs] == [LAYOUT] * len(jobs)


@pytest.mark.parametrize("layout", [{"replicas": 1.5}, {"replicas": True}, {"spin_us": "long"}, {"pin": 3}])
def test_values_of_the_wrong_kind(tmp_path: Path, layout: dict[str, Any]) -> None:
    (tmp_path / "plan.toml").write_text(toml(**layout).replace("True", "true"))
    with pytest.raises(BadInput, match=f"plan key {next(iter(layout))} cannot be"):
        plan.read(tmp_path / "plan.toml")

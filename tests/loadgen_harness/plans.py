"""Plans of one benchmark in one scenario on the null backend, and their jobs."""

from __future__ import annotations

from pathlib import Path

from loadgen_harness import plan
from loadgen_harness.plan import Job

PLAN = """
round = "{round}"
division = "{division}"
[submission]
submitter = "Me"
system_name = "box"
system_type = "{suite}"
[[benchmark]]
name = "{name}"
backend = "null"
scenarios = ["{scenario}"]
overrides = {{ {overrides} }}
"""
USUAL = {"round": "v6.1", "division": "closed", "suite": "edge", "name": "resnet50", "overrides": ""}


def written(folder: Path, scenario: str = "SingleStream", **more: str) -> Path:
    """A plan of one benchmark in one scenario."""
    file = folder / "plan.toml"
    file.write_text(PLAN.format(**{**USUAL, "scenario": scenario, **more}), encoding="utf-8")
    return file


def jobs(folder: Path, scenario: str = "SingleStream", *, kind: str = "", **more: str) -> list[Job]:
    """The jobs of such a plan, all or those of one kind."""
    found = plan.jobs(plan.read(written(folder, scenario, **more)), folder / "out")
    return [job for job in found if job.key.endswith(kind)]

"""LoadGen's own settings object, made the same way for every driver."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

from loadgen_harness.errors import BadInput
from loadgen_harness.settings import Plan

SEEDS = ("qsl_rng_seed", "sample_index_rng_seed", "schedule_rng_seed")


def effective_settings(module: Any, plan: Plan, folder: Path) -> Any:
    """`module`'s TestSettings for `plan`, whose user.conf lies in `folder`; once per process.

    `module` is LoadGen's binding or our bridge: both have TestSettings, TestScenario and TestMode. Raises BadInput
    where this LoadGen was built for another round.
    """
    settings = module.TestSettings()
    wanted = plan.settings
    settings.FromConfig(str(folder / "user.conf"), plan.model_name, wanted.scenario)
    built_in = {name: getattr(settings, name) for name in SEEDS}
    if not plan.reseeded and built_in != {name: getattr(wanted, name) for name in SEEDS}:
        raise BadInput(
            "the installed mlcommons-loadgen has the seeds of another round built in: "
            "install the LoadGen version of the round, or choose its round with --round."
        )
    settings.scenario = getattr(module.TestScenario, wanted.scenario)
    settings.mode = getattr(module.TestMode, wanted.mode)
    for field in fields(wanted):
        if field.name not in ("scenario", "mode"):
            setattr(settings, field.name, getattr(wanted, field.name))
    return settings

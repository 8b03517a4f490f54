"""Reads a round's rules from `audit/rounds/<name>.toml`."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping
from importlib import resources
from typing import Any

from loadgen_harness.errors import BadInput, UnknownName
from loadgen_harness.types import Limits, Round, Rules, Scenario, Seeds, Suite, Target


def names() -> list[str]:
    """All rounds that ship with the suite."""
    return sorted(f.name.removesuffix(".toml") for f in _folder().iterdir() if f.name.endswith(".toml"))


@functools.cache
def load(name: str) -> Round:
    """The round called `name`; raises UnknownName, or BadInput for a damaged file."""
    if name not in names():
        raise UnknownName("round", name, names())
    try:
        return parse(tomllib.loads((_folder() / f"{name}.toml").read_text(encoding="utf-8")))
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(f"round file {name}.toml is damaged ({error!r}): reinstall the suite.") from error


def parse(data: Mapping[str, Any]) -> Round:
    """A Round from its TOML tables."""
    defaults = data.get("defaults", {})
    return Round(
        name=data["name"],
        seeds=Seeds(**data["seeds"]),
        benchmarks={name: _rules(table, defaults) for name, table in data["benchmarks"].items()},
        checker_version=data.get("checker_version", ""),
        accuracy_scenarios=tuple(Scenario(s) for s in data.get("accuracy_scenarios", [])),
        source=data.get("source", ""),
        loadgen_version=data.get("loadgen_version", ""),
    )


def _folder() -> Any:
    return resources.files("audit") / "rounds"


def _rules(table: Mapping[str, Any], defaults: Mapping[str, Mapping[str, Any]]) -> Rules:
    """Limits are the defaults of the scenario, then the benchmark's own, then the benchmark's of that scenario."""
    scenarios = table["scenarios"]
    shared = table.get("limits", {})
    return Rules(
        targets=tuple(_target(target) for target in table.get("accuracy", [])),
        limits={Scenario(s): Limits(**{**defaults.get(s, {}), **shared, **own}) for s, own in scenarios.items()},
        suites={kind: _suite(suite) for kind, suite in table.get("suites", {}).items()},
        tests=tuple(table.get("tests", ())),
        test_settings=table.get("test_settings", {}),
        user_conf={Scenario(s): conf for s, conf in table.get("user_conf", {}).items()},
    )


def _target(table: Mapping[str, Any]) -> Target:
    return Target(**{**table, "scenarios": tuple(Scenario(s) for s in table.get("scenarios", ()))})


def _suite(table: Mapping[str, list[str]]) -> Suite:
    return Suite(**{key: tuple(Scenario(s) for s in values) for key, values in table.items()})

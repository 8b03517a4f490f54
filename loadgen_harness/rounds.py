"""Reads a round's rules from `audit/rounds/<name>.toml`."""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Mapping
from importlib import resources
from typing import Any

from loadgen_harness import registry
from loadgen_harness.errors import BadInput, UnknownName
from loadgen_harness.types import (
    Disagreement,
    Layout,
    Limits,
    ResultField,
    Round,
    Rules,
    Scenario,
    Seeds,
    Suite,
    Target,
)

OWN = "mini"  # the round of this suite's own benchmarks
OFFICIAL = re.compile(r"v(\d+)\.(\d+)")
RELAXED = ("min_duration_ms", "min_query_count", "percentile")  # what mini states more gently than an official round


def names() -> list[str]:
    """All rounds: those that ship with the suite and those of other distributions."""
    return sorted(_files())


@functools.cache
def official() -> tuple[str, ...]:
    """MLPerf's own rounds that ship with the suite, the oldest first."""
    return tuple(sorted((name for name in names() if OFFICIAL.fullmatch(name)), key=_number))


def _number(name: str) -> tuple[int, ...]:
    return tuple(int(part) for part in name.removeprefix("v").split("."))


@functools.cache
def load(name: str) -> Round:
    """The round called `name`; raises UnknownName, or BadInput for a damaged file."""
    if name not in _files():
        raise UnknownName("round", name, names())
    try:
        data = _tables(name)
        if name != OWN:
            data["benchmarks"] = {**_own_under(), **data["benchmarks"]}
        return parse(data)
    except (KeyError, TypeError, ValueError, AttributeError, OSError) as error:
        raise BadInput(f"round file {name}.toml is damaged ({error!r}): reinstall what it came with.") from error


def parse(data: Mapping[str, Any]) -> Round:
    """A Round from its TOML tables."""
    shared = {"limits": data.get("defaults", {}), "results": data.get("results", {})}
    return Round(
        name=data["name"],
        seeds=Seeds(**data["seeds"]),
        benchmarks={name: _rules(table, shared) for name, table in data["benchmarks"].items()},
        checker_version=data.get("checker_version", ""),
        accuracy_scenarios=tuple(Scenario(s) for s in data.get("accuracy_scenarios", [])),
        source=data.get("source", ""),
        loadgen_version=data.get("loadgen_version", ""),
        loadgen_first=data.get("loadgen_first", ""),
        commit=data.get("commit", ""),
        date=data.get("date", ""),
        layout=Layout(**data.get("layout", {})),
        aliases=data.get("aliases", {}),
        earlier={name: Seeds(**seeds) for name, seeds in data.get("earlier", {}).items()},
        disagreements=_disagreements(data),
    )


def _own_under() -> dict[str, Any]:
    """This suite's own benchmarks under another round: its durations, counts, percentiles and tests everywhere.

    Their targets, latency limits, sample counts and hints stay; benchmarks that the round itself knows win.
    """
    return {name: _stricter(table) for name, table in _tables(OWN)["benchmarks"].items()}


def _stricter(table: Mapping[str, Any]) -> dict[str, Any]:
    scenarios = {
        scenario: {key: value for key, value in own.items() if key not in RELAXED}
        for scenario, own in table["scenarios"].items()
    }
    if "Offline" in scenarios:  # as official rounds do for data sets this small: one query holds all of it
        scenarios["Offline"]["min_query_count"] = table["limits"]["accuracy_sample_count"]
    shared = {key: value for key, value in table.get("limits", {}).items() if key not in RELAXED}
    settings = {test: _official(own) for test, own in table.get("test_settings", {}).items()}
    return {**table, "limits": shared, "scenarios": scenarios, "test_settings": settings}


def _official(settings: Mapping[str, Any]) -> dict[str, Any]:
    """A compliance test's settings without what the short runs relax."""
    return {key: value for key, value in settings.items() if key != "performance_tolerance_percent"}


def _tables(name: str) -> dict[str, Any]:
    return tomllib.loads(_files()[name].read_text(encoding="utf-8"))


def _files() -> dict[str, Any]:
    """Round files by name; another distribution's entry point `round.<name>` names the package with `<name>.toml`."""
    own = [file for file in (resources.files("audit") / "rounds").iterdir() if file.name.endswith(".toml")]
    others = {name: resources.files(package) / f"{name}.toml" for name, package in registry.foreign("round").items()}
    return others | {file.name.removesuffix(".toml"): file for file in own}


def _rules(table: Mapping[str, Any], shared: Mapping[str, Mapping[str, Any]]) -> Rules:
    """Limits are the defaults of the scenario, then the benchmark's own, then the benchmark's of that scenario."""
    scenarios, defaults = table["scenarios"], shared["limits"]
    own = table.get("limits", {})
    return Rules(
        targets=tuple(_target(target) for target in table.get("accuracy", [])),
        limits={Scenario(s): Limits(**{**defaults.get(s, {}), **own, **last}) for s, last in scenarios.items()},
        suites={kind: _suite(suite) for kind, suite in table.get("suites", {}).items()},
        tests=tuple(table.get("tests", ())),
        test_settings=table.get("test_settings", {}),
        user_conf={Scenario(s): conf for s, conf in table.get("user_conf", {}).items()},
        title=table.get("title", ""),
        checker_name=table.get("checker_name", ""),
        model_names=_model_names(table.get("loadgen", {})),
        results=_results(table, shared["results"]),
        accuracy_files={folder: tuple(names) for folder, names in table.get("accuracy_files", {}).items()},
        disagreements=_disagreements(table),
    )


def _model_names(loadgen: str | Mapping[str, str]) -> dict[str, str]:
    """LoadGen's names for a model: one for all scenarios, or a default and others by scenario."""
    named = {"default": loadgen} if isinstance(loadgen, str) else loadgen
    return {"" if key == "default" else Scenario(key).value: name for key, name in named.items()}


def _results(table: Mapping[str, Any], kinds: Mapping[str, Any]) -> dict[Scenario, ResultField]:
    """Where each scenario's figure stands: as samples, as the benchmark's own kind, as it says of one scenario."""
    fields = {**kinds.get("samples", {}), **(kinds[table["results"]] if "results" in table else {})}
    return {Scenario(s): ResultField(**field) for s, field in {**fields, **table.get("result", {})}.items()}


def _disagreements(table: Mapping[str, Any]) -> tuple[Disagreement, ...]:
    return tuple(Disagreement(**each) for each in table.get("disagreements", ()))


def _target(table: Mapping[str, Any]) -> Target:
    return Target(**{**table, "scenarios": tuple(Scenario(s) for s in table.get("scenarios", ()))})


def _suite(table: Mapping[str, list[str]]) -> Suite:
    return Suite(**{key: tuple(Scenario(s) for s in values) for key, values in table.items()})

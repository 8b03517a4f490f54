"""A plan file for `lgh campaign` from what the rules demand."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from loadgen_harness import demands, durable, expectations, power_table
from loadgen_harness.demands import Wish
from loadgen_harness.errors import BadInput
from loadgen_harness.types import Division, Limits, Scenario
from loadgen_harness.visible import visible

SCARCE = 1.5  # of the least queries: arrivals are random
LATENCY = (Scenario.SINGLE_STREAM, Scenario.MULTI_STREAM)


def write(path: Path, wish: Wish) -> tuple[str, ...]:
    """Write the plan of what this suite can run of `wish`, and return those benchmarks; raises BadInput."""
    if wish.division is Division.NETWORK:
        raise BadInput(
            "this suite's own runs cannot be submitted to the network division, so there is no plan to write."
        )
    names = tuple(name for name in wish.benchmarks if demands.implemented(name) != "no")
    if not names:
        raise BadInput("this suite implements none of these benchmarks, so there is no plan to write: see `lgh list`.")
    if os.path.lexists(path):
        raise BadInput(f"{path} exists: give --write another name, a plan is never overwritten.")
    durable.put(path, text(wish, names, visible(path.stem)))
    return names


def text(wish: Wish, names: Sequence[str], title: str) -> str:
    """The plan as TOML, with what a person should fill in as comments."""
    lines = [
        "# Made by `lgh plan`. Keys: docs/campaign.md. Run it with `lgh campaign`, look first with `lgh preflight`.",
        f"name = {_quoted(title)}",
        f"round = {_quoted(wish.round.name)}",
        f"division = {_quoted(wish.division)}",
        "",
        "[submission]",
        '# submitter = ""',
        '# system_name = ""',
        f"system_type = {_quoted(wish.suite)}",
        *(power_table.template() if wish.power else ()),
    ]
    for name in names:
        lines += ["", "[[benchmark]]", f"name = {_quoted(name)}"]
        scenarios = demands.scenarios_of(wish, name)
        lines.append(f"scenarios = [{', '.join(map(_quoted, scenarios))}]")
        for scenario in scenarios:
            lines += _expected(wish, name, scenario)
    return "\n".join(lines) + "\n"


def _expected(wish: Wish, name: str, scenario: Scenario) -> Iterator[str]:
    """The table of a scenario with the speed that LoadGen is to expect, where one was given."""
    known = expectations.of(wish.expected, name, scenario)
    if not known.samples_per_s:
        if scenario.loadgen == "Server":
            yield from ("", f"[benchmark.{scenario}]", "# overrides = { target_qps = 0 } # the rate to offer: name it")
        return
    key, value = "target_qps", known.samples_per_s
    if scenario in LATENCY:
        key, value = "target_latency", known.query_s(scenario) * 1000
    named = f"{key} = {value:.6g}"
    if scenario.loadgen == "Server" and (least := _scarce(wish.round.limits(name, scenario), scenario, value)):
        named += f", min_query_count = {least}"
    yield from ("", f"[benchmark.{scenario}]", f"overrides = {{ {named} }}")


def _scarce(limits: Limits, scenario: Scenario, rate: float) -> int:
    """The queries to ask for where a rate issues too few of them in the minimum duration; 0: it does not."""
    least = demands.least_queries(limits, scenario)
    return least if rate * limits.min_duration_ms / 1000 < SCARCE * least else 0


def _quoted(words: str) -> str:
    return json.dumps(str(words), ensure_ascii=False)

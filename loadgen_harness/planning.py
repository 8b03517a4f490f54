"""The verb `plan`: every run that the rules demand, its least time, what it needs, and what may be inferred instead."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from audit import needs
from loadgen_harness import console, demands, described_system, expectations, own_needs, plan_text, rounds, verbs
from loadgen_harness.demands import Demand, Wish
from loadgen_harness.types import Division, SystemType
from submissions import network

RUNS = ("run", "at least>", "samples>", "this suite")
NEEDS = ("benchmark", "data>", "model>", "disk>", "memory>", "accelerators>", "samples in RAM>")
INFERRED = ("result", "from", "rule", "expected", "saves>")
UNTIMED = "?"  # behind a time: more, by a speed that was not named


def plan_(args: argparse.Namespace) -> int:
    """Show the plan, and write it where it was asked for."""
    wish = demands.wish_of(
        args.round or rounds.official()[-1], args.division, args.suite,
        benchmarks=args.benchmark, scenarios=args.scenario,
    )  # fmt: skip
    wish = replace(wish, power=args.power, expected=_expected(wish, args.expect))
    found = demands.demands(wish)
    if args.format == "json":
        console.data(record(wish, found))
    else:
        show(wish, found)
    if args.write:
        names = plan_text.write(args.write, wish)
        left = [name for name in wish.benchmarks if name not in names]
        without = f", without {', '.join(left)}" if left else ""
        console.note(f"wrote {args.write}: {', '.join(names)}{without}")
    return verbs.OK


def _expected(wish: Wish, given: Sequence[str]) -> dict[tuple[str, str], expectations.Expectation]:
    """Expectations under the round's names; raises UnknownName for a benchmark that is not planned."""
    found = {}
    for (name, scenario), what in expectations.read(given).items():
        known = demands.name_of(wish.round, name) if name else ""
        found[known, scenario] = what
    return found


def show(wish: Wish, found: Sequence[Demand]) -> None:
    """The plan for people."""
    console.say(f"round {wish.round.name}, {wish.division} division, {wish.suite} suite", "bold")
    console.table("Runs", RUNS, [_row(each) for each in found])
    for clause, kinds in _clauses(found).items():
        console.note(f"{', '.join(kinds)}: {clause}")
    open_end = any(each.open_end for each in found)
    console.say(f"{len(found)} runs, at least {console.clock(demands.total_s(found))} one after another", "bold")
    if open_end:
        console.note(
            f"{UNTIMED}: its length follows from the system's speed: --expect resnet50/Offline=4800/s refines."
        )
    if wish.power:
        console.note("power: both runs belong to one official session: a plan with the table [power] makes it.")
    offered = demands.inferences(wish)
    if offered:
        rows = [(f"{e.benchmark}/{e.scenario}", e.source, e.rule, e.figure, console.clock(e.saves_s)) for e in offered]
        console.table("May be inferred instead of measured", INFERRED, rows)
        console.note(f"{demands.INFERRED_CLAUSE}; each saving supposes that this result alone is inferred.")
    console.table("Needs", NEEDS, [_needs_row(wish, name) for name in wish.benchmarks])
    for line in remarks(wish):
        console.note(line)


def _row(each: Demand) -> tuple[str, ...]:
    at_least = console.clock(each.least_s) + (UNTIMED if each.open_end else "")
    return f"{each.benchmark}/{each.scenario}/{each.kind}", at_least, f"{each.samples:,}", each.ours


def _clauses(found: Sequence[Demand]) -> dict[str, list[str]]:
    """What demands the runs, and which of their kinds."""
    clauses: dict[str, list[str]] = {}
    for each in found:
        kinds = clauses.setdefault(each.clause, [])
        if each.kind not in kinds:
            kinds.append(each.kind)
    return clauses


def _needs_row(wish: Wish, name: str) -> tuple[str, ...]:
    need, limits = need_of(name), wish.round.rules(name).limits.values()
    sizes = (need.data_gb, need.model_gb, need.disk_gb, need.memory_gb, need.accelerator_gb)
    count = max((each.performance_sample_count for each in limits), default=0)
    in_ram_gb = need.in_ram_gb(count, described_system.WORD)
    in_ram = f"{count:,}" + (f", {needs.size(in_ram_gb)}" if in_ram_gb else "")
    return name, *map(needs.size, sizes), in_ram


def need_of(name: str) -> needs.Need:
    """What a benchmark needs: by public sources, or of this suite's own by the packages that it fetches."""
    known = needs.of(name)
    return known if known.source or demands.implemented(name) != "yes" else own_needs.of(name)


def remarks(wish: Wish) -> list[str]:
    """What the tables do not say: choices, benchmarks that are not implemented, notes and sources of sizes."""
    said = [line for name in wish.benchmarks for line in demands.choices(wish, name)]
    if wish.division is Division.NETWORK:
        said.append(
            f"network: a Query Dispatch Library whose name holds {network.NAME!r} drives every run ({network.CLAUSE}); "
            "this suite has none, and submits runs of one with `lgh submit --from`"
        )
    said += [line for name in wish.benchmarks for line in _bandwidth(wish, name)]
    for name in wish.benchmarks:
        state = demands.implemented(name)
        if state == "no":
            said.append(f"{name}: this suite has no implementation; its logs can be audited, verified and submitted")
        if state == "synthetic":
            said.append(f"{name}: this suite runs it on synthetic samples alone, whose figures cannot be submitted")
        need = need_of(name)
        said += [
            f"{name}: {text}" for text in (need.data, need.note, need.unknown and f"unknown: {need.unknown}") if text
        ]
        differing = [each for each in wish.round.rules(name).disagreements if each.key.startswith("suites.")]
        said += [f"{name}: sources differ on {each.key}: {each}" for each in differing]
    sources = {need_of(name).source for name in wish.benchmarks} - {""}
    return said + [f"sizes: {source}" for source in sorted(sources)]


def _bandwidth(wish: Wish, name: str) -> list[str]:
    """What a datacenter system's network must carry at the highest rate that is expected."""
    rates = [expectations.of(wish.expected, name, each).samples_per_s for each in demands.scenarios_of(wish, name)]
    if SystemType.DATACENTER.value not in wish.suite or not max(rates, default=0.0):
        return []
    least = needs.bandwidth(name, max(rates), described_system.WORD)
    ways = (("ingress", least.ingress), ("egress", least.egress))
    told = [f"{way} {_rate(value)}" for way, value in ways if value is not None]
    said = ", ".join(told) or "not listed there"
    return [f"{name}: bandwidth at {max(rates):,.6g} samples/s of 4-byte elements: {said} ({least.source})"]


def _rate(value: float) -> str:
    return f">= {described_system.rate(value)}" if value else "> 0"


def record(wish: Wish, found: Sequence[Demand]) -> dict[str, Any]:
    """The plan for programs."""
    return {
        "round": wish.round.name,
        "division": wish.division.value,
        "suite": wish.suite,
        "runs": [asdict(each) for each in found],
        "least_s": demands.total_s(found),
        "open_end": any(each.open_end for each in found),
        "inferred": [asdict(each) for each in demands.inferences(wish)],
        "needs": {name: asdict(need_of(name)) for name in wish.benchmarks},
        "remarks": remarks(wish),
    }

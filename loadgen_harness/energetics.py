"""The verbs `energy` and `label`: what runs took, what follows from it, and the label that says so."""

from __future__ import annotations

import argparse
import hashlib
import math
import os
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from audit import runtime
from loadgen_harness import console, durable, verbs
from loadgen_harness.errors import BadInput
from loadgen_harness.run import DETAIL, Run
from power import factors, repeated, stars, surroundings
from power.amount import Amount, Mean
from power.derived import Figure, derive
from power.figures import Energy, figure, readings
from power.repeated import NOT_OFFICIAL, QUANTITIES, Repeated
from power.shares import FORMULA, shares
from power.stars import RULE, Rating
from power.surroundings import Surroundings
from submissions import energy_facts
from submissions.energy_facts import EnergySection, Line

RUNS = ("run", "verdict", "W mean>", "W min–max>", "W idle>", "J>", "J/sample>", "J/token>")
MEANS = ("figure", "value>", "unit", "95 % interval>", "over runs alone>")
MIDDLES = (  # of an estimate no better than its ends, so never told
    "mean_w",
    "min_w",
    "max_w",
    "official_w",
    "idle_w",
    "joules",
    "per_query_j",
    "per_sample_j",
    "per_token_j",
    "samples_per_j",
    "tokens_per_j",
    "wh_per_1000_queries",
    "metric",
)
SINGLE = "one run has no interval over runs: `lgh run … --repeats` makes 10"


def energy_(args: argparse.Namespace) -> int:
    """The energy of runs and every derived figure."""
    found = repeated.gather(runs_of(args.runs))
    around = surroundings_of(args)
    rating = rating_of(found, args.reference)
    if args.output and args.output.exists():
        raise BadInput(f"{args.output} exists: choose another --output.")
    if args.format == "json":
        import json

        _give(json.dumps(_finite(plain(found, around, rating)), indent=1, default=str) + "\n", args.output)
    elif args.format == "markdown":
        _give(markdown(found, around, rating), args.output)
    elif args.output:
        raise BadInput("--output takes --format json or markdown: the table for people is printed.")
    else:
        show(found, around, rating)
    return verbs.OK


def label(args: argparse.Namespace) -> int:
    """An energy label and the metadata of a model card."""
    from submissions import label as labels

    found = repeated.gather(runs_of(args.runs))
    given = labels.Given(args.model, args.system, args.date)
    facts = labels.facts(found, surroundings_of(args), rating_of(found, args.reference), given)
    for path in labels.write(facts, args.output, png=args.png):
        console.say(f"wrote {path}")
    return verbs.OK


def runs_of(paths: Sequence[Path]) -> tuple[Run, ...]:
    """The runs of a command line; raises BadInput where one is there twice, as itself or as a copy of its log."""
    runs = stars.runs_of(paths)
    seen: dict[str, Run] = {}
    for run in runs:
        for mark in filter(None, (os.path.realpath(run.path), _log_digest(run))):
            if mark in seen:
                raise BadInput(f"{run.path} and {seen[mark].path} are one and the same run: give each run once.")
            seen[mark] = run
    return runs


def _log_digest(run: Run) -> str:
    """SHA-256 of LoadGen's detail log, which no two runs share; empty where there is none."""
    log = run.file(DETAIL)
    if not log.is_file():
        return ""
    with log.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def surroundings_of(args: argparse.Namespace) -> Surroundings:
    """The factors of a command line and its --factors file; the flags count more."""
    known = factors.read(args.factors) if args.factors else factors.Factors()
    given = {each.name: getattr(args, each.name) for each in fields(factors.Factors)}
    return surroundings.of(factors.completed(known, given))


def rating_of(found: Repeated, reference: Path | None) -> Rating | None:
    """The stars of runs within the set at `reference`, None without one; raises BadInput for estimates."""
    if reference is None:
        return None
    if found.estimated:
        raise BadInput(f"no meter exists in {found.runs[0].path}: an estimate never has stars; leave --set out.")
    return stars.rate(found.runs, stars.read(reference))


def show(found: Repeated, around: Surroundings, rating: Rating | None) -> None:
    """Tables and lines for people."""
    section = energy_facts.section(found, around)
    console.table(f"Energy: {section.head}", RUNS, [_row(run, each) for run, each in _pairs(found)])
    means(section)
    if section.shares:
        console.table(
            "Shares", MEANS[:4], [(line.name, line.value, line.unit, line.interval) for line in section.shares]
        )
        console.say(f"  share = {FORMULA}", "dim")
    console.say("Derived figures", "bold")
    for line in section.derived:
        interval = (
            f" ({line.interval})" if line.interval and not section.word else f" {line.interval}" * bool(line.interval)
        )
        console.say(f"  {line.name}: {line.value}{interval} {line.unit} per {line.per}")
        console.say(f"    = {line.formula}: {line.inputs}", "dim")
    _closing(found, rating)


def means(section: EnergySection) -> None:
    """The table of means; of one run its own figures."""
    rows = [(line.name, line.value, line.unit, line.interval, line.runs) for line in section.lines]
    if section.n > 1:
        console.table(f"Means of {section.n} runs", MEANS, rows)
    else:
        console.table("Figures", MEANS[:-1], [row[:-1] for row in rows])


def brief(runs: Sequence[Run]) -> None:
    """The means of runs just made; a note where they have no energy."""
    try:
        found = repeated.gather(runs)
    except BadInput as error:
        console.note(str(error))
        return
    section = energy_facts.section(found)
    console.say(section.head, "bold")
    means(section)


def _closing(found: Repeated, rating: Rating | None) -> None:
    if rating:
        console.say(f"{'★' * rating.stars}{'☆' * (stars.MOST - rating.stars)}  {rating.text()}", "bold")
        console.say(f"  {RULE}", "dim")
    if len(found.runs) == 1:
        console.note(SINGLE)
    for line in foreign(found.runs):
        console.note(line)
    for run in found.runs:
        if not run.valid:
            console.note(f"{run.path} is INVALID: {'; '.join(run.invalid_reasons)}")


def foreign(runs: Sequence[Run]) -> list[str]:
    """Of each run beside which other processes were at work: how much, since their joules are among its own."""
    seen = [(run, runtime.others(run)) for run in runs]
    return [
        f"{run.path.name}: {taken.cores:.2f} of {taken.of:g} processors ({taken.share:.0%}) were busy with something"
        " else, whose energy is in these joules; repeat it on a machine that does nothing else."
        for run, taken in seen
        if taken and taken.share > runtime.OTHERS
    ]


def _pairs(found: Repeated) -> list[tuple[Run, Any]]:
    return list(zip(found.runs, found.energies, strict=True))


def _row(run: Run, each: Any) -> tuple[str, ...]:
    """One line of RUNS; of an estimate intervals alone."""

    def told(value: float | None) -> str:
        if value is None:
            return ""
        low, high = each.interval(value)
        return Amount(value, low, high).interval() if each.estimated else figure(value, 4)

    span = readings(each.min_w, each.max_w) if not each.estimated else ""
    verdict = "VALID" if run.valid else "INVALID"
    numbers = (each.joules, each.per_sample_j, each.per_token_j)
    return run.path.name, verdict, told(each.mean_w), span, told(each.idle_w), *map(told, numbers)


def plain(found: Repeated, around: Surroundings, rating: Rating | None) -> dict[str, Any]:
    """Everything as JSON holds it: numbers in full, units in the names or beside them."""
    section = energy_facts.section(found, around)
    means = {quantity: found.mean(quantity) for quantity in QUANTITIES}
    return {
        "format": 1,
        "official": False,
        "remark": NOT_OFFICIAL,
        "estimated": found.estimated,
        "label": found.word,
        "meter": section.meter,
        "scope": section.scope,
        "runs": [
            {"path": str(run.path), "valid": run.valid, **_bare(each), "other_cores": _other_cores(run)}
            for run, each in _pairs(found)
        ],
        "means": {
            quantity.field: {
                **_of_mean(mean, estimated=found.estimated),
                "unit": quantity.unit or found.first.metric_unit,
                "formula": _line(section, quantity.title).formula,
                "inputs": _line(section, quantity.title).inputs,
            }
            for quantity, mean in means.items()
            if mean
        },
        "shares": [asdict(share) for share in shares(found.runs)],
        "derived": [_plain(each) for each in derive(found, around)],
        "stars": _stars(rating) if rating else None,
    }


def _bare(each: Energy) -> dict[str, Any]:
    """The record of one run; of an estimate the ends of its joules alone, from which every share follows."""
    record = asdict(each)
    return {**record, **dict.fromkeys(MIDDLES)} if each.estimated else record


def _other_cores(run: Run) -> float | None:
    """Processors that other processes kept busy; None where run.json says nothing of it."""
    taken = runtime.others(run)
    return taken.cores if taken else None


def _of_mean(mean: Mean, *, estimated: bool) -> dict[str, Any]:
    """A mean; of an estimate its ends alone: that its runs agree says nothing of it."""
    record = asdict(mean)
    return {**record, "runs": None, "amount": {**record["amount"], "value": None}} if estimated else record


def _finite(value: Any) -> Any:
    """JSON knows no infinity, which the open end of an interval is: null stands for it."""
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _line(section: EnergySection, title: str) -> Line:
    return next(line for line in section.lines if line.name == title)


def _plain(each: Figure) -> dict[str, Any]:
    record = {**asdict(each), **asdict(each.amount), **({"value": None} if each.estimated else {})}
    return {key: value for key, value in record.items() if key != "amount"}


def _stars(rating: Rating) -> dict[str, Any]:
    within = rating.within
    return {
        "stars": rating.stars,
        "least": rating.least,
        "most": rating.most,
        "wh_per_1000_samples": asdict(rating.wh),
        "member": rating.member,
        "rule": RULE,
        "set": {
            "name": within.name,
            "scope": within.scope,
            "task": dict(within.task),
            "size": len(within.entries),
            "digest": within.digest,
            "entries": {entry.name: entry.wh.amount.value for entry in within.entries},
        },
    }


def markdown(found: Repeated, around: Surroundings, rating: Rating | None) -> str:
    """The same for a page."""
    section = energy_facts.section(found, around)
    name = found.runs[0].spec.get("benchmark") or found.runs[0].path.name
    text = [f"# Energy of {name}, {found.first.scenario}", "", f"{section.head[0].upper()}{section.head[1:]}.", ""]
    heads = ("Run", "Verdict", "W mean", "W min–max", "W idle", "J", "J per sample", "J per token")
    text += _table(heads, [_row(run, each) for run, each in _pairs(found)])
    text += [f"\n{line}" for line in foreign(found.runs)]
    lines = (*section.lines, *section.shares)
    columns = (*energy_facts.COLUMNS[:4], "over runs alone", *energy_facts.COLUMNS[4:])
    rows = [(each.name, each.value, each.unit, each.interval, each.runs, each.formula, each.inputs) for each in lines]
    text += ["", *_table(columns, rows), "", "## Derived figures", ""]
    text += _table(
        energy_facts.DERIVED,
        [(e.name, e.per, e.value, e.unit, e.interval, e.formula, e.inputs) for e in section.derived],
    )
    if rating:
        text += [
            "",
            "## Stars",
            "",
            f"{'★' * rating.stars}{'☆' * (stars.MOST - rating.stars)} {rating.text()}.",
            "",
            f"Rule: {RULE}.",
        ]
    return "\n".join(text) + "\n"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [heads, ["---"] * len(heads), *rows]
    return [
        f"| {' | '.join(' '.join(str(cell).split()).replace('|', chr(92) + '|') for cell in line)} |" for line in lines
    ]


def _give(text: str, output: Path | None) -> None:
    if output is None:
        console.raw(text)
        return
    durable.put(output, text)
    console.say(f"wrote {output}")

"""The harness tax for people: the verb `tax`, its table, and what a campaign says of it."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from audit.tax import DEFINITION, Share, Tax, micro, of, share
from loadgen_harness import campaign, console, tax
from loadgen_harness.errors import BadInput
from loadgen_harness.launch import Status
from loadgen_harness.plan import PERFORMANCE, Plan
from loadgen_harness.run import Run

COLUMNS = ("run", "mean µs>", "p99 µs>", "share>", "ceiling>", "GIL > 1 ms")
NONE, UNSEEN = "–", "not visible"
Show = Callable[[str, Status | None, int, float], None]


def tax_(args: argparse.Namespace) -> int:
    """Measure the tax of finished runs, write it into their run.json and show it."""
    if not args.seconds > 0:
        raise BadInput("--seconds must be more than 0.")
    groups: dict[tax.Layout, list[Run]] = {}
    for run in map(_opened, args.runs):
        groups.setdefault(tax.layout(tax.spec_of(run), run.meta["settings"]), []).append(run)
    groups = dict(sorted(groups.items(), key=lambda item: tax.order(item[0])))
    ceilings: dict[tax.Layout, float | None] = {}
    with console.live(len(groups)) as show:
        for number, (layout, alike) in enumerate(groups.items()):
            left = tax.estimate_s(layout, args.seconds) * (len(groups) - number)
            report = _reporter(show, str(alike[0].path), number, left)
            tax.store(alike, tax.measure(alike[0], args.seconds, ceilings, report))
    table([(str(folder), Run(folder)) for folder in args.runs])
    for folder in args.runs:
        warn(str(folder), Run(folder))
    return 0


def _opened(folder: Path) -> Run:
    if not (folder / "run.json").exists():
        raise BadInput(f"{folder} holds no run.json: give the folder of a finished run.")
    return Run(folder)


def _reporter(show: Show, key: str, number: int, left_s: float) -> tax.Progress:
    return lambda status: show(key, status, number, left_s)


def pay(plan: Plan, output: Path, only: str, show: Show) -> None:
    """Measure what a campaign still owes; says what is too much or could not be measured."""

    def on_step(step: campaign.Step) -> None:
        show(step.job.key, step.status, step.number - 1, step.left_s)

    for charge, measured in campaign.levy(plan, output, only=only, on_step=on_step):
        if measured.error:
            console.note(f"no harness tax for {charge.key}: {measured.error}")
        for job in charge.jobs:
            if campaign.finished(job):
                warn(job.key.removesuffix(f"/{PERFORMANCE}"), Run(job.spec.output))


def warn(name: str, run: Run) -> None:
    """A red line where the harness takes more of a run's latency limit than is tolerated."""
    found = of(run)
    judged = share(run, found) if found else None
    if judged and judged.limited and judged.exceeds:
        added = f"{judged.added} {micro(judged.added_ns)}"
        console.say(f"  tax      {name}  {added}: {judged.part:.1%} of {judged.whole}, wanted at most 2 %", "red")


def table(runs: Sequence[tuple[str, Run]]) -> None:
    """One row for each named run that has a tax, with the definition below."""
    found = [(name, run, of(run)) for name, run in runs]
    rows = [row(name, each, share(run, each)) for name, run, each in found if each and not each.error]
    if not rows:
        return
    unseen = all(each[-1] == UNSEEN for each in rows)
    console.table("Harness tax", COLUMNS[:-1] if unseen else COLUMNS, [each[:-1] for each in rows] if unseen else rows)
    console.say(DEFINITION + (f" Waits for the GIL: {UNSEEN} with the Python driver." if unseen else ""), "dim")


def row(name: str, measured: Tax, judged: Share | None) -> tuple[str, ...]:
    """One row of COLUMNS."""
    gil = measured.gil
    return (
        name,
        NONE if measured.mean_ns is None else _micro(measured.mean_ns),
        NONE if measured.p99_ns is None else _micro(measured.p99_ns),
        f"{_percent(judged.part)} {judged.short}" if judged else NONE,
        NONE if measured.ceiling is None else brief(measured.ceiling),
        f"{gil.get('over_1ms', 0):.0f} of {gil.get('waits', 0):.0f}" if gil else UNSEEN,
    )


def _micro(nanoseconds: float) -> str:
    value = nanoseconds / 1e3
    return f"{value:.1f}" if value < 100 else f"{value:,.0f}"


def _percent(part: float) -> str:
    return f"{100 * part:.2g}%" if part >= 0.001 else "<0.1%"


def brief(rate: float) -> str:
    """A rate in a few characters."""
    scale, prefix = next(pair for pair in ((1e6, "M"), (1e3, "k"), (0.0, "")) if rate >= pair[0])
    return f"{rate / (scale or 1):.3g}{prefix}"

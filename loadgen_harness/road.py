"""The road from a plan to a submission: the verbs `campaign`, `demo` and `report`; `submit` is submitting.py."""

from __future__ import annotations

import argparse
import shlex
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from audit.finding import Finding, errors
from loadgen_harness import (
    assess,
    campaign,
    console,
    demands,
    energetics,
    plan,
    preflight,
    reports,
    submitting,
    taxes,
    verbs,
)
from loadgen_harness.assess import Assessment
from loadgen_harness.campaign import Outcome, Policy
from loadgen_harness.errors import BadInput
from loadgen_harness.plan import Job, Plan
from loadgen_harness.run import Run
from loadgen_harness.types import Target
from power.surroundings import NONE_GIVEN, Surroundings
from submissions.build import Places

DEMO_PLAN = Path("demo")
RESULTS = ("run", "verdict", "result>")
ENERGY = ("run", "meter", "J>", "J/sample>", "J/token>")
ACCURACY = ("benchmark", "metric", "value>", "95 % CI>", "n>", "target>", "verdict")
COMPLIANCE = ("run", "test", "verdict")


def announce(number: int, text: str) -> None:
    """Say which of the demo's four steps begins."""
    console.say(f"[{number}/4] {text}", "bold")


def campaign_(args: argparse.Namespace) -> int:
    """Run a plan, or show it."""
    chosen = taxed(plan.read(args.plan, args.round), args)
    if args.dry_run:
        show_plan(plan.jobs(chosen, args.output), campaign.charges(chosen, args.output))
        return verbs.OK
    policy = policy_of(args)
    campaign.sessions(chosen, args.output, args.only)
    if args.preflight and not preflight.before_campaign(chosen, args.output, args.only):
        return verbs.FOUND
    with tally(chosen, args.output, args.only):
        outcomes = carry_out(chosen, args.output, args.only, policy)
        assessments = assess.assess(outcomes)
        show_summary(assessments, outcomes)
        found = distinct([finding for each in assessments for finding in each.result.findings])
        verbs.show(found)
    return verbs.OK if all(outcome.ok for outcome in outcomes) and not errors(found) else verbs.FOUND


def policy_of(args: argparse.Namespace) -> Policy:
    """What is done about runs that go wrong; raises BadInput for numbers that are none."""
    for name in ("retries", "retry_invalid"):
        if getattr(args, name) < 0:
            raise BadInput(f"--{name.replace('_', '-')} must be 0 or more, not {getattr(args, name)}.")
    return Policy(args.retries, args.retry_invalid, args.early_stop)


def taxed(chosen: Plan, args: argparse.Namespace) -> Plan:
    """The plan, without measurements of the harness tax where the command line wants none."""
    return chosen if args.tax else replace(chosen, tax_s=0.0)


def show_plan(planned: Sequence[Job], charges: Sequence[campaign.Charge]) -> None:
    """Every run and every measurement of the harness tax that is due, with its time, and the total."""
    rows = [row for job in planned for row in plan_rows(job)]
    rows += [(charge.key, console.clock(charge.estimate_s), "") for charge in charges]
    console.table("Runs", ("run", "about>", "finished"), rows)
    to_do = [job for job in planned if not campaign.finished(job)]
    left = console.clock(sum(job.estimate_s for job in to_do) + sum(charge.estimate_s for charge in charges))
    unknown = any(job.open_end for job in to_do)
    done = f" ({len(planned) - len(to_do)} finished)" if len(to_do) < len(planned) else ""
    taxed_too = f" and {len(charges)} measurement{'s' * (len(charges) > 1)} of the harness tax" if charges else ""
    console.say(f"{len(planned)} runs{done}{taxed_too}, {'at least' if unknown else 'about'} {left} left")
    if unknown:
        console.note("?: its length follows from the system's speed, which neither plan nor round names.")


def plan_rows(job: Job) -> list[tuple[str, str, str]]:
    """Key, time and whether it is done: of a run, or of the two of a power session, each with half of the waits."""
    done = "yes" if campaign.finished(job) else ""
    if job.session is None:
        return [(job.key, console.clock(job.estimate_s) + ("?" if job.open_end else ""), done)]
    half = console.clock(job.estimate_s / 2)
    return [(f"{job.key} ({kind})", half, done) for kind in (demands.RANGING, demands.TESTING)]


def carry_out(chosen: Plan, output: Path, only: str = "", policy: Policy = campaign.DEFAULT) -> list[Outcome]:
    """Fetch assets, run what is not finished, say how each run ended, and measure the harness tax."""
    for choice in chosen.choices:
        if not only or only.split("/")[0] in choice.benchmark:
            verbs.prepare(*(job.spec for job in plan.jobs(chosen, output) if job.spec.benchmark == choice.benchmark))
    total = len(plan.jobs(chosen, output))
    charges = campaign.charges(chosen, output, only)
    later = sum(charge.estimate_s for charge in charges)
    outcomes: list[Outcome] = []
    with console.live(total + len(charges)) as show:

        def on_step(step: campaign.Step) -> None:
            show(step.job.key, step.status, step.number - 1, step.left_s + later)
            if step.remark:
                console.note(step.remark)

        for outcome in campaign.execute(chosen, output, only=only, on_step=on_step, policy=policy):
            outcomes.append(outcome)
            if not outcome.resumed:
                console.say(outcome_line(outcome), "" if outcome.ok else "red")
        taxes.pay(chosen, output, only, lambda key, status, done, left: show(key, status, total + done, left))
    resumed = sum(outcome.resumed for outcome in outcomes)
    if resumed:
        console.note(f"{resumed} finished runs were taken over from {output}.")
    return [reread(outcome) for outcome in outcomes]


@contextmanager
def tally(chosen: Plan, output: Path, only: str) -> Iterator[None]:
    """Whatever ends the block, a last line says how many runs are done, and which command goes on."""
    try:
        yield
    finally:
        if campaign.begun(output):
            console.say(last_line(campaign.count(chosen, output, only)), "bold")


def last_line(count: campaign.Count) -> str:
    """How far a campaign is, and the command that does the rest."""
    again = f"; go on with: {shlex.join(['lgh', *sys.argv[1:]])}" if count.left else ""
    return (
        f"{count.done} of {count.total} runs done: {count.valid} valid, {count.done - count.valid} invalid; "
        f"{count.failed} failed, {count.left} left{again}"
    )


def reread(outcome: Outcome) -> Outcome:
    """The outcome with its run as its folder is now."""
    return replace(outcome, run=Run(outcome.run.path)) if outcome.run else outcome


def outcome_line(outcome: Outcome) -> str:
    """How one run ended, in one line (and LoadGen's reasons where it is not valid)."""
    if outcome.run is None:
        return f"  failed   {outcome.job.key}: {outcome.error}"
    verdict = "ok" if outcome.ok else "INVALID"
    why = f": {'; '.join(outcome.run.invalid_reasons)}" if not outcome.ok else ""
    figure = verbs.describe_result(outcome.run)
    return f"  {verdict:8} {outcome.job.key}  {figure}  {outcome.run.meta['wall_s']:.1f} s{why}"


def show_summary(assessments: Sequence[Assessment], outcomes: Sequence[Outcome]) -> None:
    """The tables at the end of a campaign, and how to repeat runs that are INVALID."""
    if assessments:
        console.table("Results", RESULTS, [result_row(each) for each in assessments])
    measured = [(place(each), *each.energy_cells) for each in assessments if each.energy_cells]
    if measured:
        console.table("Energy", ENERGY, measured)
    taxes.table([(place(each), each.result.run) for each in assessments])
    scored = {each.result.benchmark.name: each for each in assessments if each.result.scores}
    if scored:
        console.table("Accuracy", ACCURACY, [row for each in scored.values() for row in accuracy_rows(each)])
    verdicts = [
        (place(each), name, "pass" if passed else "FAIL")
        for each in assessments
        for name, passed in each.result.verdicts.items()
    ]
    if verdicts:
        console.table("Compliance", COMPLIANCE, verdicts)
    for outcome in outcomes:
        if outcome.run and not outcome.ok:
            console.note(f"{outcome.job.key} is INVALID: --retry-invalid 1 runs it again and keeps this one beside it.")


def place(each: Assessment) -> str:
    """Benchmark and scenario."""
    return f"{each.result.benchmark.name}/{each.result.scenario}"


def result_row(each: Assessment) -> tuple[str, ...]:
    """One row of RESULTS."""
    run = each.result.run
    verdict = "VALID" if run.valid else "INVALID"
    return place(each), verdict, verbs.describe_result(run)


def accuracy_rows(each: Assessment) -> list[tuple[str, ...]]:
    """Rows of ACCURACY: every score against its target."""
    targets = {target.metric: target for target in each.result.targets}
    missed = {finding.key for finding in each.result.findings if finding.check == "accuracy"}
    rows: list[tuple[str, ...]] = []
    name = each.result.benchmark.name
    for score in each.result.scores:
        wanted = _target_text(targets[score.metric]) if score.metric in targets else ""
        verdict = ("FAIL" if score.metric in missed else "pass") if wanted else ""
        interval = f"{score.low:.3g}\u2013{score.high:.3g}"
        rows.append((name, score.metric, f"{score.value:.4g}", interval, str(score.n), wanted, verdict))
    return rows


def _target_text(target: Target) -> str:
    """The least accepted value, or the accepted range."""
    if target.upper is not None:
        return f"{target.target:.3g}\u2013{target.upper:.3g}"
    return f"{target.target:.4g}"


def distinct(found: Sequence[Finding]) -> list[Finding]:
    """Findings without those that say the same of another copy of the same file."""
    return list({(f.check, f.key, f.found, f.wanted): f for f in reversed(found)}.values())[::-1]


def demo(args: argparse.Namespace) -> int:
    """Three real models through every scenario, compliance, power, tree, check and report."""
    begun = time.monotonic()
    chosen, output = taxed(plan.read(DEMO_PLAN, args.round), args), args.output
    announce(1, "runs: three models, every scenario, accuracy, compliance, power")
    outcomes = carry_out(chosen, output, args.only)
    announce(2, "accuracy, compliance and rules")
    assessments = assess.assess(outcomes)
    found: list[Finding] = []
    if not args.only:
        announce(3, "submission tree: sealed backup, hash, truncation, check")
        found = demo_tree(chosen, assessments, output)
    announce(4, "report")
    page = build_report(outcomes, assessments, output)
    show_summary(assessments, outcomes)
    found = distinct([*(f for each in assessments for f in each.result.findings), *found])
    verbs.show([finding for finding in found if finding.severity.value != "note"])
    console.say(f"report  {page}", "bold")
    if not args.only:
        console.say(f"tree    {output / 'submission'}  (round {chosen.round}: this suite's own, not MLCommons')")
    console.say(f"done in {console.clock(time.monotonic() - begun)}")
    return verbs.OK if all(outcome.ok for outcome in outcomes) and not errors(found) else verbs.FOUND


def demo_tree(chosen: Plan, assessments: Sequence[Assessment], output: Path) -> list[Finding]:
    """The demo's own tree, made again from the same runs, and what the check finds in it."""
    material = submitting.of_campaign(chosen, assessments, output, None)
    places = Places(output / "submission", submitting.sealed(output))
    shutil.rmtree(places.tree, ignore_errors=True)
    shutil.rmtree(places.backup, ignore_errors=True)
    return submitting.made(material, places).findings


def report(args: argparse.Namespace) -> int:
    """The report of a campaign so far, or of run folders."""
    around = energetics.surroundings_of(args)
    if args.campaign is None:
        runs = reports.runs_in(args.runs)
        folder = reports.place(args.output or Path())  # before anything is computed
        console.say(f"wrote {reports.write(runs, reports.results(runs), folder, around, campaign=False)}")
        return verbs.OK
    if len(args.runs) != 1:
        raise BadInput("--campaign takes one plan: name the plan's file alone before it.")
    chosen = plan.read(args.runs[0], args.round)
    outcomes = submitting.finished(chosen, args.campaign)
    page = build_report(outcomes, assess.assess(outcomes), args.output or args.campaign, around)
    console.say(f"wrote {page}")
    return verbs.OK


def build_report(
    outcomes: Sequence[Outcome], assessments: Sequence[Assessment], folder: Path, around: Surroundings = NONE_GIVEN
) -> Path:
    """The report of a campaign, anew where it is there; returns the page's path."""
    runs = [outcome.run for outcome in outcomes if outcome.run]
    return reports.write(runs, [each.result for each in assessments], folder, around)

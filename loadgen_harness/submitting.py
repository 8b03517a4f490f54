"""The verb `submit`: a tree out of a campaign, or out of runs made elsewhere, checked and packed.

Exit codes: 0 in order, 1 the check found errors (nothing is packed then), 2 nothing could be built.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from audit.finding import Finding, errors
from loadgen_harness import (
    assess,
    campaign,
    campaign_power,
    console,
    one_system,
    plan,
    power_table,
    rounds,
    system_files,
    verbs,
)
from loadgen_harness.assess import Assessment
from loadgen_harness.campaign import Outcome
from loadgen_harness.errors import BadInput
from loadgen_harness.plan import Plan
from loadgen_harness.power_table import PowerTable
from loadgen_harness.types import Round
from power import session
from submissions import archive, build, imported, offers
from submissions import check as checks
from submissions.build import Places
from submissions.generate import Entry, Kept, Submission
from submissions.offers import Offer
from submissions.system import NETWORK, REQUIRED, of_machine

RESULTS = ("result", "from", "figure>")
PLACE = ("round", "benchmark", "scenario", "mode", "test", "division")  # of a spec: what run of which plan it is


@dataclass(frozen=True)
class Material:
    """What a tree is made of: measured results, what is the same for all, the round, and what is to be inferred."""

    entries: tuple[Entry, ...]
    meta: Submission
    round: Round
    infer: tuple[str, ...] = ()

    @property
    def offered(self) -> list[Offer]:
        """What may be inferred."""
        return offers.offers(self.entries, self.round, str(self.meta.system.get("system_type", "")))

    @property
    def complete(self) -> list[Entry]:
        """The measured results and the inferred ones that were asked for."""
        return [*self.entries, *offers.chosen(self.infer, self.offered)]


@dataclass(frozen=True)
class Made:
    """A built tree: whether it was written now, and what the check found."""

    new: bool
    findings: list[Finding]


def submit(args: argparse.Namespace) -> int:
    """The submission tree of a finished campaign or of a manifest."""
    material = material_of(args)
    show(material)
    if args.dry_run:
        return verbs.OK
    places = places_of(args)
    done = made(material, places, private_ids=args.private_ids)
    verbs.show(done.findings)
    wrong = bool(errors(done.findings))
    verdict = "not in order" if wrong else "in order"
    wrote = "wrote" if done.new else "nothing left to do in"
    console.say(f"{wrote} {places.tree}: {verdict}; whole accuracy logs are sealed in {places.backup}", "bold")
    if args.archive and wrong:
        console.say(f"{args.archive} was not packed: mend what the check found first.", console.BAD)
    elif args.archive:
        manifest = archive.pack(places.tree, args.archive)
        console.say(f"packed {args.archive}, read it back; digests in {manifest}")
    return verbs.FOUND if wrong else verbs.OK


def material_of(args: argparse.Namespace) -> Material:
    """What the command line names; raises BadInput where it names too much or too little."""
    if bool(args.manifest) == bool(args.plan):
        raise BadInput(
            "give a PLAN with --campaign FOLDER, or runs that were made elsewhere with --from MANIFEST.toml."
        )
    if args.manifest and (args.campaign or args.system):
        raise BadInput("--campaign and --system belong to a plan: the manifest of --from names runs and system itself.")
    if args.manifest:
        found = imported.read(args.manifest)
        if args.round and args.round != found.round.name:
            raise BadInput(f"{args.manifest} is of round {found.round.name}: leave --round {args.round} out.")
        return Material(found.entries, found.meta, found.round, (*found.infer, *args.infer))
    if not args.campaign:
        raise BadInput("name the folder of the finished campaign with --campaign.")
    chosen = plan.read(args.plan, args.round)
    described = system_files.read(args.system) if args.system else None
    assessments = assess.assess(finished(chosen, args.campaign))
    return of_campaign(chosen, assessments, args.campaign, described, args.infer)


def of_campaign(
    chosen: Plan,
    assessments: Sequence[Assessment],
    folder: Path,
    described: Mapping[str, Any] | None,
    infer: Sequence[str] = (),
) -> Material:
    """The results of a campaign; raises BadInput where it has no performance run yet."""
    if not assessments:
        raise BadInput(f"{folder} holds no finished performance run of this plan: run `lgh campaign` first.")
    entries = tuple(with_power(each, chosen.power) for each in assessments)
    runs = [run for entry in entries for run in entry.runs]
    one_system.refuse_mixed(runs)
    if described is None:
        one_system.refuse_elsewhere(runs, "give its description with --system")
    meta = submission_meta(chosen, assessments, described)
    given: Any = chosen.submission.get("infer", [])
    if not isinstance(given, list) or not all(isinstance(each, str) for each in given):
        raise BadInput(f"plan {chosen.name}: infer of [submission] must be a list of texts, not {given!r}.")
    return Material(entries, meta, rounds.load(chosen.round), (*given, *infer))


def with_power(each: Assessment, table: PowerTable | None) -> Entry:
    """A result as a tree takes it, with its power session; raises BadInput where something of that is missing."""
    own, job = each.entry(), each.outcome.job
    if job.session is None or table is None:
        return own
    campaign_power.refuse([job], table, campaign.matches)
    missing = [key for key in power_table.TEXTS if not getattr(table, key)]
    if missing:
        raise BadInput(f"a power result needs {' and '.join(missing)} in [power] of the plan (power_measurement.adoc).")
    for path in table.texts:
        if not path.is_file():
            raise BadInput(f"{path} of [power] is not there: write it, it is laid beside every power result.")
    return replace(own, power=job.session / session.PERFORMANCE, kept=Kept(beside=table.texts))


def places_of(args: argparse.Namespace) -> Places:
    """Where tree and backup go; raises BadInput without an output."""
    if not args.output:
        raise BadInput("name the folder of the tree with --output.")
    if not args.output.name:
        raise BadInput(f"--output {args.output} cannot be a tree: name a new folder.")
    if args.archive:
        archive.refuse(args.output, args.archive)
    beside = args.output.with_name(f"{args.output.name}.sealed-accuracy-logs")
    return Places(args.output, args.backup or (sealed(args.campaign) if args.campaign else beside))


def show(material: Material) -> None:
    """Every result of the tree with its figure, and what else may be inferred; nothing is inferred unasked."""
    offered = material.offered
    wanted = offers.chosen(material.infer, offered)
    rows = [
        (f"{each.folder}/{each.scenario}", "measured", verbs.describe_result(each.performance))
        for each in material.entries
    ]
    taken = [each for each in offered if each.entry in wanted]
    rows += [(each.place, f"inferred from {each.source}", _figure(each)) for each in taken]
    console.table("Results", RESULTS, rows)
    left = [each for each in offered if each.place not in {other.place for other in taken}]
    if left:
        console.table("May be inferred", ("--infer", "figure>"), [(each.name, _figure(each)) for each in left])


def _figure(offer: Offer) -> str:
    return f"{offer.figure.value:.6g} {offer.figure.unit}"


def finished(chosen: Plan, folder: Path) -> list[Outcome]:
    """What a campaign's folder holds; raises BadInput where it holds nothing of the plan, or another plan's run."""
    outcomes = campaign.outcomes(chosen, folder)
    if not outcomes:
        raise BadInput(f"{folder} holds no finished run of this plan: run `lgh campaign` first.")
    for outcome in outcomes:
        _refuse_foreign(outcome)
    return outcomes


def _refuse_foreign(outcome: Outcome) -> None:
    """Raise BadInput for a run whose record is damaged, or is of another round or another run than its place says."""
    wanted, folder = outcome.job.spec, outcome.job.spec.output
    found = outcome.run.spec if outcome.run else {}
    if not found:
        raise BadInput(f"{folder / 'run.json'} is damaged: restore it, or move {folder} away and run `lgh campaign`.")
    for key in PLACE:
        planned = str(getattr(wanted, key))
        if found.get(key) != planned:
            raise BadInput(
                f"{folder} is a run of {key} {found.get(key)!r}, the plan is of {planned!r}: give the plan and --round "
                "of that campaign, or move the run away and run `lgh campaign`."
            )
    if keys := campaign.differing(outcome.job):
        raise BadInput(
            f"{folder} was made from another plan, which differs in {', '.join(keys)}: give the plan of that campaign, "
            "or move the run away and run `lgh campaign`."
        )


def sealed(folder: Path) -> Path:
    """Where a campaign's whole accuracy logs are kept, outside the tree."""
    return folder / "sealed-accuracy-logs"


def made(material: Material, places: Places, *, private_ids: bool = False) -> Made:
    """Generate, back up, hash, truncate and check, in that order; the same call again finishes what was cut off."""
    new = build.build(material.complete, material.meta, places, private_ids=private_ids)
    found = checks.check(places.tree, material.round, verbs.by_checker_name(), backup=places.backup)
    return Made(new, list(found))


def submission_meta(chosen: Plan, assessments: Sequence[Assessment], described: Mapping[str, Any] | None) -> Submission:
    """Submitter and system of a plan; what it does not state is seen or N/A."""
    given = chosen.submission
    submitter, name = given.get("submitter", "Demo"), given.get("system_name", "this_machine")
    backends = [(each.result.run.meta.get("backend", {}), each.outcome.job.spec.backend) for each in assessments]
    frameworks = {seen.get("framework", name) for seen, name in backends}
    seen = of_machine(
        submitter=submitter,
        division=chosen.division.value,
        system_name=given.get("system_title", name),
        system_type=given.get("system_type", "edge"),
        framework=", ".join(sorted(str(framework) for framework in frameworks)),
    )
    own = {key: value for key, value in given.items() if key in (*REQUIRED, *NETWORK) and key != "system_name"}
    return Submission(
        submitter=submitter, system_name=name, system={**seen, **own, **(described or {})}, division=chosen.division
    )

"""The verbs `audit reproduce`, `perturb`, `cache` and `order`: run an audited result again and say what that shows.

Exit codes: 0 nothing found, 1 the result is refused, 2 undecided (as for whatever cannot be audited).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path

from audit import formats
from audit.audited import Audited
from audit.auditee import cache as caching
from audit.auditee import models
from audit.auditee import order as ordering
from audit.auditee import perturb as perturbing
from audit.auditee import reproduce as reproducing
from audit.auditee.report import COLUMNS, Report, Ruling
from audit.auditee.subject import Launcher, Plan, Runs, Subject, carry_out, spec_of
from loadgen_harness import assess, campaign, console, model_files, registry, rounds, verbs
from loadgen_harness.errors import BadInput
from loadgen_harness.launch import Status, launch
from loadgen_harness.plan import Job
from loadgen_harness.run import Run
from loadgen_harness.types import Benchmark, RunSpec, Score

EXIT = {Ruling.PASS: verbs.OK, Ruling.FAIL: verbs.FOUND, Ruling.OPEN: 2}
STYLES = {Ruling.PASS: console.GOOD, Ruling.FAIL: console.BAD, Ruling.OPEN: "yellow"}
MARKS = {Ruling.PASS: "PASS", Ruling.FAIL: "FAIL", Ruling.OPEN: "UNDECIDED"}
TEXT = "text"
Show = Callable[[str, Status | None, int, float], None]
USUAL_S = 4.0  # of a run whose own time is not known


def reproduce(args: argparse.Namespace) -> int:
    """Repeat a run: is its result within 2 %?"""
    if not 0 < args.within < 100:
        raise BadInput(f"--within is a share in percent between 0 and 100, not {args.within:g}.")
    subject = subject_of(args)
    runs = made(subject, reproducing.plan(subject), args.format)
    return _told(subject, reproducing.judge(subject, runs, args.within), args.format)


def perturb(args: argparse.Namespace) -> int:
    """Break the model: speed must stay, accuracy must fall."""
    subject = subject_of(args)
    if args.seed < 0:
        raise BadInput(f"--seed must not be negative, as {args.seed} is.")
    folder = args.output / f"model-{args.how}-{args.seed}"
    broken = models.broken(model_of(subject), folder, seed=args.seed, way=args.how)
    console.note(f"the broken model is {broken.path}: {broken.said}")
    runs = made(subject, perturbing.plan(subject, broken.path.resolve()), args.format)
    return _told(subject, perturbing.judge(subject, runs, broken), args.format)


def cache(args: argparse.Namespace) -> int:
    """Is a repeated sample answered faster than unique ones?"""
    subject = subject_of(args)
    runs = made(subject, caching.plan(subject), args.format)
    return _told(subject, caching.judge(subject, runs), args.format)


def order(args: argparse.Namespace) -> int:
    """Other seeds, other order: same speed, same answers?"""
    subject = subject_of(args)
    runs = made(subject, ordering.plan(subject), args.format)
    return _told(subject, ordering.judge(subject, runs), args.format)


def subject_of(args: argparse.Namespace) -> Subject:
    """What the command line asks to audit; raises BadInput for a folder that is no performance run of this suite."""
    run = Run(args.run)
    spec = spec_of(run)
    benchmark: Benchmark = registry.load(registry.BENCHMARKS, spec.benchmark)
    round_ = rounds.load(spec.round)

    def score(responses: Mapping[int, bytes]) -> Sequence[Score]:
        return assess.score_responses(responses, run, benchmark, round_)

    return Subject(run, benchmark, args.output, args.runs, score)


def model_of(subject: Subject) -> Path:
    """The model file that the audited run's backend loads; raises BadInput where it loads none."""
    spec = spec_of(subject.run)
    backend = registry.load(registry.BACKENDS, spec.backend)(spec.options)
    verbs.prepare(spec)
    chosen = model_files.choose(subject.benchmark, backend, spec.precision)
    found = spec.model or model_files.locate(subject.benchmark, chosen.source, console.note)
    if found is None:
        raise BadInput(f"backend {spec.backend} loads no model file here: break the model where it is served.")
    return found


def made(subject: Subject, plan: Plan, form: str = TEXT) -> Runs:
    """The runs of a plan, with progress for people; those that stand finished in its folder are kept."""
    if (subject.output / "run.json").exists():
        raise BadInput(f"{subject.output} is a run itself: choose another --output.")
    jobs = {name: Job(name, spec, USUAL_S) for name, spec in plan.items()}
    stale = [job.key for job in jobs.values() if campaign.finished(job) and not campaign.matches(job)]
    if stale:
        raise BadInput(f"{subject.output} holds {stale[0]} of another audit: choose another --output or move it away.")
    verbs.prepare(*plan.values())
    with console.live(len(plan)) if form == TEXT else nullcontext(_silent) as show:
        return carry_out(plan, _launcher(subject, jobs, show))


def _silent(key: str, status: Status | None, done: int, left_s: float) -> None:
    """No progress, where what is printed is for programs."""


def _launcher(subject: Subject, jobs: Mapping[str, Job], show: Show) -> Launcher:
    """Makes a run, or takes the finished one; the time left goes by what runs have taken so far."""
    usual = subject.run.meta.get("wall_s")
    taken = [float(usual) if isinstance(usual, int | float) else USUAL_S]
    done: list[str] = []

    def launcher(spec: RunSpec) -> Run:
        job = jobs[spec.output.name]
        left = sum(taken) / len(taken) * sum(not campaign.finished(each) for each in jobs.values())

        def report(status: Status) -> None:
            show(job.key, status, len(done), max(left - status.elapsed_s, 0.0))

        if campaign.finished(job):
            run = Run(spec.output)
        else:
            run = launch(spec, audit_config=campaign.audit_config(job), on_progress=report)
            taken.append(float(run.meta["wall_s"]))
        done.append(job.key)
        return run

    return launcher


def _told(subject: Subject, report: Report, form: str) -> int:
    """Say what an audit found; the exit code."""
    if form == TEXT:
        console.say(f"{MARKS[report.ruling]} {report.audit}: {report.sentence}", STYLES[report.ruling])
        console.table("", COLUMNS, [row.cells() for row in report.rows])
        for row in report.rows:
            if row.more:
                console.say(f"{row.title}: {row.more}")
        verbs.show(report.findings)
    elif form == "json":
        console.data(asdict(report))
    else:
        path, round_ = subject.run.path, str(subject.run.spec.get("round", ""))
        audited = Audited(path=path, kind=f"audit {report.audit}", round=round_, findings=report.findings)
        console.raw(formats.write(form, [audited], Path.cwd()))
    return EXIT[report.ruling]

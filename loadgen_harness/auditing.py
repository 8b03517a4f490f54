"""The verbs `check`, `audit accuracy` and `audit verify`: is what lies in a folder true and allowed?

Exit codes: 0 in order, 1 the rules reject something, 2 a folder that cannot be audited.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from audit import alone, formats
from audit.accuracy import judge
from audit.audited import Audited, headline
from audit.finding import Finding, errors
from audit.formats import text
from audit.result_rows import ACCEPTS
from audit.verdict import Scorer
from loadgen_harness import assess, console, durable, registry, rounds, subjects, verbs
from loadgen_harness.errors import BadInput, UnknownName
from loadgen_harness.run import Run
from loadgen_harness.types import Benchmark, Round, Rules, Scenario, Score
from loadgen_harness.visible import visible
from submissions import audit_page, fix, layout, recognise
from submissions.recognise import Kind


def check(args: argparse.Namespace) -> int:
    """Trees, run folders and Endpoints results: what the rules say of them, and what the official checker would."""
    asked = subjects.Asked(
        args.round, args.benchmark, Scenario(args.scenario) if args.scenario else None, args.official, args.backup
    )
    _refuse_paths(args.paths)
    kinds = {path: recognise.kind_of(path) for path in args.paths}
    subjects.refuse(kinds, asked)
    if args.output and args.output.is_dir():
        raise BadInput(f"{args.output} is a folder: give --output the name of a file.")
    if args.fix and args.format != "text" and not args.output:
        raise BadInput(f"--fix prints a diff: give --output a file for the {args.format}.")
    if args.fix:
        for path, kind in kinds.items():
            _mend(path, kind, sure=args.yes)
    audits = subjects.every(list(kinds), asked)
    _tell(audits, args.format, args.output)
    accepted = all(answer.verdict == ACCEPTS for audited in audits for answer in audited.answers)
    return verbs.OK if accepted and all(audited.passed for audited in audits) else verbs.FOUND


def _refuse_paths(paths: Sequence[Path]) -> None:
    """Raises BadInput for a path that names nothing, or one folder twice."""
    seen: dict[Path, Path] = {}
    for path in paths:
        whole = path.resolve()
        if whole in seen:
            also = "" if seen[whole] == path else f" as {seen[whole]}"
            raise BadInput(f"{path} is given twice{also}: name each folder once.")
        seen[whole] = path


def _mend(path: Path, kind: Kind, *, sure: bool) -> None:
    """Show what is safe to mend, ask, mend it."""
    plans = {Kind.TREE: fix.of_tree, Kind.RUN: fix.of_run}
    changes = plans[kind](path) if kind in plans else []
    if not changes:
        console.note(f"{path}: nothing that is safe to mend.")
        return
    shown = fix.diff(path, changes)
    console.lines([_coloured(line) for line in shown.splitlines()])
    if not sure and not console.confirmed(f"Make these {len(changes)} changes in {path}?"):
        console.note(f"{path} stays as it is; --yes mends without asking.")
        return
    console.note(f"mended {path}; what was there before lies in {fix.apply(path, changes)}")


def _coloured(line: str) -> text.Line:
    style = {"+": text.GOOD, "-": text.BAD, "@": text.DIM}.get(line[:1], "")
    return ((visible(line), style),)


def _tell(audits: list[Audited], form: str, output: Path | None) -> None:
    """Print what was found, or write it to a file and say the verdicts."""
    if output is None and form == "text":
        console.lines(text.lines(audits))
        return
    content = audit_page.write(audits) if form == "html" else formats.write(form, audits, Path.cwd())
    if output is None:
        console.raw(content)
        return
    durable.put(output, content)
    for audited in audits:
        console.say(visible(headline(audited)), console.GOOD if audited.passed else console.BAD)
    console.say(f"wrote {output}")


def accuracy(args: argparse.Namespace) -> int:
    """An official benchmark's metric from an accuracy log, in the form of accuracy.txt, against the round's targets."""
    from audit import metrics

    if args.output is not None and args.output.exists():
        raise BadInput(
            f"{args.output} is there already, perhaps with its hash line: name another file or move it away."
        )
    scores, written = metrics.accuracy_text(args.log, args.benchmark, args.data)
    round_ = rounds.load(args.round or rounds.official()[-1])
    found: list[Finding] = []
    try:
        rules = round_.rules(alone.named(args.benchmark, round_).name)
    except UnknownName:
        title = f"{args.benchmark}, which round {round_.name} does not know"
        console.table(title, verbs.SCORE_COLUMNS, verbs.score_rows(scores, ()))
    else:
        title = f"{args.benchmark}, round {round_.name}"
        part = _part(metrics.answered(args.log), rules)
        console.table(title, verbs.SCORE_COLUMNS, verbs.score_rows(scores, () if part else rules.targets))
        if part:
            console.note(part)
        found = [] if part else list(judge(scores, rules))
        verbs.show(found)
    if args.output is None:
        console.raw(written)
    else:
        durable.put(args.output, written)
        console.say(f"wrote {args.output}")
    return verbs.FOUND if errors(found) else verbs.OK


def _part(answered: int, rules: Rules) -> str:
    """What to say of a log that is not of the whole data set, empty of one that is: a part has no accuracy to judge."""
    sizes = {limits.accuracy_sample_count for limits in rules.limits.values() if limits.accuracy_sample_count}
    if not sizes or answered in sizes:
        return ""
    wanted = " or ".join(f"{size:,}" for size in sorted(sizes))
    kind = "a part of the data set, as a compliance test logs it" if answered < min(sizes) else "another data set"
    return (
        f"{answered:,} samples are in the log, the benchmark has {wanted}: this is {kind}. "
        "The figures hold for these samples; nothing was judged against the benchmark's targets."
    )


def verify(args: argparse.Namespace) -> int:
    """The verdict on a compliance test's run; its verify_*.txt lie in --output afterwards."""
    from audit import compliance_folder

    run = compliance_folder.logs(args.audited, compliance_folder.AUDITED)
    round_ = rounds.load(args.round) if args.round else compliance_folder.round_of(run)
    benchmark, score = _judge_of(args, run, round_)
    exhibit = compliance_folder.Exhibit(args.audited, args.performance, args.accuracy, args.dtype)
    verdict = compliance_folder.verify_folder(
        args.test, exhibit, benchmark=benchmark, round_=round_, output=args.output, score=score
    )
    state, style = ("PASS", console.GOOD) if verdict.passed else ("FAIL", console.BAD)
    console.say(f"{state}  {args.test.upper()} of {benchmark.name}, round {round_.name}", style)
    verbs.show(verdict.findings)
    for file in verdict.files:
        console.say(f"wrote {args.output / file}")
    return verbs.OK if verdict.passed else verbs.FOUND


def _judge_of(args: argparse.Namespace, run: Run, round_: Round) -> tuple[Benchmark, Scorer | None]:
    """The benchmark of a compliance test, ours or official, and what scores its responses."""
    if args.benchmark in rounds.load(rounds.OWN).benchmarks:
        benchmark: Benchmark = registry.load(registry.BENCHMARKS, args.benchmark)
        return benchmark, lambda responses: assess.score_responses(responses, run, benchmark, round_)
    named = alone.named(args.benchmark, round_)
    return named, (lambda responses: _scored(responses, named.checker_name, args.data)) if args.data else None


def _scored(responses: Mapping[int, bytes], benchmark: str, data: Path) -> Sequence[Score]:
    """The official metric of some responses, which are scored where metrics find responses: in an accuracy log."""
    from audit import metrics

    entries = [{"seq_id": n, "qsl_idx": index, "data": each.hex()} for n, (index, each) in enumerate(responses.items())]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / layout.ACCURACY_LOG).write_text(json.dumps(entries), encoding="utf-8")
        return metrics.score_log(benchmark, Run(folder), data)

"""The command line of the auditor: `check`, and what lies under `audit`."""

from __future__ import annotations

import argparse
from pathlib import Path

FORMATS = ("text", "json", "sarif", "junit")
DTYPES = ("", "int16", "int32", "int64", "float32")


def check(parser: argparse.ArgumentParser) -> None:
    """Arguments of `lgh check`."""
    parser.epilog = "Beside these: --round NAME, the round to judge by (default: the one that the logs tell)."
    parser.add_argument("paths", type=_folder, nargs="+", help="trees, run folders, Endpoints results, power sessions")
    parser.add_argument("--benchmark", default="", help="of logs outside a tree: the official benchmark they are of")
    parser.add_argument("--scenario", default="", help="of such logs: Interactive, which they call Server")
    parser.add_argument("--official", type=Path, help="ask the checkers of this mlcommons/inference; or `installed`")
    parser.add_argument("--backup", type=Path, help="of a tree: the sealed whole accuracy logs to verify it against")
    parser.add_argument(
        "--format", default="text", choices=(*FORMATS, "html"), help="how findings are written (default: text)"
    )
    parser.add_argument("--output", type=Path, help="file for the findings (default: print)")
    parser.add_argument("--fix", action="store_true", help="show as a diff what is safe to mend, then ask")
    parser.add_argument("--yes", action="store_true", help="with --fix: do not ask")


def audit(parser: argparse.ArgumentParser) -> None:
    """The verbs under `lgh audit`."""
    verbs = parser.add_subparsers(dest="audit_verb", metavar="verb", required=True)
    for add in (_reproduce, _perturb, _cache, _order, _accuracy, _verify):
        add(verbs)


def add_verb(verbs: argparse._SubParsersAction, name: str, target: str, text: str) -> argparse.ArgumentParser:  # type: ignore[type-arg]
    """A parser of one verb, which calls `target`, a module and function of this package."""
    module, _, function = target.partition(".")
    shown = text.replace("%", "%%")  # argparse formats the help, not the description
    parser: argparse.ArgumentParser = verbs.add_parser(name, help=shown, description=text, allow_abbrev=False)
    parser.set_defaults(module=module, function=function)
    return parser


def _rerun(parser: argparse.ArgumentParser, runs: int) -> None:
    """What every verb that repeats a run takes."""
    parser.add_argument("run", type=Path, help="folder of a performance run of this suite")
    parser.add_argument("--output", type=Path, required=True, help="folder for the new runs")
    parser.add_argument("--runs", type=int, default=runs, help=f"repetitions of each kind (default: {runs})")
    parser.add_argument("--format", default="text", choices=FORMATS)


def _reproduce(verbs: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    parser = add_verb(verbs, "reproduce", "auditees.reproduce", "Repeat a run: is its result within 2 %?")
    _rerun(parser, 3)
    parser.add_argument("--within", type=float, default=2.0, help="allowed difference in percent (default: 2)")


def _perturb(verbs: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    parser = add_verb(verbs, "perturb", "auditees.perturb", "Break the model: speed must stay, accuracy must fall.")
    _rerun(parser, 3)
    parser.add_argument("--how", default="weights", choices=("weights", "activation"), help="what is broken")
    parser.add_argument("--seed", type=int, default=1, help="how the weights are shuffled (default: 1)")


def _cache(verbs: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    parser = add_verb(verbs, "cache", "auditees.cache", "Is a repeated sample answered faster than unique ones?")
    _rerun(parser, 3)


def _order(verbs: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    parser = add_verb(verbs, "order", "auditees.order", "Other seeds, other order: same speed, same answers?")
    _rerun(parser, 3)


def _accuracy(verbs: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    text = "An official benchmark's metric from an accuracy log, written as accuracy.txt."
    parser = add_verb(verbs, "accuracy", "auditing.accuracy", text)
    parser.add_argument("log", type=Path, help="mlperf_log_accuracy.json, or the folder that holds it")
    parser.add_argument("--benchmark", required=True, help="an official name, such as resnet50")
    parser.add_argument("--data", type=Path, help="the data set's labels, see docs/audit.md")
    parser.add_argument("--output", type=Path, help="accuracy.txt to write (default: print)")


def _verify(verbs: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    text = "Judge the run of a compliance test and write its verify_*.txt."
    parser = add_verb(verbs, "verify", "auditing.verify", text)
    parser.add_argument("test", help="TEST01, TEST04, TEST06, TEST07, TEST08 or TEST09")
    parser.add_argument("audited", type=Path, help="folder of the test's run")
    parser.add_argument("--benchmark", required=True)
    parser.add_argument("--performance", type=Path, help="folder of the submission's performance run")
    parser.add_argument("--accuracy", type=Path, help="folder of the full accuracy run")
    parser.add_argument("--data", type=Path, help="the data set's labels, for tests that score responses")
    parser.add_argument("--dtype", default="", choices=DTYPES, help="TEST06: type of a logged token (default: int32)")
    parser.add_argument("--output", type=Path, required=True, help="folder for verify_*.txt")


def _folder(text: str) -> Path:
    """A path; an empty one would be the working folder, which nobody named."""
    if not text.strip():
        raise argparse.ArgumentTypeError("an empty name: give the folder to check (. for this one)")
    return Path(text)

"""The command line: argparse for verbs and their arguments, absl for running, logging and the global flags."""

from __future__ import annotations

import argparse
import importlib
import io
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

from absl import app, flags, logging
from absl.flags import argparse_flags

from loadgen_harness import __version__, cli_audit, cli_power, cli_road, cli_run, rounds
from loadgen_harness.cli_audit import add_verb as _verb
from loadgen_harness.errors import BadInput, Ended, SuiteError, UnknownName, loop, refused

ROUND = flags.DEFINE_string(
    "round", None, "Round whose rules apply, such as v6.1 (default: the plan's or folder's own, else mini)."
)
OFFLINE = flags.DEFINE_bool("offline", False, "Never download: use cached assets and local files only.")
ASSETS = flags.DEFINE_string("assets", "", "Folder that holds the packages of assets.")

USAGE, SIGNALLED = 2, 128  # and the signal's number: 130 Ctrl-C, 143 SIGTERM
INTERRUPTED = SIGNALLED + signal.SIGINT
ENDING = (signal.SIGTERM, signal.SIGHUP)  # which end a verb as Ctrl-C does
LEFT = "nothing is half-written under a final name; an unfinished run is kept as NAME.failed, the same command goes on."

Verb = Callable[[argparse.Namespace], int]


class Parser(argparse_flags.ArgumentParser):
    """An argparse parser whose complaints are one sentence with the nearest name, exit code 2."""

    def error(self, message: str) -> NoReturn:
        """Raise instead of printing a usage."""
        choice = message.partition("invalid choice: '")[2].partition("'")[0]
        if choice and "(choose from" in message:
            known = message.partition("(choose from")[2].rstrip(")").replace("'", "").split(",")
            raise UnknownName("verb" if " verb" in message else "value", choice, [name.strip() for name in known])
        raise BadInput(f"{message}: see `{self.prog} --help`.")


def entry() -> None:
    """The console script: never returns, exits with the verb's code."""
    _speakable()
    try:
        app.run(lambda args: sys.exit(_dispatch(args)), flags_parser=_guarded_parse)
    except KeyboardInterrupt:  # before the verb began
        sys.exit(INTERRUPTED)


def _speakable() -> None:
    """Standard output and error that take every letter, or are closed."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed (`>&-`)
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # what a terminal's encoding lacks, or a file's name holds


def _guarded_parse(argv: Sequence[str]) -> argparse.Namespace:
    try:
        return parse(argv)
    except SuiteError as error:
        _complain(error)
        sys.exit(USAGE)


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Arguments of one command line (argv[0] is the program); raises BadInput or UnknownName."""
    parser = build()
    _refuse_unknown(parser, argv[1:])
    _refuse_folders(parser, argv[1:])
    try:
        args = parser.parse_args(list(argv[1:]))
    except flags.Error as error:
        raise BadInput(f"{str(error).splitlines()[0].rstrip('.')}: see `lgh --help`.") from error
    args.round = ROUND.value or ""
    if args.round and args.round not in rounds.names():
        raise UnknownName("round", args.round, rounds.names())
    return args


def _dispatch(args: argparse.Namespace) -> int:
    """Call the verb; whatever it raises becomes an exit code, and all but bugs one sentence."""
    _terminable()
    if not flags.FLAGS["verbosity"].present:
        logging.set_verbosity(logging.WARNING)
    if OFFLINE.value:
        os.environ["LGH_OFFLINE"] = "1"
    if ASSETS.value:
        os.environ["LGH_ASSETS"] = ASSETS.value
    try:
        return _verb_of(args)(args)
    except SuiteError as error:
        _complain(error)
        return USAGE
    except KeyboardInterrupt as error:
        return _ended(error.number if isinstance(error, Ended) else signal.SIGINT)
    except OSError as error:
        logging.debug("the system said no", exc_info=True)  # --verbosity 1 shows where
        _complain(refused(error))
        return USAGE
    except RuntimeError as error:
        if sentence := loop(error):
            _complain(sentence)
            return USAGE
        raise


def _verb_of(args: argparse.Namespace) -> Verb:
    """What a verb calls; a signal waits until it is imported, since libraries cannot be imported by half."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, *ENDING))
    try:
        module = importlib.import_module(f"loadgen_harness.{args.module}")
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    verb: Verb = getattr(module, args.function)
    return verb


def _terminable() -> None:
    """Ended by a signal that is not ignored (as nohup does), a verb clears up as after Ctrl-C."""

    def end(number: int, frame: FrameType | None) -> None:
        raise Ended(number)

    for number in ENDING:
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, end)


def _ended(number: int) -> int:
    """Say that a signal ended the verb; in silence where nobody reads, whom the interpreter's flush would tell too."""
    if number == signal.SIGPIPE:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    else:
        _complain(BadInput(f"{'interrupted' if number == signal.SIGINT else 'ended'}: {LEFT}"))
    return SIGNALLED + number


def _complain(error: SuiteError) -> None:
    from loadgen_harness import console

    console.fail(str(error))


def _refuse_unknown(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    """Suggest the nearest flag: argparse itself only says that it does not know one."""
    chosen = {option for each in _chain(parser, argv) for option in each._option_string_actions}
    own = {f"--{name}" for name in flags.FLAGS} | {f"--no{name}" for name in flags.FLAGS}
    for word in argv:
        if word == "--":
            return
        name = word.partition("=")[0]
        if name.startswith("--") and name not in chosen and name not in own:
            raise UnknownName("flag", name, chosen | {"--round", "--offline", "--assets", "--verbosity"})


def _chain(parser: argparse.ArgumentParser, argv: Sequence[str]) -> list[argparse.ArgumentParser]:
    """The parsers that a command line goes through: the program's, its verb's, that verb's own verb's."""
    chain = [parser]
    for word in argv:
        if word in (verbs := _verbs(chain[-1])):
            chain.append(verbs[word])
    return chain


def _refuse_folders(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    """`lgh audit FOLDER` was once what `lgh check FOLDER` is: say so, instead of not knowing a verb."""
    audit = _verbs(parser)["audit"]
    words = argv[argv.index("audit") + 1 :] if audit in _chain(parser, argv)[1:2] else ()
    first = next((word for word in words if not word.startswith("-")), "")
    if first and first not in _verbs(audit) and (Path(first).exists() or "/" in first):
        raise BadInput(f"folders are checked by `lgh check {first}`; the verbs of `lgh audit` run things again.")


def _verbs(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    actions = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    return dict(actions[0].choices) if actions else {}


def build() -> argparse.ArgumentParser:
    """The whole command line."""
    parser: argparse.ArgumentParser = Parser(  # type: ignore[no-untyped-call]
        prog="lgh",
        allow_abbrev=False,
        description="MLPerf-style inference benchmarks driven by the official LoadGen.",
        epilog="Global flags, before or after the verb: --round NAME, --offline, --assets FOLDER, --verbosity N.",
    )
    parser.add_argument("--version", action="version", version=f"lgh {__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="verb", required=True)
    for add in (
        _demo,
        _list,
        _doctor,
        _system,
        _run,
        _plan,
        _preflight,
        _campaign,
        _matrix,
        _tax,
        _audit,
        _accuracy,
        _check,
        _submit,
        _report,
        _energy,
        _label,
        _power_session,
        _maxq,
    ):
        add(verbs)
    return parser


def _list(verbs: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    parser = _verb(verbs, "list", "verbs.list_", "Benchmarks, backends, meters, compliance tests and rounds.")
    parser.add_argument("--json", action="store_true", help="for programs")


def _doctor(verbs: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    _verb(verbs, "doctor", "verbs.doctor", "What works on this machine and what the rest would need.")


def _system(verbs: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    text = "The official system description: what can be seen, and questions for the rest."
    cli_road.system(_verb(verbs, "system", "describing.system_", text))


def _run(verbs: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    parser = _verb(verbs, "run", "verbs.run", "One LoadGen run of one benchmark in one scenario.")
    parser.add_argument("--output", type=Path, required=True, help="folder of the run, made anew")
    parser.add_argument(
        "--repeats", nargs="?", const="10", default="", metavar="N",
        help="run it N times (alone: 10), OUTPUT/run-01 and on; the same command resumes",
    )  # fmt: skip
    cli_run.arguments(parser)


def _plan(verbs: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    cli_road.plan(_verb(verbs, "plan", "planning.plan_", "Every run that a round's rules demand, its time and needs."))


def _preflight(verbs: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    text = "What would spoil a plan's runs, found in seconds: settings, data, files, clocks, disk, system description."
    cli_road.preflight(_verb(verbs, "preflight", "preflight.preflight_", text))


def _campaign(verbs: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    parser = _verb(
        verbs, "campaign", "road.campaign_", "Every run of a plan, resumable: the same command takes it up again."
    )
    parser.add_argument("plan", type=Path, help="TOML file (docs/campaign.md), or demo, resnet50-closed, resnet50-open")
    parser.add_argument("--output", type=Path, required=True, help="folder of the campaign")
    parser.add_argument("--only", default="", help="part of a run's key, such as digits/Server or TEST01")
    parser.add_argument("--dry-run", action="store_true", help="show the runs and their time, run nothing")
    parser.add_argument("--retries", type=int, default=0, help="attempts more at runs that crash or hang (default: 0)")
    parser.add_argument(
        "--retry-invalid", type=int, default=0, help="attempts more at runs that are INVALID (default: 0)"
    )
    parser.add_argument(
        "--no-early-stop", dest="early_stop", action="store_false", help="let runs go on that cannot become valid"
    )
    parser.add_argument(
        "--no-preflight", dest="preflight", action="store_false", help="begin without looking (`lgh preflight`)"
    )
    _no_tax(parser)


def _matrix(verbs: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    parser = _verb(
        verbs, "matrix", "matrices.matrix_", "One benchmark across backends, precisions, batch sizes, threads."
    )
    parser.add_argument("benchmark")
    parser.add_argument(
        "--backends", nargs="+", required=True, metavar="NAME[@PRECISION][:KEY=VALUE,…]",
        help="such as onnxruntime openvino torch:mode=compile; plain names may be separated by commas",
    )  # fmt: skip
    parser.add_argument("--precisions", default="", help="such as fp32,int8 (default: each backend's first)")
    parser.add_argument("--batch", default="1,32", help="most samples in a batch (default: 1,32)")
    parser.add_argument("--threads", default="", help="the backends' option threads, such as 1,2")
    parser.add_argument("--replicas", default="1", help="such as 1,2")
    parser.add_argument("--scenario", default="Offline", help="default: Offline")
    parser.add_argument("--runs", type=int, default=10, help="rounds; each runs every combination once (default: 10)")
    parser.add_argument("--baseline", default="", help="beginning of the label to compare with (default: the first)")
    parser.add_argument("--output", type=Path, required=True, help="folder of the matrix; the same command resumes it")
    parser.add_argument("--dry-run", action="store_true", help="show the runs and their time, run nothing")
    parser.add_argument("--no-accuracy", dest="accuracy", action="store_false", help="measure no accuracy")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--worker", default="", help="inline, thread or process")
    parser.add_argument("--max-wait-ms", type=float, default=0.0, help="how long a batch may wait to fill")
    parser.add_argument("--target-qps", type=float, help="rate to offer (Server) or to expect (Offline)")
    parser.add_argument("--min-duration-ms", type=float, help="of each run (default: the round's)")
    parser.add_argument("--min-query-count", type=float, help="of each run (default: the round's)")
    parser.add_argument("--data-dir", type=Path, help="folder that holds package files of the data")
    parser.add_argument("--meters", default="", help="power meters, comma separated; auto chooses")


def _demo(verbs: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    parser = _verb(verbs, "demo", "road.demo", "Three real models through every scenario to an audited report.")
    parser.add_argument("--output", type=Path, default=Path("lgh-demo"))
    parser.add_argument("--only", default="", help="part of a run's key, such as digits")
    _no_tax(parser)


def _no_tax(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--no-tax", dest="tax", action="store_false", help="do not measure what the harness adds")


def _tax(verbs: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    parser = _verb(verbs, "tax", "taxes.tax_", "What the harness itself adds to finished runs, by short null runs.")
    parser.add_argument("runs", type=Path, nargs="+", help="folders of performance runs")
    parser.add_argument("--seconds", type=float, default=2.0, help="length of each null run (default: 2)")


def _audit(verbs: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    text = "Is a result true? Run it again, break its model, look for caches; official metrics and compliance tests."
    cli_audit.audit(_verb(verbs, "audit", "auditing.verify", text))


def _accuracy(verbs: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    parser = _verb(
        verbs, "accuracy", "verbs.accuracy", "The accuracy of an AccuracyOnly run against the round's targets."
    )
    parser.add_argument("run", type=Path, help="run folder")


def _check(verbs: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    text = "What the rules say of trees, run folders and Endpoints results, and what the official checker would."
    cli_audit.check(_verb(verbs, "check", "auditing.check", text))


def _submit(verbs: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    text = "The submission tree of a campaign, or of runs made elsewhere: backup, hash, truncate, check, pack."
    cli_road.submit(_verb(verbs, "submit", "submitting.submit", text))


def _report(verbs: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    text = "One self-contained HTML page of a campaign or of run folders, with Markdown, CSV and JSON."
    parser = _verb(verbs, "report", "road.report", text)
    text = "run folders, or folders above them; with --campaign the plan's file"
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN|PLAN", help=text)
    parser.add_argument("--campaign", type=Path, help="folder of the plan's campaign")
    parser.add_argument(
        "--output", type=Path, help="folder of the report (default: the campaign's; of RUNs the current one)"
    )
    cli_power.factors(parser)


def _energy(verbs: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    text = "The energy of runs with every derived figure, its formula and inputs: carbon, water, cost, stars."
    cli_power.energy(_verb(verbs, "energy", "energetics.energy_", text))


def _label(verbs: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    text = "An energy label (SVG, PNG) and the metadata of a model card."
    cli_power.label(_verb(verbs, "label", "energetics.label", text))


def _power_session(verbs: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    text = "An official MLPerf power session with MLCommons' own client and server, checked while a re-run is cheap."
    cli_power.power_session(_verb(verbs, "power-session", "power_sessions.session_", text))


def _maxq(verbs: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    text = "The Pareto front of throughput against joules per sample over power caps, clocks and governors."
    cli_power.maxq(_verb(verbs, "maxq", "maxq.maxq_", text))

"""`python -m tests.native --sanitize thread`: the bridge's C++ under stress; exit code 1 where anything is found."""

from __future__ import annotations

import argparse
import sys

from loadgen_harness import console
from loadgen_harness.errors import SuiteError
from loadgen_harness.native import build
from tests.native import sanitize


def main() -> int:
    """Compile, run every case, say how each went."""
    args = _arguments()
    sanitizer = "" if args.sanitize == "none" else args.sanitize
    try:
        program = sanitize.program(sanitizer, console.say)
    except SuiteError as error:
        for output in getattr(error, "__notes__", []):
            console.say(output)
        console.fail(str(error))
        return 2
    names = [name for name in sanitize.cases(program) if args.only in name] * args.repeat
    outcomes = [_told(sanitize.run(program, name, sanitizer)) for name in names]
    bad = [outcome for outcome in outcomes if outcome.output]
    reports = sum(outcome.reports for outcome in outcomes)
    seconds = sum(outcome.seconds for outcome in outcomes)
    console.say(f"{len(outcomes)} cases in {seconds:.0f} s, {len(bad)} failed, {reports} reports")
    return 1 if bad or not outcomes else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.native", description=__doc__)
    parser.add_argument("--sanitize", choices=[*build.SANITIZERS, "none"], default="none", help="what watches")
    parser.add_argument("--only", default="", help="cases whose name contains this")
    parser.add_argument("--repeat", type=int, default=1, help="how often")
    return parser.parse_args()


def _told(outcome: sanitize.Outcome) -> sanitize.Outcome:
    verdict = "FAILED" if outcome.output else "ok"
    hung = f"  (LoadGen's logger hung {outcome.hung} times before)" if outcome.hung else ""
    console.say(f"{verdict:6} {outcome.seconds:6.2f} s  {outcome.name}{hung}")
    if outcome.output:
        console.say(outcome.output)
    return outcome


if __name__ == "__main__":
    sys.exit(main())

"""`lgh`, and `python -m loadgen_harness`: as few imports as can be before Ctrl-C is looked after."""

from __future__ import annotations

import os
import sys

SIGINT = 2  # the module signal takes milliseconds to import, in which it is not looked after
INTERRUPTED = 128 + SIGINT


def main() -> None:
    """Import and run the command line; Ctrl-C meanwhile ends it as later, without a traceback."""
    try:
        _import()
        from loadgen_harness.cli import entry

        entry()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _import() -> None:
    """Import the command line, ended at once by Ctrl-C.

    Nothing is open or begun, and in the midst of an import the interruption may be printed and lost, or said to be a
    package that is missing.
    """
    import signal

    if signal.getsignal(SIGINT) is not signal.default_int_handler:
        return  # ignored, as in the background of a script
    signal.signal(SIGINT, lambda number, frame: os._exit(INTERRUPTED))
    from loadgen_harness import cli  # noqa: F401

    signal.signal(SIGINT, signal.default_int_handler)


if __name__ == "__main__":
    main()

"""`lgh`, and `python -m loadgen_harness`."""

from __future__ import annotations

import signal
import sys


def main() -> None:
    """Import and run the command line; Ctrl-C meanwhile ends it as later, without a traceback."""
    try:
        from loadgen_harness.cli import entry

        entry()
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)


if __name__ == "__main__":
    main()

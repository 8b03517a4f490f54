"""What stops work: every error a user can cause is one sentence naming the remedy.

SuiteError
├── UnknownName        a benchmark, backend, scenario, … that does not exist; suggests the nearest
├── MissingDependency  a package that is not installed; names the pip line that mends it
├── BadInput           a file, flag or setting that cannot be used
└── RunFailed          a LoadGen child process that did not end as a finished run
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class SuiteError(Exception):
    """Base of all errors shown as one sentence, without a traceback, exit code 2."""


class UnknownName(SuiteError):
    """A name that is not in its registry."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        """Name the `kind` of thing, what was asked for and the nearest of what is `known`."""
        self.kind, self.name, self.known = kind, name, sorted(known)
        lowered = {each.lower(): each for each in self.known}
        near = difflib.get_close_matches(name.lower(), lowered, n=1, cutoff=0.4)
        hint = f"did you mean {lowered[near[0]]!r}?" if near else f"choose one of: {', '.join(self.known) or '(none)'}."
        super().__init__(f"unknown {kind} {name!r}: {hint}")


class MissingDependency(SuiteError):
    """A package that a chosen plug-in needs and that is not installed."""

    def __init__(self, what: str, package: str) -> None:
        """Say that `what` needs the pip requirement `package`."""
        self.package = package
        super().__init__(f"{what} needs a package that is not installed: run `pip install {package}`.")


class BadInput(SuiteError):
    """A file, flag or setting that cannot be used; the message names the remedy."""


class RunFailed(SuiteError):
    """A LoadGen run that failed, hung or was interrupted; the folder kept for inspection is named."""

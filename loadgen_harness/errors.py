"""What stops work: every error a user can cause is one sentence naming the remedy.

SuiteError
├── UnknownName        a benchmark, backend, scenario, … that does not exist; suggests the nearest
├── MissingDependency  a package that is not installed; names the pip line that mends it
├── BadInput           a file, flag or setting that cannot be used
└── RunFailed          a LoadGen child process that did not end as a finished run
"""

from __future__ import annotations

import difflib
import errno
import os
from collections.abc import Iterable, Sequence

ALIKE = 0.75  # of two names of which one is a slip: a letter in four may differ
BEGINNING, FEW = 3, 3  # letters that name what they begin; names that are suggested in one breath
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS)


class SuiteError(Exception):
    """Base of all errors shown as one sentence, without a traceback, exit code 2."""


class UnknownName(SuiteError):
    """A name that is not in its registry."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        """Name the `kind` of thing, what was asked for and the nearest of what is `known`."""
        self.kind, self.name, self.known = kind, name, sorted(set(known))
        near = _near(name, self.known)
        hint = f"choose one of: {', '.join(near or self.known) or '(none)'}."
        if 0 < len(near) <= FEW:
            hint = f"did you mean {' or '.join(map(repr, near))}?"
        super().__init__(f"unknown {kind} {name!r}: {hint}")


def _near(name: str, known: Sequence[str]) -> list[str]:
    """What was probably meant: the same name in another spelling, else what it begins, else what a slip makes of it."""
    asked, plain = _plain(name), {each: _plain(each) for each in known}
    same = [each for each in known if plain[each] == asked]
    begun = [each for each in known if len(asked) >= BEGINNING and plain[each].startswith(asked)]
    slips = [each for each in known if _alike(asked, plain[each]) >= ALIKE]
    best = sorted(slips, key=lambda each: -_alike(asked, plain[each]))
    typed = [each for each in best if abs(len(plain[each]) - len(asked)) <= 1]
    return same or typed[:1] or begun or best[:1]


def _alike(one: str, other: str) -> float:
    """How much two names have in common, 1 where only the order of their letters differs."""
    if sorted(one) == sorted(other):
        return 1.0
    return difflib.SequenceMatcher(None, one, other, autojunk=False).ratio()


def _plain(name: str) -> str:
    """A name without case, dashes, underscores, dots and blanks."""
    return "".join(each for each in name.casefold() if each.isalnum())


class MissingDependency(SuiteError):
    """A package that a chosen plug-in needs and that is not installed."""

    def __init__(self, what: str, package: str) -> None:
        """Say that `what` needs the pip requirement `package`."""
        self.package = package
        super().__init__(f"{what} needs a package that is not installed: run `pip install {package}`.")


class BadInput(SuiteError):
    """A file, flag or setting that cannot be used; the message names the remedy."""


def refused(error: OSError, path: object = "") -> BadInput:
    """What the system said no to, with the remedy; `path` where the error itself names none, or a worse."""
    place = path or error.filename or "a file"
    why = error.strerror or str(error)
    if error.errno == errno.ENOENT and not (path or error.filename):
        return BadInput("the current folder is no longer there: change to one that is, and run this again.")
    if error.errno in FULL:
        return BadInput(f"cannot write {place}: {why}; free some space and run this again.")
    if error.errno in REFUSED:
        return BadInput(f"cannot use {place}: {why}; choose another place, or get the rights to this one.")
    return BadInput(f"cannot use {place}: {why}; name another file or folder.")


def loop(error: RuntimeError) -> BadInput | None:
    """What pathlib says of a link that leads to itself before Python 3.13, as other refusals; None of other errors."""
    found = str(error).partition("Symlink loop from ")[2].strip("'\"")
    return refused(OSError(errno.ELOOP, os.strerror(errno.ELOOP), found)) if found else None


class Ended(KeyboardInterrupt):
    """A signal that ends a verb as Ctrl-C does: SIGTERM, SIGHUP, or SIGPIPE where nobody reads its output any more."""

    def __init__(self, number: int) -> None:
        """Know the signal; the exit code is 128 and its number."""
        super().__init__(number)
        self.number = number


class RunFailed(SuiteError):
    """A LoadGen run that failed, hung or was interrupted; the folder kept for inspection is named."""

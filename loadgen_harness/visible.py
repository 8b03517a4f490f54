"""Text of strangers made harmless: what a terminal, an XML reader or an eye would take for something else is shown.

Names and log values in foreign folders may hold escape sequences, letters that turn the writing direction, halves of
surrogate pairs (a file name that is not UTF-8). Each becomes its escape, such as \\x1b or \\u202e.
"""

from __future__ import annotations

import unicodedata

HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}  # control, format, surrogate, private, unassigned, line separators
LINES = "\n\t"


def visible(text: str, *, lines: bool = False) -> str:
    """The text with everything invisible as its escape; line ends and tabs are kept with `lines`."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_shown(letter, lines) for letter in text)


def _shown(letter: str, lines: bool) -> str:
    if lines and letter in LINES:
        return letter
    return letter.encode("unicode_escape").decode("ascii") if unicodedata.category(letter) in HIDDEN else letter

"""What a terminal or an eye would take for something else becomes its escape."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen_harness.visible import HIDDEN, visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text, 5 %", "plain text, 5 %"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a\nb\tc", "a\\nb\\tc"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("\udcff.txt", "\\udcff.txt"),
        ("\x9b2J", "\\x9b2J"),
        ("≥ 600 s × 2 – fine é 名", "≥ 600 s × 2 – fine é 名"),
    ],
)
def test_hidden_letters_are_shown(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_lines_may_stay() -> None:
    assert visible("a\n\tb\r\x1b", lines=True) == "a\n\tb\\r\\x1b"


@given(st.text(st.characters()))
def test_nothing_hidden_is_left_and_visible_text_stays(text: str) -> None:
    shown = visible(text)
    assert not {unicodedata.category(letter) for letter in shown} & HIDDEN
    assert visible(shown) == shown
    shown.encode("utf-8")

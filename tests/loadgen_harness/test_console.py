"""What is printed: colours on a terminal alone, and nothing that a terminal would obey."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from loadgen_harness import console

HOSTILE = "\x1b[2J\x1b]0;owned\x07\u202e[bold]x"
SHOWN = "\\x1b[2J\\x1b]0;owned\\x07\\u202e[bold]x"


@pytest.fixture(params=[True, False], ids=["terminal", "file"])
def printed(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> tuple[io.StringIO, bool]:
    """What both streams get, and whether they are terminals."""
    stream = io.StringIO()
    colours = "standard" if request.param else None
    made = Console(file=stream, force_terminal=request.param, highlight=False, color_system=colours, width=40)
    monkeypatch.setattr(console, "OUT", made)
    monkeypatch.setattr(console, "ERR", made)
    return stream, request.param


def test_lines_have_colours_on_a_terminal_alone(printed: tuple[io.StringIO, bool]) -> None:
    stream, terminal = printed
    console.lines([(("error", "error"), ("  seeds", "strong"), ("  [k]", "")), (), (("x" * 90, "dim"),)])
    text = stream.getvalue()
    assert ("\x1b[" in text) == terminal
    if not terminal:
        assert text == f"error  seeds  [k]\n\n{'x' * 90}\n"


@pytest.mark.parametrize("say", [console.say, console.fail, console.note])
def test_hostile_text_is_shown(printed: tuple[io.StringIO, bool], say: object) -> None:
    stream, terminal = printed
    assert callable(say)
    say(HOSTILE)
    assert SHOWN in stream.getvalue()
    if not terminal:
        assert "\x1b" not in stream.getvalue()


def test_without_a_terminal_nobody_says_yes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    assert not console.confirmed("Go on?")


@pytest.mark.parametrize(("answer", "sure"), [("y", True), (" Yes ", True), ("n", False), ("", False)])
def test_a_person_is_asked(
    printed: tuple[io.StringIO, bool], monkeypatch: pytest.MonkeyPatch, answer: str, sure: bool
) -> None:
    typed = io.StringIO(f"{answer}\n")
    monkeypatch.setattr(typed, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("sys.stdin", typed)
    assert console.confirmed("Mend [this]?") is sure
    assert "Mend [this]? [y/N]" in printed[0].getvalue()

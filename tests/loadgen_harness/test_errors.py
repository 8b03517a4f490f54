"""What is suggested for a name that does not exist: another spelling, a beginning, a slip; never something far off."""

from __future__ import annotations

import pytest

from loadgen_harness.errors import UnknownName

BENCHMARKS = ("bert-99", "bert-99.9", "llama2-70b", "llama3.1-8b", "llama3.1-405b", "llama-edge", "resnet50", "rgat")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("resnet-50", ["resnet50"]),
        ("ResNet_50", ["resnet50"]),
        ("resnt50", ["resnet50"]),
        ("resnet", ["resnet50"]),
        ("llama2_70B", ["llama2-70b"]),
        ("bert", ["bert-99", "bert-99.9"]),
        ("bert99", ["bert-99"]),
        ("ragt", ["rgat"]),
    ],
)
def test_what_was_probably_meant(name: str, meant: list[str]) -> None:
    message = str(UnknownName("benchmark", name, BENCHMARKS))
    assert message == f"unknown benchmark {name!r}: did you mean {' or '.join(map(repr, meant))}?"


@pytest.mark.parametrize("name", ["offline", "yolo", "gpt", "re", "x", "", "-", "retina"])
def test_nothing_far_off_is_suggested(name: str) -> None:
    message = str(UnknownName("benchmark", name, BENCHMARKS))
    assert message == f"unknown benchmark {name!r}: choose one of: {', '.join(sorted(BENCHMARKS))}."


def test_a_beginning_of_many_lists_these() -> None:
    message = str(UnknownName("benchmark", "llama", BENCHMARKS))
    assert message.endswith("choose one of: llama-edge, llama2-70b, llama3.1-405b, llama3.1-8b.")


def test_without_any_names() -> None:
    assert str(UnknownName("backend", "x", ())) == "unknown backend 'x': choose one of: (none)."

"""One description of a system of several nodes, from one description for each of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from loadgen_harness.errors import BadInput
from submissions.system import COUNTS, NOT_APPLICABLE, REQUIRED

UNTOLD = (None, "", NOT_APPLICABLE)
NODES, GPUS = COUNTS
OF_A_NODE = ("operating_system", "framework", "other_software_stack")
Node = tuple[str, Mapping[str, Any]]  # the file's name and its content


def merge(nodes: Sequence[Node], *, mixed: bool = False) -> dict[str, Any]:
    """All nodes as one system; raises BadInput for unequal ones unless they may be `mixed`.

    Unequal values are written as published descriptions write them: `A (2 nodes); B (1 node)`.
    """
    counts = [_count(name, node) for name, node in nodes]
    merged: dict[str, Any] = {}
    for key in dict.fromkeys((*REQUIRED, *(key for _, node in nodes for key in node))):
        values = [node.get(key, "") for _, node in nodes]
        if key == NODES:
            merged[key] = str(sum(counts))
        elif all(value == values[0] for value in values):
            merged[key] = values[0]
        elif _of_a_node(key):
            merged[key] = _unequal(key, nodes, counts, mixed=mixed)
        else:
            merged[key] = _agreed(key, nodes)
    return merged


def _of_a_node(key: str) -> bool:
    return key.startswith(("host_", "accelerator")) or key in OF_A_NODE


def _count(name: str, node: Mapping[str, Any]) -> int:
    text = str(node.get(NODES, "1"))
    if not (text.isascii() and text.isdigit() and int(text)):
        raise BadInput(f"{name} says {NODES} = {text!r}: write a whole number, 1 or more.")
    return int(text)


def _unequal(key: str, nodes: Sequence[Node], counts: Sequence[int], *, mixed: bool) -> str:
    texts = [str(node.get(key, "")) for _, node in nodes]
    other = next((number for number, text in enumerate(texts) if text != texts[0]), 0)
    where = f"{nodes[0][0]} and {nodes[other][0]} differ in {key} ({texts[0]!r}, {texts[other]!r})"
    if key == GPUS:
        raise BadInput(f"{where}, for which the official file has one whole number: describe two systems.")
    if not mixed:
        raise BadInput(f"{where}: mend one of them, or add --heterogeneous if the system is made of unequal nodes.")
    total: Counter[str] = Counter()
    for text, count in zip(texts, counts, strict=True):
        total[text or NOT_APPLICABLE] += count
    return "; ".join(f"{text} ({count} node{'s' * (count > 1)})" for text, count in total.items())


def _agreed(key: str, nodes: Sequence[Node]) -> Any:
    """What those nodes say that say something; raises BadInput where they contradict each other."""
    told = [(name, node[key]) for name, node in nodes if node.get(key) not in UNTOLD]
    first = told[0] if told else ("", NOT_APPLICABLE)
    for name, value in told[1:]:
        if value != first[1]:
            raise BadInput(
                f"{first[0]} says {key} = {first[1]!r} and {name} {value!r}: one system has one, mend a file."
            )
    return first[1]

"""What measurements.json tells of the weights, against itself and against the other scenarios of the benchmark."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from audit.finding import Finding, Severity
from submissions import structure
from submissions.structure import error
from submissions.subject import Subject
from submissions.system import retrained

MODEL = "inference_rules.adoc, Closed Division: the reference model and weights; no retraining, no pruning"
# what no closed model may have undergone, unless it says that it did not
TRAINED = re.compile(
    r"(?<!no )(?<!not )(?<!non-)(?<!without )\b(?:prun|fine[- ]?tun|distill|sparsif|re-?trained)\w*", re.I
)
TOLD = ("retraining", "starting_weights_filename", "weight_transformations")
FIX = "correct the text, or submit to the open division"


def stated(subject: Subject, content: Mapping[str, Any]) -> Iterator[Finding]:
    """Words in a closed measurements.json that the closed division does not allow: for a reviewer to look at."""
    told = retrained(str(content.get("retraining", "")))  # what is not "no" there has its own finding
    for key in TOLD[told is not False :] if subject.closed else ():
        text = str(content.get(key, ""))
        if match := TRAINED.search(text.replace("_", " ")):
            what = (key, repr(text), f"nothing like {match[0]!r} in the closed division")
            yield _warning(subject, what, FIX)


def unlike(subjects: Sequence[Subject]) -> Iterator[Finding]:
    """A closed result that begins with other weights than the same benchmark of the same system does elsewhere."""
    groups: dict[tuple[str, str, str], list[tuple[Subject, str]]] = {}
    for each in subjects:
        if each.closed and each.known and not each.place.endpoint:
            content, _ = structure.document(each.place.measurements, each.tree)
            name = str((content or {}).get("starting_weights_filename", "")).strip()
            if name:
                key = (str(each.place.home.path), each.place.system, each.place.benchmark)
                groups.setdefault(key, []).append((each, name))
    for group in groups.values():
        names = Counter(name for _, name in group)
        usual = names.most_common(1)[0][0]
        for each, name in group if len(names) > 1 else ():
            if name != usual:
                what = ("starting_weights_filename", repr(name), f"{usual!r}, as in the other scenarios")
                yield _warning(each, what, "state the weights that were used; one benchmark has one model")


def _warning(subject: Subject, what: tuple[str, str, str], fix: str) -> Finding:
    found = error("measurements", subject.name(subject.place.measurements), what, MODEL, fix)
    return replace(found, severity=Severity.WARNING)

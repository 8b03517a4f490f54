"""What the network division asks of a result beside the closed one's rules, as far as its logs can tell."""

from __future__ import annotations

from collections.abc import Iterator

from audit.finding import Finding
from loadgen_harness.types import Division
from submissions.structure import error
from submissions.subject import Subject

NAME = "Network SUT"
CLAUSE = "inference_rules.adoc, Network Division: QDL Constraints"


def check(subject: Subject) -> Iterator[Finding]:
    """Every run was driven through a Query Dispatch Library, as the name shows that LoadGen logged."""
    if subject.division is not Division.NETWORK:
        return
    place = subject.place
    for logs in (place.performance, place.accuracy, *(test.performance for test in place.tests())):
        run = subject.run(logs)
        if run and NAME not in run.sut_name:
            what = ("sut_name", run.sut_name or "missing", f"a name that holds {NAME!r}")
            fix = "run it through the Query Dispatch Library, or submit it to closed or open"
            yield error("network", subject.name(logs.detail), what, CLAUSE, fix)

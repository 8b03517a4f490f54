"""The responses of an accuracy log, one after the other: of whole logs alone, each sample once where that is asked."""

from __future__ import annotations

import os
from collections.abc import Iterator

from loadgen_harness.accuracy_log import Response, entries
from loadgen_harness.errors import BadInput
from loadgen_harness.inside import Damaged
from loadgen_harness.run import Run

LOG = "mlperf_log_accuracy.json"
TRUNCATED_BYTES = 10_240  # a truncated log is no longer than that
GAP = b"\n\n...\n\n"
TAIL = 64


def responses(run: Run) -> Iterator[Response]:
    """Every response in the log's order; raises BadInput for a log that is missing, truncated, cut short or empty."""
    _check_whole(run)
    path, empty = run.file(LOG), True
    try:
        with path.open("rb") as file:
            for response in entries(file):
                empty = False
                yield response
    except Damaged as error:
        raise BadInput(f"{path} is damaged ({error}): repeat the AccuracyOnly run.") from error
    if empty:
        raise BadInput(f"{path} holds no responses: give the log of an AccuracyOnly run.")


def first_responses(run: Run) -> Iterator[Response]:
    """The first response of each sample, since LoadGen may send a sample twice."""
    seen: set[int] = set()
    for response in responses(run):
        if response.qsl_idx not in seen:
            seen.add(response.qsl_idx)
            yield response


def within(response: Response, count: int, labels: str) -> int:
    """The index of a response's sample; raises BadInput where there are only `count` labels."""
    if not 0 <= response.qsl_idx < count:
        raise BadInput(
            f"sample {response.qsl_idx} of the log has no label: {labels} holds {count}, "
            "so give the labels of the run's own data set."
        )
    return response.qsl_idx


def _check_whole(run: Run) -> None:
    path = run.file(LOG)
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(TRUNCATED_BYTES)
            file.seek(-min(size, TAIL), os.SEEK_END)
            tail = file.read()
    except OSError as error:
        raise BadInput(f"{path} cannot be read ({error.strerror}): give LoadGen's accuracy log.") from error
    if size <= TRUNCATED_BYTES and GAP in head:
        raise BadInput(
            f"{path} was truncated for a submission: give the full log from the sealed backup, "
            "whose SHA-256 is the hash line of accuracy.txt."
        )
    if not tail.rstrip().endswith(b"]"):
        what = "is empty" if not size else "ends before its closing bracket"
        raise BadInput(f"{path} {what}: the run was no AccuracyOnly run or did not finish, so repeat it.")

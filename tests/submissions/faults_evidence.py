"""Faults of what proves a result without its whole logs: counts, visible responses, texts that say otherwise."""

from __future__ import annotations

from pathlib import Path

from tests.submissions.mutations import (
    MULTI,
    OFFLINE,
    SINGLE,
    Change,
    Mutation,
    copy,
    edit,
    hashed,
    one,
    put,
    together,
    write,
)

LOG, TEXT, VERIFIED = "accuracy/mlperf_log_accuracy.json", "accuracy/accuracy.txt", "TEST01/verify_accuracy.txt"


def texts(source: Path, target: Path) -> Change:
    """The accuracy log of one run and its text in the place of another's."""
    return together(*(copy(source / name, target / name) for name in (LOG, TEXT)))


def repeated(name: Path) -> Change:
    """The second response of a log once more in place of the third."""

    def change(tree: Path) -> None:
        lines = (tree / name).read_text().split("\n")
        put(tree / name, "\n".join([*lines[:3], lines[2], *lines[4:]]))

    return change


def crlf(name: Path) -> Change:
    """A text with the line ends of another system."""
    return lambda tree: put(tree / name, (tree / name).read_bytes().replace(b"\n", b"\r\n"))


EVIDENCE: dict[str, Mutation] = {
    "fewer responses verified than the test logged": Mutation(
        edit(SINGLE / VERIFIED, "4140", "10"), one("verdict-text", "num_perf_log_entries")
    ),
    "no response verified": Mutation(edit(SINGLE / VERIFIED, "4140", "0"), one("verdict-text", "num_perf_log_entries")),
    "another scenario verified": Mutation(
        copy(OFFLINE / VERIFIED, MULTI / VERIFIED), one("verdict-text", "num_perf_log_entries")
    ),
    "responses of another scenario's test": Mutation(
        texts(OFFLINE / "TEST01", MULTI / "TEST01"), (*one("responses", "seq_id"), *one("duplicate", "responses"))
    ),
    "accuracy log of another scenario": Mutation(texts(OFFLINE, MULTI), one("duplicate", "responses")),
    "a sample answered twice": Mutation(repeated(SINGLE / LOG), one("responses", "seq_id")),
    "a sample that the library does not have": Mutation(
        edit(SINGLE / LOG, '"qsl_idx" : 34503', '"qsl_idx" : 64503'), one("responses", "qsl_idx")
    ),
    "accuracy of a few of a test's responses": Mutation(
        edit(
            SINGLE / "TEST01" / TEXT, "accuracy=76.465%, good=770, total=1007", "accuracy=100.000%, good=10, total=10"
        ),
        one("accuracy-text", "total"),
    ),
    "a test far less accurate than the accuracy run": Mutation(
        edit(
            SINGLE / "TEST01" / TEXT, "accuracy=76.465%, good=770, total=1007", "accuracy=60.000%, good=603, total=1005"
        ),
        one("accuracy-text", "accuracy"),
    ),
    "a locked setting in user.conf": Mutation(
        edit(OFFLINE / "user.conf", "*.Offline", "*.*.sample_concatenate_permutation = 1\n*.Offline"),
        one("user-conf", "sample_concatenate_permutation"),
    ),
    "an emptied user.conf": Mutation(write(OFFLINE / "user.conf", "# nothing\n"), one("user-conf", "target_qps")),
    "hash of noughts": Mutation(hashed(OFFLINE / "accuracy", lambda _: "0" * 64), one("truncation", "hash")),
}
ALLOWED: dict[str, Change] = {
    "accuracy.txt with CRLF line ends": crlf(OFFLINE / TEXT),
    "texts of a test with CRLF line ends": together(
        *(crlf(SINGLE / "TEST01" / name) for name in ("verify_accuracy.txt", "verify_performance.txt", TEXT))
    ),
}

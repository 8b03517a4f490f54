"""Faults of what proves a result without its whole logs: counts, visible responses, texts that say otherwise."""

from __future__ import annotations

import re
from pathlib import Path

from tests.submissions.mutations import (
    DETAIL,
    HOME,
    MULTI,
    OFFLINE,
    RUN,
    SINGLE,
    SUMMARY,
    SYSTEM,
    Change,
    Mutation,
    copy,
    detail,
    edit,
    hashed,
    json_key,
    one,
    put,
    swap,
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


def holed(tree: Path) -> None:
    """A detail log from whose middle some lines were cut: the settings that LoadGen ran with."""
    path = tree / MULTI / RUN / DETAIL
    lines = path.read_text().split("\n")
    kept = [line for line in lines if '"key": "effective_' not in line or "latency" in line or "scenario" in line]
    put(path, "\n".join(kept))


SEEDS = tuple(("seeds", f"effective_{name}_rng_seed") for name in ("qsl", "sample_index", "schedule"))


def utf16(name: Path) -> Change:
    """A text in another encoding."""
    return lambda tree: put(tree / name, (tree / name).read_text().encode("utf-16"))


def without(name: Path, *texts: str) -> Change:
    """A file without the lines that hold one of these texts."""

    def change(tree: Path) -> None:
        lines = (tree / name).read_text().splitlines(keepends=True)
        put(tree / name, "".join(each for each in lines if not any(text in each for text in texts)))

    return change


def turned(name: Path, kept: int) -> Change:
    """A log whose lines below the first `kept` stand in the other order."""

    def change(tree: Path) -> None:
        lines = (tree / name).read_text().splitlines(keepends=True)
        put(tree / name, "".join([*lines[:kept], *reversed(lines[kept:])]))

    return change


def moved(home: Path) -> Change:
    """Every latency of every log 7 ns longer, on another day and 11 ms later."""

    def later(match: re.Match[str]) -> str:
        return f"{match[1]}{int(match[2]) + 11:03}" if int(match[2]) < 989 else match[0]

    def change(tree: Path) -> None:
        for path in sorted((tree / home).rglob("mlperf_log_*.txt")):
            text = path.read_text().replace("11-22-2026", "11-23-2026").replace("2026-11-22", "2026-11-23")
            text = re.sub(r'("value": "11-23-2026 \d\d:\d\d:\d\d\.)(\d{3})', later, text)
            latency = r'(latency[^"\n]*?(?:", "value": |\) *: )|estimate: )(\d{8,})'
            put(path, re.sub(latency, lambda match: f"{match[1]}{int(match[2]) + 7}", text))

    return change


EVIDENCE: dict[str, Mutation] = {
    "another system's results, each latency moved by 7 ns": Mutation(
        together(
            copy(HOME / "results/toybox_1x_cpu", HOME / "results/gamebox"),
            copy(SYSTEM, HOME / "systems/gamebox.json"),
            moved(HOME / "results/gamebox"),
        ),
        (*(("duplicate", "log"),) * 3, *one("system", "system_name")),
    ),
    "a log whose end is turned round": Mutation(turned(SINGLE / RUN / DETAIL, 60), one("times", "time_ms")),
    "a log that is turned round": Mutation(turned(MULTI / RUN / DETAIL, 0), one("times", "time_ms")),
    "a log without its head": Mutation(
        without(OFFLINE / RUN / DETAIL, '"test_datetime"', '"loadgen_build_date_utc"', '"loadgen_git_commit_date'),
        one("absent", "loadgen_build_date_utc"),
    ),
    "a result that is no number": Mutation(
        detail(OFFLINE / RUN, result_samples_per_second=float("nan")), one("readable", "damaged")
    ),
    "settings cut out of a log": Mutation(
        holed,
        (
            *one("readable", "settings"),
            *one("mode", "effective_test_mode"),
            *SEEDS,
            *one("duration-setting", "effective_min_duration_ms"),
            *one("query-count", "effective_min_query_count"),
            *one("samples-per-query", "effective_samples_per_query"),
            *one("performance-sample-count", "effective_performance_sample_count"),
        ),
    ),
    "the performance run and TEST01's exchanged": Mutation(
        swap(SINGLE / RUN, SINGLE / "TEST01" / RUN),
        (
            *one("test-settings", "run"),
            *(("audit-config", "audit.config"),) * 2,
            *(("audit-settings", "effective_accuracy_log_rng_seed"),) * 2,
            *(("audit-settings", "effective_accuracy_log_sampling_target"),) * 2,
            *(("compliance", "reference score"),) * 2,
            *one("compliance", "test score"),
        ),
    ),
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
    "measurements with a key that stands twice": Mutation(
        edit(OFFLINE / "measurements.json", "{", '{"retraining": "Yes", '), one("measurements", "retraining")
    ),
    "a system description with a key that stands twice": Mutation(
        edit(SYSTEM, "{", '{"system_type": "datacenter", '), one("system", "system_type")
    ),
    "weights of another model in one scenario": Mutation(
        json_key(OFFLINE / "measurements.json", "starting_weights_filename", "mobilenet_v2.onnx"),
        one("measurements", "starting_weights_filename"),
    ),
    "pruned weights": Mutation(
        json_key(OFFLINE / "measurements.json", "weight_transformations", "pruned 50 %, quantized"),
        one("measurements", "weight_transformations"),
    ),
    "not retrained but fine-tuned": Mutation(
        json_key(OFFLINE / "measurements.json", "retraining", "No (fine-tuned 3 epochs)"),
        one("measurements", "retraining"),
    ),
    "a README of blanks": Mutation(write(OFFLINE / "README.md", " \n"), one("structure", "file")),
    "a calibration of blanks": Mutation(
        write(HOME / "documentation/calibration.md", "\n \n"), one("structure", "calibration.md")
    ),
    "a submitter in letters that look alike": Mutation(
        json_key(SYSTEM, "submitter", "\N{CYRILLIC CAPITAL LETTER A}cme"), one("system", "submitter")
    ),
    "a verdict with other blanks": Mutation(
        edit(OFFLINE / RUN / SUMMARY, "Result is : VALID", "Result is :  VALID "), one("summary", "Result is")
    ),
    "a figure that is infinite": Mutation(
        edit(SINGLE / RUN / DETAIL, '"value": 23689105', '"value": Infinity'), one("readable", "damaged")
    ),
    "a figure of past all numbers": Mutation(
        edit(SINGLE / RUN / DETAIL, '"value": 23689105', '"value": 1e999'), one("readable", "damaged")
    ),
    "a figure twice in its record": Mutation(
        edit(SINGLE / RUN / DETAIL, '"value": 23689105', '"value": 1, "value": 23689105'), one("readable", "damaged")
    ),
    "a figure in quotation marks": Mutation(
        edit(SINGLE / RUN / DETAIL, '"value": 23689105', '"value": "23689105"'),
        one("readable", "result_99.90_percentile_latency_ns"),
    ),
    "a summary in UTF-16": Mutation(utf16(SINGLE / RUN / SUMMARY), one("readable", "encoding")),
    "a summary that claims warnings": Mutation(
        edit(SINGLE / RUN / SUMMARY, "No warnings encountered", "3 warnings encountered"), one("summary", "warnings")
    ),
    "no digests of LoadGen's sources": Mutation(
        without(SINGLE / RUN / DETAIL, '"loadgen_file_sha1"'), one("absent", "loadgen_file_sha1")
    ),
    "nothing asked for": Mutation(without(SINGLE / RUN / DETAIL, '"requested_'), one("absent", "requested_scenario")),
    "a summary without its head": Mutation(
        without(OFFLINE / RUN / SUMMARY, "SUT name", "Mode  ", "Scenario :"), one("absent", "sut_name")
    ),
    "LoadGen built after the run": Mutation(
        detail(SINGLE / RUN, loadgen_build_date_utc="2026-12-24T17:39:47.375453"),
        one("times", "loadgen_build_date_utc"),
    ),
    "a log begun on another day": Mutation(
        detail(SINGLE / RUN, test_datetime="2026-11-20T04:59:55Z"), one("times", "test_datetime")
    ),
    "hash of noughts": Mutation(hashed(OFFLINE / "accuracy", lambda _: "0" * 64), one("truncation", "hash")),
}
ALLOWED: dict[str, Change] = {
    "measurements that deny it": together(
        json_key(OFFLINE / "measurements.json", "weight_transformations", "quantized, not pruned"),
        json_key(SINGLE / "measurements.json", "retraining", "no retraining, no fine-tuning"),
    ),
    "accuracy.txt with CRLF line ends": crlf(OFFLINE / TEXT),
    "texts of a test with CRLF line ends": together(
        *(crlf(SINGLE / "TEST01" / name) for name in ("verify_accuracy.txt", "verify_performance.txt", TEXT))
    ),
}

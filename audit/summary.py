"""mlperf_log_summary.txt against the detail log: LoadGen writes both from the same figures, people read the first."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from audit.case import SUMMARY, Case, Check
from audit.finding import Finding, Severity
from loadgen_harness.plain_log import number
from loadgen_harness.run import Run

MOST_BYTES = 1_000_000
SECTION = "Test Parameters Used"
PARAMETER = re.compile(r"([a-z_]{1,60})(?: \((ms|ns)\))?\s*:\s*(\S{1,40})\s*")
HEADLINE = re.compile(r"(\d{1,3}(?:\.\d+)?)th percentile latency \(ns\)\s*:\s*(\d{1,19})")
VERDICT = re.compile(r"Result is : (?:IN)?VALID")
OTHERS = 5  # latencies that differ at once are no slip and no edit
HUNDREDTHS = 0.0051  # the summary states some rates with two places
DIGITS = 1e-5  # and others with six digits
COUNTED = ("num_errors", "num_warnings")
OTHER_UNIT = ("result_token_throughput",)  # per second in the summary, per ns in the detail log
CLAUSE = "inference_rules.adoc, LoadGen Operation: LoadGen computes final metrics, and writes each in both of its logs"
FIX = "Put back both logs of the same run as LoadGen wrote them."


def agrees(case: Case) -> Iterator[Finding]:
    """Every figure and setting of the summary is that of the detail log."""
    if case.run.syntax != "mllog":
        return  # a plain log states results in its summary alone
    lines = lines_of(case.run)
    found = list(_differing(case, lines))
    latencies = sum("latency" in each.key or "percentile" in each.key for each in found)
    if latencies >= OTHERS:
        more = {"file": SUMMARY, "found": f"{len(found)} figures differ, {latencies} of them latencies: of another run"}
        yield case.finding("summary", "figures", "those of the detail log beside it", clause=CLAUSE, fix=FIX, **more)
    yield from found


def _differing(case: Case, lines: list[str]) -> Iterator[Finding]:
    for key, said in {**case.run.summary, **parameters(lines)}.items():
        value = case.log.get(key)
        if value is None or key in COUNTED or key in OTHER_UNIT or _same(said, value):
            continue
        more = {"file": SUMMARY, "found": said, "line": _line(lines, said), "clause": CLAUSE, "fix": FIX}
        yield case.finding("summary", key, value, **more)


def errors(case: Case) -> Iterator[Finding]:
    """The summary tells of errors and warnings where the detail log holds some, and only there."""
    for name, count in (("errors", case.run.error_count), ("warnings", len(case.run.log_warnings))):
        said = case.run.summary.get(f"num_{name}")
        if case.run.syntax == "mllog" and said is not None and bool(said) != bool(count):
            more = {"file": SUMMARY, "found": said, "clause": CLAUSE, "fix": FIX}
            yield case.finding("summary", name, count, **more)


def text(case: Case) -> Iterator[Finding]:
    """The summary is text as LoadGen writes it; in another encoding nothing would be found in it."""
    content = case.run.read(SUMMARY, MOST_BYTES)
    if b"\0" in content or content.startswith((b"\xff\xfe", b"\xfe\xff")):
        more = {"file": SUMMARY, "found": "UTF-16, or no text", "clause": CLAUSE, "fix": FIX}
        yield case.finding("readable", "encoding", "UTF-8", **more)


def headline(case: Case) -> Iterator[Finding]:
    """A performance summary has a verdict, and its first figure is the detail log's percentile or estimate of it."""
    if case.run.syntax != "mllog" or case.run.mode != "PerformanceOnly" or not case.run.summary:
        return
    more = {"file": SUMMARY, "clause": CLAUSE, "fix": FIX}
    if "result_validity" not in case.run.summary and "result_validity" in case.log:
        yield case.finding("summary", "Result is", case.log["result_validity"], found="missing", **more)
    lines = lines_of(case.run)
    for at, line in enumerate(lines, start=1):
        if line.startswith("Result is") and not VERDICT.fullmatch(line):
            doubt = {"found": repr(line), "line": at, "severity": Severity.WARNING}
            yield case.finding("summary", "Result is", "'Result is : VALID', as LoadGen writes it", **doubt, **more)
    for at, match in enumerate(map(HEADLINE.fullmatch, lines), start=1):
        known = [case.log[key] for key in _headlines(case, match[1]) if key in case.log] if match else []
        if match and known and int(match[2]) not in known:
            wanted = " or ".join(dict.fromkeys(map(str, known)))
            yield case.finding("summary", match[0].partition(":")[0].strip(), wanted, found=match[2], line=at, **more)


def _headlines(case: Case, percent: str) -> tuple[str, ...]:
    """Keys of the detail log that the first figure may repeat: of samples, of queries, or LoadGen's estimate."""
    name = f"result_{float(percent):.2f}_percentile"
    estimate = {"SingleStream": "early_stopping_latency_ss", "MultiStream": "early_stopping_latency_ms"}
    return f"{name}_latency_ns", f"{name}_per_query_latency_ns", estimate.get(case.run.scenario, "")


def parameters(lines: list[str]) -> Mapping[str, int | float | str]:
    """The settings that a summary ends with, under the detail log's keys."""
    below = lines[lines.index(SECTION) :] if SECTION in lines else []
    found = {}
    for match in filter(None, map(PARAMETER.fullmatch, below)):
        unit = f"_{match[2]}" if match[2] else ""
        found[f"effective_{match[1]}{unit}"] = number(match[3])
    return found


def lines_of(run: Run) -> list[str]:
    """The lines of a run's summary, none where it cannot be read."""
    return [line.strip() for line in run.read(SUMMARY, MOST_BYTES).decode("utf-8", errors="replace").split("\n")]


def _line(lines: list[str], said: Any) -> int:
    """The first line that says it, 0 where none does literally."""
    shown = {True: "Yes", False: "NO"}.get(said) if isinstance(said, bool) else said
    values = (number(line.rpartition(":")[2].strip()) for line in lines)
    return next((at for at, value in enumerate(values, start=1) if value == shown), 0)


def _same(said: Any, value: Any) -> bool:
    """Whether a figure of the summary stands for one of the detail log, as LoadGen rounds it."""
    if isinstance(value, bool) or isinstance(said, bool):
        return said in (value, int(value)) if isinstance(value, bool | int) else False
    if isinstance(value, int | float) and isinstance(said, int | float):
        exact = isinstance(value, int) and isinstance(said, int)
        return said == value if exact else abs(said - value) <= HUNDREDTHS + DIGITS * abs(value)
    return str(said).replace(" ", "") == str(value).replace(" ", "")


CHECKS: tuple[Check, ...] = (text, agrees, errors, headline)

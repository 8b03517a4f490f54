"""Folders of compliance tests, each with what the official script says of them: the cases of the differential test."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from audit.verdict import ComplianceTest, Trial
from loadgen_harness import registry
from loadgen_harness.run import Run
from loadgen_harness.types import Score
from tests.audit import trials
from tests.audit.folders import AUDIT_WARNING, MS, response
from tests.audit.trials import ENTRIES, accurate, audited, logged, recommended, reference, spoken, talked

SAMPLED = {"accuracy_log_sampling_target": 4096}
HUNDRED = {"accuracy_log_sampling_target": trials.LIMIT}
SAME = {"performance_issue_same": 1, "performance_issue_same_index": 3}

Build = Callable[[Path], Trial]


@dataclass(frozen=True)
class Case:
    """Folders of a test, what the official script says of them, and why ours refuses them where it does not."""

    test: str
    name: str
    build: Build
    official: bool = True
    clause: str = ""
    options: tuple[str, ...] = ()


def ours(test: str) -> ComplianceTest:
    """Our test of that name."""
    found: ComplianceTest = registry.load(registry.TESTS, test.lower())
    return found


def mean(responses: Mapping[int, bytes]) -> list[Score]:
    """What the little accuracy script prints."""
    values = [float(np.frombuffer(data, "<f4")[0]) for data in responses.values()]
    return [Score("exact_match", float(np.mean(values)), 0, 100, len(values), "exact")]


def without(run: Run, name: str) -> Run:
    """The run with a file missing."""
    run.file(name).unlink()
    return Run(run.path)


def of_test01(responses: list[dict[str, Any]] | None = None, scenario: str = "Server", **changes: Any) -> Build:
    """TEST01 with these sampled responses and values of the test's log; by default it passes."""
    sampled = ENTRIES[2:6] if responses is None else responses

    def build(folder: Path) -> Trial:
        run = audited(folder, "TEST01", sampled, scenario=scenario, **changes)
        return Trial(run, SAMPLED, reference(folder, scenario), accurate(folder))

    return build


def altered(build: Build, change: Callable[[Trial], Trial]) -> Build:
    """The same folders with something done to them."""
    return lambda folder: change(build(folder))


def of_test04(before: float = 0, after: float = 0, scenario: str = "Server", **changes: Any) -> Build:
    """TEST04 with these scores, in LoadGen's units; 0 leaves the usual one."""
    key = trials.SCORE_LINES[scenario][0]

    def build(folder: Path) -> Trial:
        first = reference(folder, scenario, **({key: before} if before else {}))
        run = audited(folder, "TEST04", scenario=scenario, **{**({key: after} if after else {}), **changes})
        return Trial(run, SAME, first)

    return build


def of_test06(*entries: dict[str, Any], scenario: str = "Server", dtype: str = "int32", eos: int = 2) -> Build:
    """TEST06 on these responses."""
    settings = {**HUNDRED, "eos_token_id": eos}
    return lambda folder: Trial(talked(folder, "TEST06", entries, scenario), settings, dtype=dtype)


def of_test07(values: list[float], threshold: float = 60.0, wanted: int = 3) -> Build:
    """TEST07 on responses of these float32."""
    settings = {**logged(wanted), "accuracy_threshold": threshold}
    entries = [response(index, np.float32(value).tobytes()) for index, value in enumerate(values)]
    return lambda folder: Trial(talked(folder, "TEST07", entries), settings, score=mean)


LABELS = (1.0, 0.0, 1.0, 0.0)
CHANCES = {1: (0.9, 0.2, 0.6, 0.4), 2: (0.5, 0.5, 0.5, 0.5), 3: (0.99, 0.01, 0.7, 0.3)}
WHOLE = [recommended(request, chances, LABELS) for request, chances in CHANCES.items()]


def of_test08(*entries: dict[str, Any], whole: list[dict[str, Any]] = WHOLE, tolerance: float = 0.001) -> Build:
    """TEST08 on these sampled responses."""
    settings = {**SAMPLED, "tolerance": tolerance}
    return lambda folder: Trial(audited(folder, "TEST08", entries), settings, accuracy=accurate(folder, whole))


def of_test09(*lengths: int, least: float = 3.6, most: float = 4.4, wanted: int = 3) -> Build:
    """TEST09 on responses of these lengths."""
    settings = {**logged(wanted), "min_output_tokens": least, "max_output_tokens": most}
    entries = [response(index, b"\7\0\0\0" * length) for index, length in enumerate(lengths)]
    return lambda folder: Trial(talked(folder, "TEST09", entries), settings)


def unread(trial: Trial) -> Trial:
    """LoadGen did not find audit.config: upstream's silent failure."""
    log = trial.audit.file("mlperf_log_detail.txt")
    log.write_text("\n".join(line for line in log.read_text().splitlines() if AUDIT_WARNING not in line) + "\n")
    return replace(trial, audit=Run(trial.audit.path))


def damaged(trial: Trial) -> Trial:
    """A line of the detail log is no LoadGen record."""
    with trial.audit.file("mlperf_log_detail.txt").open("a") as log:
        log.write(':::MLLOG {"key": "cut\n')
    return replace(trial, audit=Run(trial.audit.path))


def twice(key: str, first: object) -> Callable[[Trial], Trial]:
    """The detail log of the test's run states a key before it states it as it does."""

    def change(trial: Trial) -> Trial:
        notes = {"is_error": False, "is_warning": False, "file": "loadgen.cc", "line_no": 1, "pid": 1, "tid": 1}
        line = json.dumps({"key": key, "value": first, "time_ms": 0.1, "metadata": notes})
        log = trial.audit.file("mlperf_log_detail.txt")
        log.write_text(f":::MLLOG {line}\n{log.read_text()}")
        return replace(trial, audit=Run(trial.audit.path))

    return change


def errors_in(part: str) -> Callable[[Trial], Trial]:
    """LoadGen counted errors in the reference or the test's run."""

    def change(trial: Trial) -> Trial:
        run: Run = getattr(trial, part)
        log = run.file("mlperf_log_detail.txt")
        log.write_text(log.read_text().replace('"num_errors", "value": 0', '"num_errors", "value": 3'))
        return replace(trial, **{part: Run(run.path)})

    return change


def lacking(part: str, name: str) -> Callable[[Trial], Trial]:
    """A file is missing from one of the runs."""
    return lambda trial: replace(trial, **{part: without(getattr(trial, part), name)})


def rewritten(part: str, text: str) -> Callable[[Trial], Trial]:
    """The accuracy log of one of the runs holds another text."""
    return lambda trial: replace(trial, **{part: trials.rewrite(getattr(trial, part), text)})


def resummed(part: str, **changes: str) -> Callable[[Trial], Trial]:
    """The summary of one of the runs tells another story than its detail log."""
    return lambda trial: replace(trial, **{part: trials.summed(getattr(trial, part), **changes)})


LOG, DETAIL, SUMMARY = "mlperf_log_accuracy.json", "mlperf_log_detail.txt", "mlperf_log_summary.txt"
NO_HEX = '[{"seq_id": 0, "qsl_idx": 3, "data": "XY"}]'
MATCH = "compliance/TEST01/README.md, Introduction: the inference results must match"
CONFIG = "compliance/README.md, Test Infrastructure: LoadGen logs that it found audit.config"
RULES = "compliance/README.md, Test Methodology: run as one normally would for a submission, VALID and free of errors"
TOKENS = "compliance/TEST06/README.md, Introduction: the three criteria of a passing result"
ALL = "compliance/TEST07/README.md and TEST09/README.md, Introduction: all samples are logged and judged"

TEST01 = [
    Case("TEST01", "equal", of_test01()),
    Case("TEST01", "repeated", of_test01([*ENTRIES[2:6], ENTRIES[3]])),
    *(Case("TEST01", f"equal {scenario}", of_test01(scenario=scenario)) for scenario in trials.SCORE_LINES),
    Case("TEST01", "other first byte", of_test01([*ENTRIES[2:4], response(5, b"\1\0\0\0")]), False),
    Case("TEST01", "other length", of_test01([response(5, b"")]), False),
    Case("TEST01", "nothing sampled", of_test01([]), False),
    Case("TEST01", "unknown samples alone", of_test01([response(99, b"1234")]), False),
    Case("TEST01", "no accuracy log", altered(of_test01(), lacking("accuracy", LOG)), False),
    Case("TEST01", "truncated accuracy log", altered(of_test01(), rewritten("accuracy", "[\n{ \n...\n}]")), False),
    Case("TEST01", "no sampled log", altered(of_test01(), lacking("audit", LOG)), False),
    Case("TEST01", "no hexadecimal", altered(of_test01(), rewritten("audit", NO_HEX)), False),
    Case("TEST01", "11 % slower", of_test01(result_completed_samples_per_sec=99.5 * 0.89), False),
    Case("TEST01", "9 % slower", of_test01(result_completed_samples_per_sec=99.5 * 0.91)),
    Case("TEST01", "11 % faster", of_test01(result_completed_samples_per_sec=99.5 * 1.11), False),
    Case("TEST01", "no figure", of_test01(result_completed_samples_per_sec=math.nan), False),
    Case("TEST01", "invalid", of_test01(result_validity="INVALID"), False),
    Case("TEST01", "other latency limit", of_test01(effective_target_latency_ns=60 * MS), False),
    Case("TEST01", "other scenario", of_test01(effective_scenario="Offline", result_samples_per_second=99.5), False),
    Case("TEST01", "errors in the test", altered(of_test01(), errors_in("audit")), False),
    Case("TEST01", "errors in the reference", altered(of_test01(), errors_in("reference")), False),
    Case("TEST01", "damaged log", altered(of_test01(), damaged), False),
    Case("TEST01", "first invalid, then valid", altered(of_test01(), twice("result_validity", "INVALID")), False),
    Case("TEST01", "no detail log", altered(of_test01(), lacking("reference", DETAIL)), False),
    Case("TEST01", "other second byte", of_test01([response(5, b"\0\1\xa0\x40")]), clause=MATCH),
    Case("TEST01", "minus nought as float32", of_test01([response(0, b"\0\0\0\x80")]), clause=MATCH,
         options=("--dtype", "float32")),
    Case("TEST01", "an unknown sample", of_test01([*ENTRIES[2:4], response(99, b"1234")]), clause=MATCH),
    Case("TEST01", "first valid, then invalid",
         altered(of_test01(result_validity="INVALID"), twice("result_validity", "VALID")), clause=RULES),
    Case("TEST01", "audit.config not read", altered(of_test01(), unread), clause=CONFIG),
    Case("TEST01", "nothing was to be sampled", of_test01(effective_accuracy_log_sampling_target=0), clause=CONFIG),
    Case("TEST01", "other TTFT limit", of_test01(requested_server_ttft_latency=MS), clause=RULES),
]  # fmt: skip

SLOW, FAST = 12.0 * MS, 150_000.0
TEST04 = [
    Case("TEST04", "equal", of_test04()),
    *(Case("TEST04", f"equal {scenario}", of_test04(scenario=scenario)) for scenario in trials.SCORE_LINES),
    Case("TEST04", "half as fast", of_test04(100, 50)),
    Case("TEST04", "9 % faster", of_test04(100, 109)),
    Case("TEST04", "11 % faster", of_test04(100, 111), False),
    Case("TEST04", "11 % faster Offline", of_test04(100, 111, "Offline"), False),
    Case("TEST04", "9 % faster SingleStream", of_test04(SLOW, SLOW / 1.09, "SingleStream")),
    Case("TEST04", "21 % faster SingleStream", of_test04(SLOW, SLOW / 1.21, "SingleStream"), False),
    Case("TEST04", "19 % faster, short", of_test04(FAST, FAST / 1.19, "SingleStream")),
    Case("TEST04", "19 % faster, very short", of_test04(4000, 4000 / 1.19, "SingleStream"), False),
    Case("TEST04", "9 % faster, very short", of_test04(4000, 4000 / 1.09, "SingleStream")),
    Case("TEST04", "21 % faster MultiStream", of_test04(SLOW, SLOW / 1.21, "MultiStream"), False),
    Case("TEST04", "invalid", of_test04(result_validity="INVALID"), False),
    Case("TEST04", "other scenario", of_test04(effective_scenario="Offline", result_samples_per_second=99.5), False),
    Case("TEST04", "no summary of the test", altered(of_test04(), lacking("audit", SUMMARY)), False),
    Case("TEST04", "no summary of the reference", altered(of_test04(), lacking("reference", SUMMARY)), False),
    Case("TEST04", "summary invalid", altered(of_test04(), resummed("audit", Result_is="INVALID")), False),
    Case("TEST04", "summary faster", altered(of_test04(), resummed("audit", score="111")), False),
    Case("TEST04", "no figure", altered(of_test04(), resummed("audit", score="nan")), False),
    Case("TEST04", "15 % faster SingleStream", of_test04(SLOW, SLOW / 1.15, "SingleStream"),
         clause="compliance/TEST04/README.md, Pass Criteria: at most 10 % faster"),
    Case("TEST04", "15 % faster MultiStream", of_test04(SLOW, SLOW / 1.15, "MultiStream"),
         clause="compliance/TEST04/README.md, Pass Criteria: at most 10 % faster"),
    Case("TEST04", "other latency limit", of_test04(effective_target_latency_ns=60 * MS), clause=RULES),
    Case("TEST04", "errors", altered(of_test04(), errors_in("audit")), clause=RULES),
    Case("TEST04", "samples mixed after all", of_test04(effective_performance_issue_same=False), clause=CONFIG),
    Case("TEST04", "audit.config not read", altered(of_test04(), unread), clause=CONFIG),
    Case("TEST04", "detail log invalid, summary valid",
         altered(of_test04(result_validity="INVALID"), resummed("audit", Result_is="VALID")), clause=RULES),
    Case("TEST04", "summary slower than the detail log", altered(of_test04(100, 150), resummed("audit", score="100")),
         clause=RULES),
]  # fmt: skip

BARE = {key: value for key, value in spoken(5, 6, 2).items() if key != "token_data"}
UNCOUNTED = {key: value for key, value in spoken(5, 6, 2).items() if key != "token_count"}
FIVE = b"\5\0\0\0"
TYPES = {"int16": "<i2", "int64": "<i8", "float32": "<f4"}
TEST06 = [
    *(Case("TEST06", f"good {scenario}", of_test06(spoken(5, 6, 2), spoken(5, 6), spoken(2), scenario=scenario))
      for scenario in trials.SCORE_LINES),
    *(Case("TEST06", f"good {name}", of_test06(spoken(5, 6, 2, dtype=form), dtype=name))
      for name, form in TYPES.items()),
    *(Case("TEST06", f"two ends {name}", of_test06(spoken(5, 2, 2, dtype=form), dtype=name), False)
      for name, form in TYPES.items()),
    *(Case("TEST06", f"{name} read as int32", of_test06(spoken(5, 6, 2, dtype=form)), False)
      for name, form in TYPES.items() if name != "float32"),
    Case("TEST06", "two ends", of_test06(spoken(5, 6, 2), spoken(5, 2, 2)), False),
    Case("TEST06", "ends in the middle", of_test06(spoken(2, 2, 5), spoken(5, 2, 2, 6, 2))),
    Case("TEST06", "other first token", of_test06(spoken(5, 6, first=6)), False),
    Case("TEST06", "other first token Offline", of_test06(spoken(5, 6, first=6), scenario="Offline")),
    Case("TEST06", "no first token Offline", of_test06(BARE, scenario="Offline")),
    Case("TEST06", "no first token", of_test06(BARE), False),
    Case("TEST06", "other count", of_test06(spoken(5, 6, count=3)), False),
    Case("TEST06", "no count", of_test06(UNCOUNTED), False),
    Case("TEST06", "odd bytes", of_test06(response(0, b"123", token_data=b"123", token_count=1)), False),
    Case("TEST06", "no log", altered(of_test06(spoken(5)), lacking("audit", LOG)), False),
    Case("TEST06", "no JSON", altered(of_test06(spoken(5)), rewritten("audit", "[{")), False),
    Case("TEST06", "nothing logged", of_test06(), clause=TOKENS),
    Case("TEST06", "nothing but two ends", of_test06(spoken(2, 2)), clause=TOKENS),
    Case("TEST06", "empty first token", of_test06(response(0, FIVE, token_data=b"", token_count=1)), clause=TOKENS),
    Case("TEST06", "more first tokens than tokens", of_test06(response(0, FIVE, token_data=FIVE * 2, token_count=1)),
         clause=TOKENS),
    Case("TEST06", "two ends of another number", of_test06(spoken(5, 7, 7), eos=7), options=("-e", "7"),
         clause=TOKENS + "; the script compares numbers with the text that -e gives, which never are equal"),
    Case("TEST06", "audit.config not read", altered(of_test06(spoken(5)), unread), clause=CONFIG),
]  # fmt: skip

TEST07 = [
    Case("TEST07", "reached", of_test07([59, 61, 63])),
    Case("TEST07", "just reached", of_test07([60, 60, 60])),
    Case("TEST07", "missed", of_test07([60, 60, 59.9]), False),
    Case("TEST07", "no response", of_test07([]), False),
    Case("TEST07", "no log", altered(of_test07([61, 61, 61]), lacking("audit", LOG)), False),
    Case("TEST07", "truncated log", altered(of_test07([61, 61, 61]), rewritten("audit", "[\n...\n]")), False),
    Case("TEST07", "a part of the set", of_test07([61, 61]), clause=ALL),
    Case("TEST07", "audit.config not read", altered(of_test07([61, 61, 61]), unread), clause=CONFIG),
]

NEAR, FAR = (0.9005, *CHANCES[1][1:]), (0.91, *CHANCES[1][1:])
EQUAL = [recommended(3, CHANCES[3]), recommended(1, CHANCES[1])]
ONE = "compliance/TEST08/README.md, Pass Criteria: NE values of all samples within tolerance"
TEST08 = [
    Case("TEST08", "equal", of_test08(*EQUAL)),
    Case("TEST08", "near", of_test08(recommended(1, NEAR))),
    Case("TEST08", "far", of_test08(*EQUAL, recommended(1, FAR)), False),
    Case("TEST08", "far within a wide tolerance", of_test08(recommended(1, FAR), tolerance=0.05)),
    Case("TEST08", "unknown request", of_test08(*EQUAL, recommended(9, CHANCES[1])), False),
    Case("TEST08", "nothing sampled", of_test08(), False),
    Case("TEST08", "nothing to compare with", of_test08(*EQUAL, whole=[]), False),
    Case("TEST08", "a request answered twice", of_test08(*EQUAL, whole=[recommended(1, FAR, LABELS), *WHOLE])),
    Case("TEST08", "odd bytes", of_test08(response(0, b"12345")), False),
    Case("TEST08", "labels cut", of_test08(*EQUAL, whole=[*WHOLE, recommended(4, (0.5, 0.5), (1.0,))]), False),
    Case("TEST08", "too few predictions", of_test08(recommended(1, CHANCES[1][:3])), False),
    Case("TEST08", "no log", altered(of_test08(*EQUAL), lacking("audit", LOG)), False),
    Case("TEST08", "no number", of_test08(recommended(1, (math.nan, *CHANCES[1][1:]))), clause=ONE),
    Case("TEST08", "one prediction for all", of_test08(recommended(2, (0.5,))), clause=ONE),
    Case("TEST08", "audit.config not read", altered(of_test08(*EQUAL), unread), clause=CONFIG),
]

LINES = '{"seq_id":0,"qsl_idx":0,"data":"0700000007000000"}\n{"seq_id":1,"qsl_idx":1,"data":"07000000"}\n'
TEST09 = [
    Case("TEST09", "inside", of_test09(2, 4, 6)),
    Case("TEST09", "at the least", of_test09(2, 4, 6, least=4)),
    Case("TEST09", "at the most", of_test09(2, 4, 6, most=4)),
    Case("TEST09", "too short", of_test09(2, 3, 4), False),
    Case("TEST09", "too long", of_test09(5, 5, 5), False),
    Case("TEST09", "an empty answer", of_test09(0, 4, 4), False),
    Case("TEST09", "no response", of_test09(), False),
    Case("TEST09", "no log", altered(of_test09(4, 4, 4), lacking("audit", LOG)), False),
    Case("TEST09", "no JSON", altered(of_test09(4, 4, 4), rewritten("audit", "[{")), False),
    Case("TEST09", "a part of the set", of_test09(4, 4), clause=ALL),
    Case("TEST09", "one object a line", altered(of_test09(2, 1, least=1, most=2, wanted=2), rewritten("audit", LINES)),
         clause="LoadGen writes one array: a log of another form was altered"),
    Case("TEST09", "audit.config not read", altered(of_test09(2, 4, 6), unread), clause=CONFIG),
]  # fmt: skip
CASES = [*TEST01, *TEST04, *TEST06, *TEST07, *TEST08, *TEST09]

"""What the official checker does about each fault, so that its verdict can stand beside that of the rules.

Read from and tried on submission_checker at b66003e1, which checks v5.0 to v6.1 alike; docs/checker-differences.md is
written by running it. A fault inside a check of its own makes it reject, outside of one its whole run ends.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from audit.finding import Finding, errors

ACCEPTS, REJECTS, CRASHES = "accepts", "rejects", "crashes"
ROUNDS = ("v5.0", "v5.1", "v6.0", "v6.1")


@dataclass(frozen=True)
class Row:
    """One kind of fault and what the checker does; an empty circumstance is any. Texts are regular expressions.

    `part` is performance, accuracy or test by the finding's path; `why` is the checker's own reason.
    """

    check: str
    word: str
    why: str
    key: str = ""
    found: str = ""
    file: str = ""
    part: str = ""
    division: str = ""

    def fits(self, finding: Finding) -> bool:
        """Whether it is about this finding."""
        place = Place.of(finding.file)
        return (
            self.check == finding.check
            and self.part in ("", place.part)
            and self.division in ("", place.division)
            and all(
                re.search(pattern, text)
                for pattern, text in ((self.key, finding.key), (self.found, finding.found), (self.file, finding.file))
            )
        )


class Place(NamedTuple):
    """What a path in a tree says: the division and the part of a result."""

    division: str
    part: str

    @classmethod
    def of(cls, file: str) -> Place:
        """The place of one file; empty where the path does not say."""
        folders = file.split("/")
        if any(folder.startswith("TEST") for folder in folders):
            part = "test"
        else:
            part = next((name for name in ("accuracy", "performance") if name in folders), "")
        return cls(folders[0] if folders[0] in ("closed", "open", "network") else "", part)


class Verdicts(NamedTuple):
    """Both verdicts on the same findings: "pass" or "fail"; "would accept", "would reject" or "would crash"."""

    rules: str
    official: str


def judged(findings: Iterable[Finding], round_: str = ROUNDS[-1]) -> list[Finding]:
    """The findings with what the round's official checker does about each, where that is known."""
    if round_ not in ROUNDS:
        return list(findings)
    return [each if each.official else replace(each, official=word(each)) for each in findings]


def word(finding: Finding) -> str:
    """What the official checker does about one fault; empty where it was never asked."""
    row = row_of(finding)
    return row.word if row else ""


def row_of(finding: Finding) -> Row | None:
    """The row of the table that a finding falls under."""
    return next((row for row in TABLE if row.fits(finding)), None)


def verdicts(findings: Sequence[Finding]) -> Verdicts:
    """The verdict of the rules and that of the official checker on a tree with these findings."""
    words = {finding.official for finding in findings}
    official = "would crash" if CRASHES in words else "would reject" if REJECTS in words else "would accept"
    return Verdicts("fail" if errors(findings) else "pass", official)


def _unread(checks: str, why: str) -> tuple[Row, ...]:
    """Faults that the checker does not look for."""
    return tuple(Row(check, ACCEPTS, why) for check in checks.split())


NO_TESTS = "compliance tests are not looked at in the open division"
_OPEN_TEST = {"part": "test", "division": "open"}
SHORT_TESTS = "the logs of TEST06 to TEST09 are not read"
_SHORT = r"/TEST0[6-9]/"

RUNS: tuple[Row, ...] = (
    Row("seeds", ACCEPTS, "seeds are compared in performance logs alone", part="accuracy"),
    Row("seeds", REJECTS, "seeds_check compares the effective seeds"),
    Row("validity", ACCEPTS, "result_validity is read, but what was read is not used"),
    Row("early-stopping", ACCEPTS, "Offline is not among the scenarios with early stopping", file="(?i)/offline/"),
    Row("early-stopping", REJECTS, "latency_check reads early_stopping_met"),
    Row("loadgen-errors", REJECTS, "loadgen_errors_check of the accuracy log", part="accuracy"),
    Row("loadgen-errors", ACCEPTS, "errors in performance logs count only with --submission-exceptions"),
    Row("scenario", ACCEPTS, "the scenario of an accuracy log is not compared", part="accuracy"),
    Row("scenario", REJECTS, "inferred_check knows SingleStream and MultiStream as sources, in edge systems"),
    Row("duration-setting", REJECTS, "min_duration_check reads the setting", key="min_duration"),
    Row("duration-setting", ACCEPTS, "max_duration and max_query_count are not read"),
    Row("samples-per-query", REJECTS, "closed Offline has a minimum", division="closed", file="(?i)/offline/"),
    Row("samples-per-query", ACCEPTS, "read in closed Offline alone"),
    Row("performance-sample-count", REJECTS, "performance_sample_count_check"),
    Row("accuracy-sample-count", REJECTS, "dataset_check"),
    Row(
        "latency-setting", ACCEPTS, "an Interactive log says Server and is held to Server's limit", file="/Interactive/"
    ),
    Row("latency-setting", ACCEPTS, "dlrm-v3 is held to 60 s", key="target_latency_ns", file="/dlrm-v3/"),
    Row("latency-setting", REJECTS, "latency_check compares the limit that LoadGen judged by", key="target_latency_ns"),
    Row("latency-setting", ACCEPTS, "limits of token latencies that LoadGen judged by are not read"),
    Row("latency", ACCEPTS, "an Interactive log says Server and is held to Server's limits", file="/Interactive/"),
    Row("latency", REJECTS, "llm_check compares TTFT and TPOT", key="first_token|per_output_token"),
    Row("latency", ACCEPTS, "the setting is compared, not the measured latency", key=""),
    Row("token-latencies", ACCEPTS, "whisper is not among the token benchmarks", file="/whisper/"),
    Row("token-latencies", REJECTS, "llm_check wants requested_use_token_latencies"),
    Row("equal-issue", ACCEPTS, "equal_issue_check asks for the wrong value of the setting"),
    Row("rates", REJECTS, "a result of 0 counts as none", found=r"^0(\.0)?$", part="performance"),
    *_unread("mode audit-config audit-settings", "test mode and audit.config are not read"),
    *_unread("duration", "the setting is read, not how long the run lasted"),
    *_unread("query-count percentile locked-setting", "not read in scenarios with early stopping"),
    *_unread("loadgen-version loadgen-sources loadgen-modified", "which LoadGen wrote a log is not read"),
    *_unread(
        "consistency percentiles rates tokens times early-stopping-figures verdict repeated requested",
        "figures are not compared",
    ),
    *_unread("absent", "these lines are not read"),
    *_unread("responses empty-responses", "the accuracy log is not opened"),
    *_unread(
        "sample-count sample-times percentile-recomputed early-stopping-recomputed digest", "no record of samples"
    ),
    *_unread("summary", "mlperf_log_summary.txt is never opened"),
    Row("readable", REJECTS, "settings that it compares are not there", key="^settings$"),
    Row("readable", ACCEPTS, "it makes a number of a text", key="^result_"),
    Row("readable", ACCEPTS, "Python's reader takes NaN, Infinity and a key twice", found="not strict JSON"),
    Row("readable", ACCEPTS, "mlperf_log_summary.txt is never opened", file=r"mlperf_log_summary\.txt$"),
    Row("readable", CRASHES, "a line that is no JSON or no UTF-8 ends the whole run", file=r"mlperf_log_detail\.txt$"),
    Row("readable", ACCEPTS, "the accuracy log is not opened", file=r"mlperf_log_accuracy\.json$"),
)
POWER: tuple[Row, ...] = (
    Row("power-simulated", REJECTS, "no such analyzer is known to it", file=r"server\.json$"),
    Row("power-simulated", ACCEPTS, "it does not know the mark"),
    Row("power-log", ACCEPTS, "only the ranging phase is looked for", key="^testing$"),
    Row("power-replies", ACCEPTS, "a command that was never sent is not missed", key="^(Go|Stop)", found="^never sent"),
    Row("power-samples", ACCEPTS, "samples are averaged, not counted"),
    Row("power-ranging", ACCEPTS, "two means of nothing are equal", found="^no sample"),
    *(
        Row(f"power-{item}", REJECTS, "the power checker's item on it")
        for item in (
            "record",
            "sources",
            "replies",
            "uuid",
            "name",
            "phases",
            "ranging",
            "messages",
            "digest",
            "log",
            "device",
            "debug",
        )
    ),
)
TOGETHER: tuple[Row, ...] = (
    *_unread("same-loadgen same-system same-data test-settings overlap", "runs are not compared with each other"),
    *_unread("user-conf tokens-per-sample system-name system-collected", "texts are not compared with logs"),
    *_unread("duplicate", "results are not compared with each other"),
    Row(
        "power-window", REJECTS, "get_power_metric_check finds no sample in the window", found="^(0 samples|no samples)"
    ),
    Row("power-window", ACCEPTS, "one sample inside the window is enough"),
    Row("power", ACCEPTS, "only the old checker asks for it", key="^(analyzer_table|power_settings)$"),
    Row("power", REJECTS, "required_files_check and the power checker"),
    *POWER,
    Row("inferred", REJECTS, "inferred_check: edge systems only", key="system_type"),
    Row("network", ACCEPTS, "the name is read in performance logs alone", part="accuracy"),
    Row("network", REJECTS, "network_check"),
)
TEXTS: tuple[Row, ...] = (
    Row("accuracy", ACCEPTS, "accuracy is not judged in the open division", division="open"),
    Row("accuracy", ACCEPTS, "a higher normalised entropy counts as better", key="DLRM_NE", found=r"^\d"),
    Row("accuracy", ACCEPTS, "rgat's percent is compared with a fraction", key="^acc$", found=r"^\d", file="/rgat/"),
    Row("accuracy", REJECTS, "accuracy_result_check"),
    *_unread("accuracy-text", "the first figure of a line is read, counts and other figures are not"),
    Row("verdict-text", ACCEPTS, NO_TESTS, division="open"),
    *_unread("verdict-text", "the line with the verdict is looked for, counts are not read"),
    Row("truncation", ACCEPTS, "files of compliance tests are not measured", part="test"),
    Row("truncation", REJECTS, "accuracy_json_check measures the log", key="size"),
    Row("truncation", ACCEPTS, "the hash line is not judged in the open division", division="open"),
    Row("truncation", REJECTS, "a hash= line must be there", found="^no hash line"),
    Row("truncation", ACCEPTS, "what the hash= line says is not compared with anything"),
    Row("backup", ACCEPTS, "it never sees the whole logs"),
    Row("compliance", ACCEPTS, NO_TESTS, division="open"),
    Row("compliance", ACCEPTS, SHORT_TESTS, key="^log$"),
    Row("compliance", ACCEPTS, "figures in verify_performance.txt are not compared", key="score"),
    Row("compliance", REJECTS, "ComplianceCheck"),
    Row("measurements", ACCEPTS, "any text will do", key="^(retraining|starting_w|weight_tr)", found="^'[^']"),
    Row("measurements", ACCEPTS, "of a key that stands twice the last counts", found="^stated "),
    Row("measurements", CRASHES, "measurements.json is read outside of any check", found="^unreadable"),
    Row("measurements", REJECTS, "MeasurementsCheck"),
)
TREE: tuple[Row, ...] = (
    Row("suite", CRASHES, "a system type without this benchmark is not foreseen", key="system_type"),
    Row("suite", REJECTS, "scenarios_check fails every scenario of the benchmark"),
    Row("system", ACCEPTS, "of a key that stands twice the last counts", found="^stated "),
    Row("system", CRASHES, "the description is read outside of any check", key="^file$"),
    Row("system", CRASHES, "a type of system that it does not know", key="^system_type$", division="closed"),
    Row(
        "system", CRASHES, "counts are converted while the table is written",
        key="^(number_of_nodes|accelerators_per_node)$", found=r"^'(?!\s*[-+]?\d+\s*'$)[^']",
    ),
    Row(
        "system", ACCEPTS, "whether a count is possible is not asked",
        key="^(number_of_nodes|accelerators_per_node|host_processors_per_node|host_processor_core_count)$",
        found="^('[^']|-?[1-9])",
    ),
    Row("system", ACCEPTS, "the suite is not asked", division="network", key="^system_type$", found="^'(edge|data)"),
    Row("system", ACCEPTS, "any value will do", key="^(network_|nic_|number_nic_|number_conn|net_soft)", found="^'"),
    Row("system", ACCEPTS, "descriptions are not compared with each other", key="^system_name$", found=" in .* and "),
    Row("system", REJECTS, "SystemCheck"),
    Row("structure", ACCEPTS, "an empty tree has no result that could fail", key="^results$"),
    Row("structure", REJECTS, "directory_exist_check wants src/", key="^src$"),
    Row("structure", REJECTS, "extra_files_check", key="^(images|videos)$"),
    Row("structure", ACCEPTS, "left to the old checker", key=r"^(calibration\.md|system)$"),
    Row("structure", REJECTS, "no scenario has a name with blanks", key="^scenario$", found=r"^\s|\s$"),
    Row("structure", CRASHES, "every folder counts as a scenario, and its logs are missing", key="^scenario$"),
    Row("structure", CRASHES, "every folder counts as a benchmark", key="^benchmark$", division="closed"),
    Row("structure", REJECTS, "a mapped name is not looked up again", key="^model_mapping$"),
    Row("structure", REJECTS, "an unknown model has no rules to pass", key="^benchmark$"),
    Row("structure", ACCEPTS, NO_TESTS, **_OPEN_TEST),
    Row("structure", ACCEPTS, "the summary is never opened", file="summary.txt$", part="performance"),
    Row("structure", ACCEPTS, "the summary is never opened", file="summary.txt$", part="accuracy"),
    Row("structure", REJECTS, "an exact list of files", part="test", file=r"/performance/run_1/"),
    Row("structure", ACCEPTS, "the accuracy folder of a test counts only where its bytes differ", part="test"),
    Row("structure", CRASHES, "logs are read outside of any check", file=r"detail\.txt$", found="^missing"),
    Row("structure", REJECTS, "an empty log holds no setting", file=r"detail\.txt$", found="^empty"),
    Row("structure", ACCEPTS, "a file of blanks is a file", found="^nothing but blanks"),
    Row("structure", REJECTS, "required_files_check and accuracy_result_check", key="^file$"),
    Row("stray", REJECTS, "an exact list of files", part="test", file=r"/performance/run_1/", division="closed"),
    *_unread("stray", "what else lies there is left to the old checker"),
    Row("files", REJECTS, "an exact list of files", part="test", file=r"/performance/run_1/", division="closed"),
    Row("files", ACCEPTS, "names, links and sizes are left to repository_checks.sh"),
)  # fmt: skip
TABLE: tuple[Row, ...] = (
    *(
        Row(name, ACCEPTS, NO_TESTS, **_OPEN_TEST)
        for name in dict.fromkeys(row.check for row in (*RUNS, *TOGETHER) if row.check != "readable")
    ),
    *(
        Row(name, ACCEPTS, SHORT_TESTS, file=_SHORT)
        for name in dict.fromkeys(row.check for row in RUNS if row.check != "readable")
    ),
    *RUNS,
    *TOGETHER,
    *TEXTS,
    *TREE,
)

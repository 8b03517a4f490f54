"""LoadGen's `user.conf`: lines of `model.Scenario.key = value`, looked up from most to least specific."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from loadgen_harness.errors import BadInput, UnknownName
from loadgen_harness.types import Scenario

KEYS = (
    "accuracy_sample_count_override",
    "coalesce_queries",
    "max_async_queries",
    "max_duration",
    "max_query_count",
    "min_duration",
    "min_query_count",
    "num_issue_query_threads",
    "performance_issue_same",
    "performance_issue_same_index",
    "performance_issue_unique",
    "performance_sample_count_override",
    "sample_concatenate_permutation",
    "samples_per_query",
    "target_latency",
    "target_latency_percentile",
    "target_qps",
    "tpot_latency",
    "ttft_latency",
    "use_token_latencies",
)


def read(path: Path) -> dict[str, float]:
    """All lines of a user.conf as `model.Scenario.key` to number; raises BadInput naming the line at fault."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "is not UTF-8 text"
        raise BadInput(f"cannot read {path}: {reason}; give --user-conf a readable text file.") from error
    entries: dict[str, float] = {}
    for number, line in enumerate(lines, start=1):
        text = line.split("#", 1)[0].strip()
        if text:
            key, value = _entry(text, f"{path}, line {number}")
            entries[key] = value
    return entries


def select(entries: Mapping[str, float], model: str, scenario: Scenario) -> dict[str, float]:
    """The values that LoadGen would use for one model and scenario, by key."""
    chosen: dict[str, float] = {}
    for prefix in ("*.*.{}", f"{model}.*.{{}}", f"*.{scenario.loadgen}.{{}}", f"{model}.{scenario.loadgen}.{{}}"):
        chosen.update({key: entries[prefix.format(key)] for key in KEYS if prefix.format(key) in entries})
    return chosen


def write(values: Mapping[str, float], scenario: Scenario) -> str:
    """A user.conf that states `values` for one scenario."""
    return "".join(f"*.{scenario.loadgen}.{key} = {number(value)}\n" for key, value in sorted(values.items()))


def number(value: float) -> str:
    """A number as LoadGen's parser takes it: integers plain, no exponent."""
    return str(int(value)) if float(value).is_integer() else f"{value:.9f}".rstrip("0")


def _entry(text: str, where: str) -> tuple[str, float]:
    key, equals, value = (part.strip() for part in text.partition("="))
    parts = key.split(".")
    if not equals or len(parts) < 3:
        raise BadInput(f"{where}: expected `model.Scenario.key = value`, found {text!r}.")
    name, scenario = parts[-1], parts[-2]
    if name not in KEYS:
        raise BadInput(f"{where}: {UnknownName('user.conf key', name, KEYS)}")
    if scenario != "*" and scenario not in {s.loadgen for s in Scenario}:
        raise BadInput(f"{where}: {UnknownName('scenario', scenario, {s.loadgen for s in Scenario})}")
    try:
        return key, float(int(value, 0)) if value[:2] == "0x" else float(value)
    except ValueError:
        raise BadInput(f"{where}: the value of {key} must be a number, not {value!r}.") from None

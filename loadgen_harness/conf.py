"""LoadGen's `user.conf`: lines of `model.Scenario.key = value`, looked up from most to least specific."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from loadgen_harness.errors import BadInput, UnknownName
from loadgen_harness.types import Scenario

LARGEST = 2.0**63  # what LoadGen's integers hold
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


def check(key: str, value: object, where: str) -> None:
    """Raise BadInput where `value` cannot be the value of `key`; UnknownName for a key that LoadGen does not have."""
    if key not in KEYS:
        raise UnknownName("user.conf key", key, KEYS)
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < LARGEST:
        raise BadInput(f"{where}: the value of {key} must be a number from 0 up, not {value!r}.")
    if key == "target_qps" and not value:
        raise BadInput(f"{where}: target_qps must be more than 0.")


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
        parsed = float(int(value, 0)) if value[:2] == "0x" else float(value)
    except ValueError:
        raise BadInput(f"{where}: the value of {key} must be a number, not {value!r}.") from None
    check(name, parsed, where)
    return key, parsed

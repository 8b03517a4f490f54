"""A run is a folder: `Run(path)` reads what LoadGen and the harness wrote into it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from loadgen_harness.samples import DTYPE, FORMAT_1, upgraded

LARGEST = 1e300  # past that a number in a log is damage, not a result
PREFIX = ":::MLLOG "
POWER_FORMAT = "%m-%d-%Y %H:%M:%S.%f"


@dataclass(frozen=True)
class Result:
    """The official metric of a run."""

    name: str
    value: float
    unit: str
    key: str


@dataclass(frozen=True)
class Response:
    """One entry of LoadGen's accuracy log."""

    seq_id: int
    qsl_idx: int
    data: bytes
    token_data: bytes | None = None
    token_count: int | None = None


@dataclass(frozen=True)
class Record:
    """One line of LoadGen's detail log."""

    key: str
    value: Any
    is_error: bool
    is_warning: bool


class Run:
    """Frozen, lazily read view of one run folder; odd content never raises but shows in `damage`."""

    def __init__(self, path: Path | str) -> None:
        """View the folder at `path`."""
        self.path = Path(path)
        self._damage: list[str] = []

    def file(self, name: str) -> Path:
        """The path of one file of this run."""
        return self.path / name

    @property
    def damage(self) -> tuple[str, ...]:
        """What could not be read so far, one sentence each; reading everything first makes it complete."""
        _ = self.meta, self._records, self.response_entries, self.samples
        return tuple(self._damage)

    @cached_property
    def meta(self) -> Mapping[str, Any]:
        """run.json, empty for folders that this suite did not write."""
        found = self._json("run.json")
        if found is not None and not isinstance(found, dict):
            self._damage.append("run.json: not a JSON object")
        return found if isinstance(found, dict) else {}

    @property
    def spec(self) -> Mapping[str, Any]:
        """The RunSpec behind the run as plain values."""
        spec = self.meta.get("spec")
        return spec if isinstance(spec, dict) else {}

    @cached_property
    def _records(self) -> tuple[Record, ...]:
        path = self.file("mlperf_log_detail.txt")
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            self._damage.append(f"{path.name}: {error.strerror or error}")
            return ()
        return tuple(self._parse(text))

    def _parse(self, text: str) -> Iterator[Record]:
        for number, line in enumerate(text.split("\n"), start=1):
            if not line.startswith(PREFIX):
                continue
            try:
                entry = json.loads(line[len(PREFIX) :])
                notes = entry["metadata"]
                yield Record(str(entry["key"]), entry["value"], bool(notes["is_error"]), bool(notes["is_warning"]))
            except (ValueError, KeyError, TypeError, RecursionError):
                self._damage.append(f"mlperf_log_detail.txt line {number}: not a LoadGen record")

    @cached_property
    def log(self) -> Mapping[str, Any]:
        """The last value of each key of the detail log."""
        return {record.key: record.value for record in self._records}

    @property
    def log_errors(self) -> tuple[str, ...]:
        """What LoadGen recorded as errors."""
        return tuple(f"{record.key}: {record.value}" for record in self._records if record.is_error)

    @property
    def log_warnings(self) -> tuple[str, ...]:
        """What LoadGen recorded as warnings."""
        return tuple(f"{record.key}: {record.value}" for record in self._records if record.is_warning)

    @property
    def scenario(self) -> str:
        """The scenario in LoadGen's words (Server for Interactive), empty where unknown."""
        return str(self.log.get("effective_scenario", "")).replace(" ", "")

    @property
    def mode(self) -> str:
        """The test mode that LoadGen ran, empty where unknown."""
        return str(self.log.get("effective_test_mode", "")).replace(" ", "")

    @property
    def finished(self) -> bool:
        """Whether LoadGen wrote its log to the end."""
        return "power_end" in self.log or "result_validity" in self.log

    @property
    def valid(self) -> bool:
        """LoadGen's verdict: VALID and no error; an accuracy run has no verdict, only errors."""
        verdict = self.log.get("result_validity") == "VALID" or self.mode == "AccuracyOnly"
        return self.finished and verdict and not self.log_errors

    @property
    def invalid_reasons(self) -> tuple[str, ...]:
        """Why the run is not valid, in LoadGen's words, with LoadGen's remedy."""
        if self.valid:
            return ()
        unmet = {
            "result_min_duration_met": "minimum duration not met",
            "result_min_queries_met": "minimum query count not met",
            "result_perf_constraints_met": "latency limit not met",
            "early_stopping_met": "early stopping not met",
        }
        reasons = [text for key, text in unmet.items() if self.log.get(key) is False]
        advice = [str(r.value) for r in self._records if r.key in ("result_invalid_reason", "early_stopping_result")]
        cleaned = [" ".join(text.replace(" * ", " ").split()) for text in advice if text.strip()]
        return tuple(dict.fromkeys([*reasons, *cleaned, *self.log_errors])) or ("LoadGen wrote no result",)

    @property
    def result(self) -> Result | None:
        """The official metric of the scenario (latencies in ms), None without one."""
        if self.mode == "AccuracyOnly":
            return None
        for key, name, unit, scale in _metrics(self.scenario, bool(self.log.get("requested_use_token_latencies"))):
            value = self.log.get(key)
            if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < LARGEST:
                return Result(name, float(value) * scale, unit, key)
        return None

    @cached_property
    def response_entries(self) -> tuple[Response, ...]:
        """Every entry of the accuracy log in its order; empty where nothing was logged."""
        entries = self._json("mlperf_log_accuracy.json")
        if entries is None:
            return ()
        try:
            return tuple(_response(entry) for entry in entries)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            self._damage.append(f"mlperf_log_accuracy.json: not an accuracy log ({error!r})")
            return ()

    @cached_property
    def responses(self) -> Mapping[int, bytes]:
        """Sample index to response bytes; the last response of a sample wins."""
        return {entry.qsl_idx: entry.data for entry in self.response_entries}

    @cached_property
    def samples(self) -> np.ndarray | None:
        """The per-sample record (see samples.DTYPE), None for foreign folders; of a SubmissionRun its timed part.

        Records of run.json's format 1 are upgraded.
        """
        path = self.file("samples.npy")
        if not path.exists():
            return None
        try:
            table: np.ndarray = np.lib.format.open_memmap(path, mode="r")
        except Exception as error:  # numpy's reader of headers raises whatever its tokenizer and mmap do
            self._damage.append(f"samples.npy: {error}")
            return None
        if getattr(table, "dtype", None) not in (DTYPE, FORMAT_1) or table.ndim != 1:
            self._damage.append("samples.npy: not a table of samples")
            return None
        if table.dtype == FORMAT_1:
            table = upgraded(table)
        return table[self._untimed :] if self._untimed else table

    @property
    def _untimed(self) -> int:
        """Samples of the accuracy part, with which a SubmissionRun begins."""
        count = self.log.get("effective_accuracy_sample_count")
        return count if self.mode == "SubmissionRun" and isinstance(count, int) and count > 0 else 0

    @property
    def power_window(self) -> tuple[float, float] | None:
        """power_begin and power_end as UTC epoch seconds; of an accuracy run from its first to its last set."""
        begins = [record.value for record in self._records if record.key == "power_begin"]
        try:
            begin = begins[0 if self.mode == "AccuracyOnly" else -1]
            stamps = (datetime.strptime(str(each), POWER_FORMAT) for each in (begin, self.log["power_end"]))
            first, last = (stamp.replace(tzinfo=UTC).timestamp() for stamp in stamps)
        except (KeyError, IndexError, ValueError):
            return None
        return first, last

    @property
    def duration_s(self) -> float | None:
        """Seconds between power_begin and power_end, the run's timed part."""
        window = self.power_window
        return window[1] - window[0] if window else None

    def _json(self, name: str) -> Any:
        path = self.file(name)
        try:
            text = path.read_text(encoding="utf-8")
            return json.loads(text) if text.strip() else None
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError) as error:
            self._damage.append(f"{name}: {error}")
            return None


def _metrics(scenario: str, tokens: bool) -> list[tuple[str, str, str, float]]:
    """Keys of the official metric, best first: (log key, name, unit, scale)."""
    latency = [("early_stopping_latency_ss", "Latency", "ms", 1e-6)]
    if scenario == "SingleStream":
        exact = ("result_90.00_percentile_latency_ns", "Latency", "ms", 1e-6)
        return [exact] if tokens else [*latency, exact]
    if scenario == "MultiStream":
        exact = ("result_99.00_percentile_per_query_latency_ns", "Latency", "ms", 1e-6)
        return [("early_stopping_latency_ms", "Latency", "ms", 1e-6), exact]
    if scenario == "Server":
        rate = ("result_completed_samples_per_sec", "Queries/s", "queries/s", 1.0)
        return [("result_completed_tokens_per_second", "Tokens/s", "tokens/s", 1.0), rate] if tokens else [rate]
    rate = ("result_samples_per_second", "Samples/s", "samples/s", 1.0)
    return [("result_tokens_per_second", "Tokens/s", "tokens/s", 1.0), rate] if tokens else [rate]


def _response(entry: Mapping[str, Any]) -> Response:
    token_data = entry.get("token_data")
    return Response(
        seq_id=int(entry["seq_id"]),
        qsl_idx=int(entry["qsl_idx"]),
        data=bytes.fromhex(entry["data"]),
        token_data=bytes.fromhex(token_data) if isinstance(token_data, str) else None,
        token_count=None if entry.get("token_count") is None else int(entry["token_count"]),
    )

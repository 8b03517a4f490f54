"""What the log of a run says, whoever wrote it: verdict, metric, errors, times."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from loadgen_harness import official_metric
from loadgen_harness.log_record import Log
from loadgen_harness.official_metric import Result

UNMET = {
    "result_min_duration_met": "minimum duration not met",
    "result_min_queries_met": "minimum query count not met",
    "result_perf_constraints_met": "latency limit not met",
    "early_stopping_met": "early stopping not met",
}
POWER_FORMAT = "%m-%d-%Y %H:%M:%S.%f"


class Logged(ABC):
    """Everything that can be told from a log alone."""

    @property
    @abstractmethod
    def _log(self) -> Log:
        """The log as its reader left it."""

    @property
    def log(self) -> Mapping[str, Any]:
        """The last value of each key of the log, in the names and words of today's LoadGen."""
        return self._log.values

    @property
    def syntax(self) -> str:
        """How the log is written: "mllog", "plain" (before v1.0), "endpoints", or "" where there is none."""
        return self._log.syntax if self.log else ""

    def line(self, key: str) -> int:
        """The line of the detail log with a key's last value, 0 where unknown."""
        return self._log.lines.get(key, 0)

    def time_ms(self, key: str) -> float | None:
        """When a key's last value was logged: milliseconds since LoadGen began; None where unknown."""
        return self._log.times_ms.get(key)

    @property
    def log_errors(self) -> tuple[str, ...]:
        """What LoadGen recorded as errors, the first 1,000."""
        return tuple(self._log.errors)

    @property
    def error_count(self) -> int:
        """How many errors there are in the log."""
        return self._log.error_count

    @property
    def log_warnings(self) -> tuple[str, ...]:
        """What LoadGen recorded as warnings, the first 1,000."""
        return tuple(self._log.warnings)

    @property
    def repeated(self) -> frozenset[str]:
        """Settings and results that the log states more than once: the last counts here, the first elsewhere."""
        return frozenset(self._log.repeated)

    @property
    def loadgen_version(self) -> str:
        """LoadGen's version ("6.0.17"), empty where unknown."""
        return str(self.log.get("loadgen_version", "")).split(" ")[0]

    @property
    def loadgen_sources(self) -> Mapping[str, str]:
        """File name to digest of the sources that LoadGen was built from, as it logged them."""
        sources = self.log.get("loadgen_file_sha1")
        return {str(name): str(digest) for name, digest in sources.items()} if isinstance(sources, dict) else {}

    @property
    def sut_name(self) -> str:
        """The system under test's own name, empty where unknown."""
        return str(self.log.get("sut_name", ""))

    @property
    def qsl_name(self) -> str:
        """The query sample library's own name, empty where unknown."""
        return str(self.log.get("qsl_name", ""))

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
        return tuple(_reasons(self._log)) or ("LoadGen wrote no result",)

    @property
    def result(self) -> Result | None:
        """The official metric of the scenario (latencies in ms), None without one."""
        if self.mode == "AccuracyOnly":
            return None
        return official_metric.result(self.log, self.scenario, self.loadgen_version)

    @property
    def power_window(self) -> tuple[float, float] | None:
        """power_begin and power_end as UTC epoch seconds; of an accuracy run from its first to its last set."""
        begins = [*self._log.kept.get("power_begin", ()), self.log.get("power_begin")]
        return _window(begins[0 if self.mode == "AccuracyOnly" else -1], self.log.get("power_end"))

    @property
    def duration_s(self) -> float | None:
        """Seconds between power_begin and power_end, the run's timed part; of MLPerf Endpoints what it states."""
        window, stated = self.power_window, self.log.get("generated_query_duration")
        if self.syntax == "endpoints":
            return stated / 1e9 if isinstance(stated, int | float) else None
        return window[1] - window[0] if window else None


def _reasons(log: Log) -> dict[str, None]:
    """Why a run is not valid, each reason once."""
    reasons = [text for key, text in UNMET.items() if log.values.get(key) is False]
    advice = [str(text) for key in ("result_invalid_reason", "early_stopping_result") for text in log.kept.get(key, ())]
    cleaned = [" ".join(text.replace(" * ", " ").split()) for text in advice if text.strip()]
    return dict.fromkeys([*reasons, *cleaned, *log.errors])


def _window(begin: Any, end: Any) -> tuple[float, float] | None:
    try:
        stamps = [datetime.strptime(str(each)[:40], POWER_FORMAT).replace(tzinfo=UTC) for each in (begin, end)]
    except ValueError:
        return None
    return stamps[0].timestamp(), stamps[1].timestamp()

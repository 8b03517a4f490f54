"""A run is a folder: `Run(path)` reads what LoadGen and the harness wrote into it, whatever the round."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from loadgen_harness import accuracy_log, detail_log, endpoints, plain_log, summary_log
from loadgen_harness.accuracy_log import Response as Response
from loadgen_harness.detail_log import PREFIX as PREFIX
from loadgen_harness.inside import Absent, Damaged, Folder
from loadgen_harness.log_record import Log, first_line
from loadgen_harness.logged import Logged
from loadgen_harness.official_metric import Result as Result
from loadgen_harness.samples import DTYPE, FORMAT_1, upgraded

SMALL = 8 << 20  # bytes of an accuracy log that is held in memory once read
DETAIL, SUMMARY = "mlperf_log_detail.txt", "mlperf_log_summary.txt"
RESPONSES, SAMPLES = "mlperf_log_accuracy.json", "samples.npy"
OBJECTS = (  # of run.json, where they are there
    "backend", "benchmark", "settings", "system", "versions", "harness", "suite", "digests",
)  # fmt: skip


class Run(Logged):
    """Frozen, lazily read view of one run folder; odd content never raises but shows in `damage`.

    Detail logs of v0.5 to v6.1 and folders of MLPerf Endpoints give the same keys. Only regular files inside `root` are
    opened, links counting where they lead; without a root, inside the folder itself.
    """

    def __init__(self, path: Path | str, root: Path | str | None = None) -> None:
        """View the folder at `path`; nothing outside `root` is read."""
        self.path = Path(path)
        self._folder = Folder(self.path, root)

    def file(self, name: str) -> Path:
        """The path of one file of this run."""
        return self.path / name

    def read(self, name: str, limit: int) -> bytes:
        """A small file as it is; b"" where it is absent, larger than `limit` bytes or not to be read."""
        try:
            return self._folder.read(name, limit)
        except Damaged:
            return b""

    @property
    def damage(self) -> tuple[str, ...]:
        """What could not be read, one sentence each with the file's name in front; reads everything."""
        _ = self.meta, self._log, self.summary, self.samples, self._responses_read
        return tuple(self._folder.damage)

    @cached_property
    def meta(self) -> Mapping[str, Any]:
        """run.json, empty for folders that this suite did not write."""
        found = self._folder.json("run.json")
        if found is not None and not isinstance(found, dict):
            self._folder.note("run.json: not a JSON object")
        content = found if isinstance(found, dict) else {}
        odd = [key for key in OBJECTS if content.get(key) is not None and not isinstance(content[key], dict)]
        for key in odd:
            self._folder.note(f"run.json: {key} is no JSON object")
        return {key: value for key, value in content.items() if key not in odd}

    @property
    def spec(self) -> Mapping[str, Any]:
        """The RunSpec behind the run as plain values."""
        spec = self.meta.get("spec")
        return spec if isinstance(spec, dict) else {}

    @cached_property
    def _log(self) -> Log:
        log = _read_log(self._folder)
        if log.syntax == "plain":
            log.values = {**self.summary, **log.values}
        for sentence in log.damage.named("" if log.syntax == "endpoints" else DETAIL):
            self._folder.note(sentence)
        return log

    @cached_property
    def summary(self) -> Mapping[str, Any]:
        """What LoadGen's summary says, under the keys of the detail log; empty without one."""
        return MappingProxyType(summary_log.read(self._folder.content(SUMMARY)))

    def iter_responses(self) -> Iterator[Response]:
        """The entries of the accuracy log one by one, in constant memory; where it is damaged, those before."""
        try:
            with self._folder.open(RESPONSES) as file:
                yield from accuracy_log.entries(file)
        except Absent:
            return
        except Damaged as error:
            self._folder.note(f"{RESPONSES}: {error}")

    @cached_property
    def response_entries(self) -> tuple[Response, ...]:
        """Every entry of the accuracy log in its order; empty where nothing was logged or the log is damaged."""
        entries = tuple(self.iter_responses())
        return () if any(each.startswith(f"{RESPONSES}: ") for each in self._folder.damage) else entries

    @cached_property
    def _responses_read(self) -> int:
        """Entries of the accuracy log; counting them finds its damage. Those of a small one are kept."""
        if self._folder.size(RESPONSES) <= SMALL:
            return len(self.response_entries)
        return sum(1 for _ in self.iter_responses())

    @cached_property
    def responses(self) -> Mapping[int, bytes]:
        """Sample index to response bytes; the last response of a sample wins."""
        return {entry.qsl_idx: entry.data for entry in self.response_entries}

    @cached_property
    def samples(self) -> np.ndarray | None:
        """The per-sample record (see samples.DTYPE), None for foreign folders; of a SubmissionRun its timed part.

        Records of run.json's format 1 are upgraded.
        """
        try:
            table = _table(self._folder.real(SAMPLES))
        except Absent:
            return None
        except Damaged as error:
            self._folder.note(f"{SAMPLES}: {error}")
            return None
        if table.dtype == FORMAT_1:
            table = upgraded(table)
        return table[self._untimed :] if self._untimed else table

    @property
    def _untimed(self) -> int:
        """Samples of the accuracy part, with which a SubmissionRun begins."""
        count = self.log.get("effective_accuracy_sample_count")
        return count if self.mode == "SubmissionRun" and isinstance(count, int) and count > 0 else 0


def _read_log(folder: Folder) -> Log:
    """The folder's log, whoever wrote it; an empty one where there is none."""
    try:
        with folder.open(DETAIL) as file:
            read = plain_log.read if first_line(file).startswith(plain_log.HEAD) else detail_log.read
            return read(file)
    except (Damaged, OSError) as error:
        if isinstance(error, Absent) and endpoints.found(folder):
            return endpoints.read(folder)
        folder.note(f"{DETAIL}: {error}")
        return Log()


def _table(path: str) -> np.ndarray:
    """A table of samples; raises Damaged for anything else."""
    try:
        table = np.lib.format.open_memmap(path, mode="r")
    except Exception as error:  # numpy's reader of headers raises whatever its tokenizer and mmap do
        raise Damaged(str(error)) from error
    if getattr(table, "dtype", None) not in (DTYPE, FORMAT_1) or table.ndim != 1:
        raise Damaged("not a table of samples")
    return table

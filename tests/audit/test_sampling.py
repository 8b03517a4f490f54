"""Which responses LoadGen logs, from its settings alone: held against logs that LoadGen wrote."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from audit import sampling
from audit.sampling import Sampling
from loadgen_harness.run import Run
from submissions.check import subjects
from submissions.evidence import evidence
from submissions.subject import Subject

ROUNDS = ("published/v0.7", "published/v1.0", "published/v3.0", "published/v4.1", "published/v6.0", "golden-v6.1")
COUNT = re.compile(r"^num_perf_log_entries = (\d+)", re.MULTILINE)
RESULT = "golden-v6.1/closed/Acme/results/toybox_1x_cpu/resnet50"


def results(shared: Path, name: str) -> Iterator[Subject]:
    if not (shared / name).is_dir():
        pytest.skip(f"no {name} in ../shared")
    return iter(subjects(shared / name))


@pytest.mark.parametrize("name", ROUNDS)
def test_published_logs_hold_what_the_settings_choose(shared: Path, name: str) -> None:
    looked = 0
    for each in results(shared, name):
        gathered = evidence(each)
        assert [*sampling.of_test(gathered), *sampling.of_accuracy(gathered)] == []
        run, text = gathered.tests.get("TEST01"), each.place.test("TEST01").path / "verify_accuracy.txt"
        chosen = Sampling.of(run) if run else None
        stated = COUNT.search(text.read_text()) if text.is_file() else None
        if chosen and chosen.issued and stated:
            least, most = chosen.bounds()
            assert least <= int(stated[1]) <= most, text
            looked += 1
    assert looked or name in ROUNDS[:2], "before v3.0 LoadGen does not log how many queries it issued"


@pytest.mark.parametrize(("scenario", "count"), [("SingleStream", 4140), ("MultiStream", 4049), ("Offline", 4192)])
def test_the_count_of_the_golden_runs_is_known_to_the_last_response(shared: Path, scenario: str, count: int) -> None:
    run = Run(shared / RESULT / scenario / "TEST01/performance/run_1")
    if not run.log:
        pytest.skip("no golden tree in ../shared")
    chosen = Sampling.of(run)
    assert chosen is not None and chosen.bounds() == (count, count)


def test_of_very_many_samples_the_count_is_bounded() -> None:
    assert Sampling(share=1e-4, offset=0.25, width=1, issued=40_000_000).bounds() == (3620, 4380)


def test_nothing_is_said_of_a_run_without_a_target(shared: Path) -> None:
    run = Run(shared / RESULT / "Offline/performance/run_1")
    assert Sampling.of(run) is None


def test_both_ends_of_a_truncated_log_are_seen(tmp_path: Path) -> None:
    entry = '{ "seq_id" : %d, "qsl_idx" : %d, "data" : "00" },\n'
    head, tail = (entry % (1, 10)) + '{ "seq_id" : 2, "qs', 'x" : 11, "data" : "00" },\n' + entry % (9, 90) + "]\n"
    (tmp_path / "mlperf_log_accuracy.json").write_text(f"[\n{head}\n\n...\n\n{tail}")
    assert sampling.visible(Run(tmp_path)) == ([(1, 10)], [(9, 90)])

"""Damaged label files and logs of other benchmarks end in a sentence, never in a crash."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from audit import metrics
from loadgen_harness.errors import SuiteError
from loadgen_harness.run import Run
from tests.audit import logs, squad_data
from tests.audit.test_metrics import imagenet, papers
from tests.audit.test_metrics_texts import chat, reasoning

DEEP = b"[" * 20_000


def damages(content: bytes) -> Iterator[bytes]:
    """The same file empty, cut short, of other types, with a byte changed here and there, nested without end."""
    yield from (
        b"",
        b"[]",
        b"{}",
        b"null",
        b"3",
        b'"x"',
        b"[1, 2]",
        b'[{"a": 1}]',
        b'{"images": 3}',
        b"\xff\xfe\x00",
        DEEP,
    )
    yield content[: len(content) // 2]
    random = np.random.default_rng(len(content))
    for _ in range(3):
        changed = bytearray(content)
        for place in random.integers(0, max(len(content), 1), 8).tolist():
            changed[place : place + 1] = random.bytes(1)
        yield bytes(changed)


def pairs(folder: Path) -> tuple[Run, Path]:
    (folder / "day_23").write_text("1\tx\n0\ty\n")
    (folder / "dlrm_trace_of_aggregated_samples.txt").write_text("0, 2, 2\n")
    return logs.write(folder / "run", [(0, np.array([0.1, 0.8], "<f4").tobytes())]), folder


def boxes(folder: Path) -> tuple[Run, Path]:
    path, responses = logs.detections(folder, images=3)
    return logs.write(folder / "run", responses), path


def talk(folder: Path) -> tuple[Run, Path]:
    path, responses = logs.speech(folder, " abcdefghijklmnopqrstuvwxyz'0123456789$%+-")
    return logs.write(folder / "run", responses), path


def graph(folder: Path) -> tuple[Run, Path]:
    return logs.write(folder / "run", [(0, np.array([3], "<i8").tobytes())]), papers(folder / "igbh", header=True)


def judged(folder: Path) -> tuple[Run, Path]:
    (folder / "verdicts.json").write_text('{"0": true}')
    return logs.write(folder / "run", [(0, b"an answer")]), folder


def videos(folder: Path) -> tuple[Run, Path]:
    (folder / "results_1_eval_results.json").write_text(json.dumps({"scene": [0.5, []]}))
    return logs.write(folder / "run", [(0, b"a video")]), folder


def products(folder: Path) -> tuple[Run, Path]:
    logs.lines(folder / "set.jsonl", [{"ground_truth_category": "A > B"}])
    return logs.write(folder / "run", [(0, b"{}")]), folder


def reasons(folder: Path) -> tuple[Run, Path]:
    return reasoning(folder, [{"dataset": "aime", "ground_truth": "4"}], [r"\boxed{4}"]), folder


def features(folder: Path) -> tuple[Run, Path]:
    np.savez(folder / "features.npz", index=np.arange(1))
    np.savez(folder / "val2014.npz", mu=np.zeros(2), sigma=np.eye(2))
    return logs.write(folder / "run", [(0, b"an image")]), folder


def volumes(folder: Path) -> tuple[Run, Path]:
    nibabel = pytest.importorskip("nibabel")
    (folder / "nifti/case_00000").mkdir(parents=True)
    path = folder / "nifti/case_00000/segmentation.nii.gz"
    nibabel.save(nibabel.Nifti1Image(np.ones((2, 3, 4), np.uint8), np.eye(4)), path)
    return logs.write(folder / "run", [(0, bytes(24))]), folder


KINDS: dict[str, Callable[[Path], tuple[Run, Path]]] = {
    "resnet50": lambda folder: imagenet(folder)[:2],
    "rgat": graph,
    "3d-unet-99": volumes,
    "bert-99": lambda folder: (squad_data.make(folder, paragraphs=1)[0], folder),
    "retinanet": boxes,
    "llama2-70b-99": lambda folder: chat(folder, "<i4"),
    "deepseek-r1": reasons,
    "gpt-oss-120b": reasons,
    "whisper": talk,
    "dlrm-v2-99": pairs,
    "stable-diffusion-xl": features,
    "qwen3-vl-235b-a22b": products,
    "wan-2.2-t2v-a14b": videos,
    "e2e-rag-qna": judged,
}


def scored(name: str, run: Run, data: Path) -> None:
    """Score or refuse: anything else fails the test."""
    try:
        metrics.score_log(name, run, data)
    except SuiteError as error:
        assert len(str(error)) > 20


@pytest.mark.parametrize("name", sorted(KINDS))
def test_a_damaged_label_file_is_refused_in_a_sentence(tmp_path: Path, name: str) -> None:
    run, data = KINDS[name](tmp_path)
    folder = data if data.is_dir() else data.parent
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_relative_to(run.path)]
    assert files
    for path in files:
        whole = path.read_bytes()
        for content in damages(whole):
            path.write_bytes(content)
            scored(name, run, data)
        path.unlink()
        scored(name, run, data)
        path.write_bytes(whole)


@pytest.mark.parametrize("name", sorted({*KINDS, "dlrm-v3"}))
def test_a_log_of_another_benchmark_is_refused_or_scored(tmp_path: Path, name: str) -> None:
    run, data = KINDS.get(name, pairs)(tmp_path)
    log = run.file(metrics.LOG)
    shutil.copy(log, tmp_path / "kept.json")
    answers = [b"", b"\0", b"abcd", bytes(28), np.array([-1.5, 2e38], "<f4").tobytes(), "é".encode(), bytes(range(64))]
    for answer in answers:
        for index in (0, -1, 10**20):
            logs.write(run.path, [(index, answer)])
            scored(name, Run(run.path), data)
    for content in damages((tmp_path / "kept.json").read_bytes()):
        log.write_bytes(content)
        scored(name, Run(run.path), data)

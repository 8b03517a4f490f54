"""The three tasks' libraries, answers and scores; whole accuracies where the assets are already in the cache."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks._data import assets
from benchmarks.text_similarity import qsl as texts
from benchmarks.text_similarity.accuracy import score as score_texts
from benchmarks.text_similarity.sut import SUT as TextSUT
from benchmarks.text_similarity.sut import pool
from loadgen_harness import model_files, registry, rounds
from loadgen_harness.backends.null import Null
from loadgen_harness.errors import BadInput
from loadgen_harness.types import Benchmark, Scenario, TestMode, Variant

CORRECT = {"digits": 988}


def benchmark(name: str) -> Benchmark:
    found: Benchmark = registry.load(registry.BENCHMARKS, name)
    return found


def library(name: str, mode: TestMode = TestMode.ACCURACY) -> Any:
    """The task's library; the test skips unless its assets are cached."""
    for asset in benchmark(name).assets:
        try:
            assets.resolve(asset, offline=True)
        except BadInput:
            pytest.skip(f"asset {asset} is not in the cache; `lgh demo` fetches it")
    return registry.part(name, "qsl").QSL(benchmark(name).variant(Scenario.OFFLINE, mode), None)


def answers(name: str, qsl: Any, backend: Any, batch: int) -> dict[int, bytes]:
    """Responses to every sample, as the harness would get them."""
    sut = registry.part(name, "sut").SUT(backend, qsl, None)
    everything = range(qsl.total_count)
    qsl.load(everything)
    found: dict[int, bytes] = {}
    for start in range(0, len(everything), batch):
        indices = everything[start : start + batch]
        found.update(zip(indices, (row.tobytes() for row in sut.answer(indices)), strict=True))
    return found


def onnx(name: str, precision: str) -> Any:
    """The ONNX backend with the task's model on one thread."""
    pytest.importorskip("onnxruntime")
    backend = registry.load(registry.BACKENDS, "onnxruntime")({"threads": "1"})
    chosen = model_files.choose(benchmark(name), backend, precision)
    backend.cast = chosen.cast
    backend.load(model_files.locate(benchmark(name), chosen.source), "cpu", chosen.precision)
    return backend


@pytest.mark.parametrize("name", ["digits", "text_similarity", "resnet50"])
def test_value_agrees_with_its_round(name: str) -> None:
    """What the mini and official rounds demand names metrics and counts that the task has."""
    task = benchmark(name)
    round_ = rounds.load("v6.1" if name == "resnet50" else "mini")
    rules = round_.rules(name)
    assert {target.metric for target in rules.targets} <= {metric.name for metric in task.metrics}
    for scenario, limits in rules.limits.items():
        accuracy = task.variant(scenario, TestMode.ACCURACY, round_=round_)
        speed = task.variant(scenario, TestMode.PERFORMANCE, round_=round_)
        assert accuracy.total_count == limits.accuracy_sample_count
        assert speed.performance_count == limits.performance_sample_count


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_digits_accuracy(precision: str) -> None:
    qsl = library("digits")
    found = answers("digits", qsl, onnx("digits", precision), 50)
    (score,) = registry.part("digits", "accuracy").score(found, qsl)
    assert (score.n, score.value) == (1000, CORRECT["digits"] / 10)
    assert score.low == pytest.approx(97.914, abs=1e-3)
    assert score.high == pytest.approx(99.312, abs=1e-3)


def test_digits_test_split_is_balanced() -> None:
    qsl = library("digits")
    assert np.bincount([qsl.label(index) for index in range(1000)]).tolist() == [100] * 10
    assert qsl.read(0).shape == (1, 28, 28)
    assert 0 <= qsl.read(0).min() < qsl.read(0).max() <= 1


def test_digits_reads_rows(tmp_path: Path) -> None:
    file = tmp_path / "mnist.csv.gz"
    rows = [[row] * 784 + [row] for row in range(3)]
    file.write_bytes(gzip.compress("\n".join(",".join(map(str, row)) for row in rows).encode()))
    images, labels = registry.part("digits", "qsl").read_images(file)
    assert labels.tolist() == [0, 1, 2]
    assert images.shape == (3, 1, 28, 28)
    assert images[2, 0, 5, 5] == np.float32(2) / np.float32(255)


def test_texts_documents_do_not_depend_on_their_batch() -> None:
    qsl = library("text_similarity", TestMode.PERFORMANCE)
    backend = onnx("text_similarity", "int8")
    together = answers("text_similarity", qsl, backend, 8)
    sut = TextSUT(backend, qsl, None)  # type: ignore[arg-type]
    for index in range(0, 50, 7):
        assert sut.answer([index])[0].tobytes() == together[index]
    (score,) = score_texts(together, qsl)
    assert score.value == pytest.approx(0.6569, abs=1e-3)
    assert (score.n, len(together[0])) == (1225, 384 * 4)
    assert score.low < 0.61 < 0.70 < score.high  # documents, not pairs, are drawn


def test_texts_library_counts() -> None:
    qsl = library("text_similarity")
    assert qsl.total_count == len(set(qsl.texts)) == 1391
    assert {name: len(pairs.human) for name, pairs in qsl.pairs.items()} == {"lee": 1225, "simlex": 999, "wordsim": 353}
    lengths = [len(qsl.read(index)) for index in range(50)]
    assert (min(lengths), max(lengths)) == (53, 154)


class Twelve:
    """A library of twelve texts whose human scores are given, for scoring alone."""

    total_count = 12

    def __init__(self, human: np.ndarray) -> None:
        first, second = np.triu_indices(12, 1)
        self.pairs = {"lee": texts.Pairs(first, second, human[first, second])}


def test_texts_score_of_perfect_vectors_is_one() -> None:
    vectors = np.random.default_rng(0).normal(size=(12, 384)).astype("<f4")
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    responses = {index: vector.tobytes() for index, vector in enumerate(vectors)}
    (score,) = score_texts(responses, Twelve(vectors @ vectors.T))  # type: ignore[arg-type]
    assert (score.value, score.low, score.high) == pytest.approx((1, 1, 1), abs=1e-4)


@pytest.mark.parametrize(("change", "said"), [({5: b"short"}, "response 5"), ({}, "lacks 1 of 12 texts")])
def test_texts_score_refuses_damage(change: dict[int, bytes], said: str) -> None:
    responses = {index: bytes(384 * 4) for index in range(12) if index != 5} | change
    with pytest.raises(BadInput, match=said):
        score_texts(responses, Twelve(np.eye(12)))  # type: ignore[arg-type]


def test_texts_readers(tmp_path: Path) -> None:
    (tmp_path / "lee.cor").write_bytes("caf\xe9 one\ntwo\n\n".encode("latin-1"))
    assert texts.read_documents(tmp_path / "lee.cor") == ["café one", "two"]
    (tmp_path / "words").write_text("# a comment\nold\tnew\t1.58\n\n")
    assert texts.read_word_pairs(tmp_path / "words") == [("old", "new", 1.58)]


class Flat(Null):
    """One number per text, as from a model that pools by itself."""

    def predict(self, batch: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        return [batch["input_ids"][:, :1].copy()]


def test_texts_padding_and_pooling() -> None:
    sut = TextSUT(Null({}), None, None)  # type: ignore[arg-type]
    batch = sut.collate([np.array([7, 8, 9]), np.array([5])])
    assert batch["input_ids"].tolist() == [[7, 8, 9], [5, 0, 0]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1], [1, 0, 0]]
    hidden = np.arange(12, dtype=np.float32).reshape(2, 3, 2)
    pooled = pool(hidden, batch["attention_mask"])
    assert pooled.dtype == np.float32
    np.testing.assert_allclose(pooled, [[6 / 117**0.5, 9 / 117**0.5], [6 / 85**0.5, 7 / 85**0.5]], rtol=1e-6)
    assert sut.run_model(batch)[0] is batch["input_ids"]  # the null backend's echo: nothing to pool
    sut.backend = Flat({})
    with pytest.raises(BadInput, match="use onnxruntime"):
        sut.run_model(batch)


def test_resnet50_is_right_by_construction() -> None:
    qsl = library("resnet50")
    responses = answers("resnet50", qsl, Null({}), 1024)
    (score,) = registry.part("resnet50", "accuracy").score(responses, qsl)
    assert (score.metric, score.value, score.n) == ("acc", 76.502, 50_000)
    line = benchmark("resnet50").metrics[0].pattern.format(value=score.value, correct=38_251, n=score.n)
    assert line == "accuracy=76.502%, good=38251, total=50000"
    assert qsl.performance_count == 1024
    assert {qsl.label(index) for index in range(50_000)} == set(range(1000))
    assert benchmark("resnet50").synthetic


def test_resnet50_refuses_real_images(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="leave the data folder out"):
        registry.part("resnet50", "qsl").QSL(Variant("resnet50"), tmp_path)

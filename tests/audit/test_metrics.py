"""The official metrics out of accuracy logs: layouts are recognised, figures right, the rest is refused."""

from __future__ import annotations

import hashlib
import io
import json
import sys
import zipfile
from importlib import invalidate_caches
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from audit import metrics
from audit.accuracy import judge
from loadgen_harness import rounds
from loadgen_harness.errors import BadInput, MissingDependency, UnknownName
from loadgen_harness.run import Run
from loadgen_harness.types import Score
from tests.audit import logs

V61 = rounds.load("v6.1")


def values(scores: list[Score]) -> dict[str, float]:
    """Metric to value; every interval holds its value."""
    for score in scores:
        assert score.low <= score.value <= score.high and score.n > 0 and score.method
    return {score.metric: score.value for score in scores}


def imagenet(folder: Path, dtype: str = "<f4") -> tuple[Run, Path, int]:
    wanted, found = logs.classes(400)
    names = folder / "val_map.txt"
    folder.mkdir(exist_ok=True)
    names.write_text("".join(f"val/{n}.jpeg {label}\n" for n, label in enumerate(wanted)))
    order = np.random.default_rng(0).permutation(400).tolist()
    run = logs.write(folder / "run", ((n, found[n : n + 1].astype(dtype).tobytes()) for n in [*order, order[0]]))
    return run, names, int((wanted == found).sum())


@pytest.mark.parametrize("dtype", ["<f4", "<i4", "<i8"])
def test_classes_of_every_type_the_reference_takes(tmp_path: Path, dtype: str) -> None:
    run, names, right = imagenet(tmp_path, dtype)
    (score,) = metrics.score_log("resnet50", run, names)
    assert (score.metric, score.value, score.n, score.method) == ("acc", 100 * right / 400, 400, "Wilson")


def test_the_golden_logs_give_their_published_figure(shared: Path) -> None:
    full = shared / "golden-v6.1-full-accuracy"
    scores, text = metrics.accuracy_text(full / "Offline", "resnet50", full / "val_map.txt")
    assert text == "accuracy=76.502%, good=38251, total=50000\n"
    assert not list(judge(scores, V61.rules("resnet50")))


def test_the_log_itself_may_be_named(tmp_path: Path) -> None:
    run, names, right = imagenet(tmp_path)
    _, text = metrics.accuracy_text(run.file(metrics.LOG), "resnet", names.parent)
    assert text == f"accuracy={100 * right / 400:.3f}%, good={right}, total=400\n"
    with pytest.raises(BadInput, match="is not called"):
        metrics.accuracy_text(names, "resnet", names)


def papers(folder: Path, header: bool) -> Path:
    """Labels of 500 papers, of which 300 validate."""
    random = np.random.default_rng(4)
    place = folder / "full/processed/paper"
    place.mkdir(parents=True)
    labels = random.integers(0, 2983, 500).astype("<f4")
    if header:
        np.save(place / "node_label_2K.npy", labels)
    else:
        labels.tofile(place / "node_label_2K.npy")
    chosen = random.permutation(500)[:300].astype("<i8")
    with zipfile.ZipFile(folder / "full/processed/val_idx.pt", "w") as archive:
        archive.writestr("val_idx/data.pkl", b"torch LongStorage")
        archive.writestr("val_idx/data/0", chosen.tobytes())
    (folder / "wanted.json").write_text(json.dumps(labels[chosen].astype(int).tolist()))
    return folder


@pytest.mark.parametrize("header", [True, False])
def test_papers_are_scored_as_a_fraction_and_printed_in_percent(tmp_path: Path, header: bool) -> None:
    data = papers(tmp_path / "igbh", header)
    wanted = json.loads((data / "wanted.json").read_text())
    found = [label if place % 4 else (label + 1) % 2983 for place, label in enumerate(wanted)]
    run = logs.write(tmp_path / "run", ((n, np.array([label], "<i8").tobytes()) for n, label in enumerate(found)))
    scores, text = metrics.accuracy_text(run.path, "rgat", data)
    assert values(scores) == {"acc": 0.75} and text == "accuracy=75.000%, good=225, total=300\n"
    assert not list(judge(scores, V61.rules("rgat")))


def test_a_tensor_of_another_type_is_refused(tmp_path: Path) -> None:
    data = papers(tmp_path / "igbh", header=True)
    with zipfile.ZipFile(data / "full/processed/val_idx.pt", "w") as archive:
        archive.writestr("val_idx/data.pkl", b"torch FloatStorage")
        archive.writestr("val_idx/data/0", b"1234")
    with pytest.raises(BadInput, match="not one tensor of int64"):
        metrics.score_log("rgat", logs.write(tmp_path / "run", [(0, b"\1")]), data)


def test_boxes_give_cocos_precision(tmp_path: Path) -> None:
    pytest.importorskip("pycocotools")
    path, responses = logs.detections(tmp_path)
    run = logs.write(tmp_path / "run", [*responses, responses[1]])
    first = values(metrics.score_log("retinanet", run, tmp_path))
    assert values(metrics.score_log("yolo-95", run, path)) == first and 10 < first["mAP"] < 90
    with pytest.raises(BadInput, match="belongs to sample 1"):
        metrics.score_log("retinanet", logs.write(tmp_path / "mixed", [(0, responses[1][1])]), path)


def test_volumes_give_dice(tmp_path: Path) -> None:
    nibabel = pytest.importorskip("nibabel")
    random = np.random.default_rng(8)
    answers = []
    for case in (3, 0, 5):
        wanted = random.integers(0, 3, (6, 5, 4)).astype(np.uint8)
        folder = tmp_path / f"nifti/case_{case:05}"
        folder.mkdir(parents=True)
        nibabel.save(nibabel.Nifti1Image(wanted, np.eye(4)), folder / "segmentation.nii.gz")
        answers.append((case, np.where(random.random(wanted.shape) < 0.9, wanted, 0).astype(np.uint8)))
    order = sorted(range(3), key=lambda place: answers[place][0])
    run = logs.write(tmp_path / "run", ((n, answers[place][1].tobytes()) for n, place in enumerate(order)))
    found = values(metrics.score_log("3d-unet-99", run, tmp_path))
    assert found["DICE"] == pytest.approx((found["kidney"] + found["tumor"]) / 2) and 0.85 < found["DICE"] < 1
    scores, text = metrics.accuracy_text(run.path, "3d-unet-99", tmp_path)
    assert text.startswith(f"Accuracy: mean = {found['DICE']:.5f}, kidney = ") and len(scores) == 3
    with pytest.raises(BadInput, match="unless all are there"):
        metrics.score_log("3d-unet-99", logs.write(tmp_path / "some", [(0, answers[order[0]][1].tobytes())]), tmp_path)


def test_clicks_with_labels_beside_them_or_in_day_23(tmp_path: Path) -> None:
    random = np.random.default_rng(9)
    sizes = [3, 5, 2, 7]
    wanted = [(random.random(size) < 0.4).astype("<f4") for size in sizes]
    found = [np.clip(0.3 + 0.4 * row + random.normal(0, 0.3, len(row)), 0, 1).astype("<f4") for row in wanted]
    pairs = [np.column_stack([f, w]).tobytes() for f, w in zip(found, wanted, strict=True)]
    both = metrics.score_log("dlrm-v2-99", logs.write(tmp_path / "pairs", enumerate(pairs)))
    (tmp_path / "day_23").write_text("".join(f"{int(label)}\t1\tx\n" for row in wanted for label in row) + "1\tmore\n")
    (tmp_path / "dlrm_trace_of_aggregated_samples.txt").write_text("".join(f"0, 0, {size}\n" for size in sizes))
    alone = logs.write(tmp_path / "alone", ((n, found[n].tobytes()) for n in (2, 0, 3, 1)))
    assert values(metrics.score_log("dlrm-v2", alone, tmp_path)) == pytest.approx(values(both))
    with pytest.raises(BadInput, match="leave --data out"):
        metrics.score_log("dlrm-v2", logs.write(tmp_path / "odd", enumerate(pairs)), tmp_path)


def test_streaming_recommendation_needs_its_log_alone(tmp_path: Path) -> None:
    run = logs.write(tmp_path / "run", logs.requests(60))
    scores, text = metrics.accuracy_text(run.path, "dlrm-v3")
    found = values(scores)
    assert 0 < found["DLRM_NE"] < 1 and 0.5 < found["DLRM_AUC"] < 1 and 0.5 < found["DLRM_ACC"] < 1
    assert "metric/lifetime_ne/rating: " in text
    with pytest.raises(BadInput, match="not laid out as dlrm-v3"):
        metrics.score_log("dlrm-v3", logs.write(tmp_path / "bad", [(0, np.array([1, 2, 3], "<f4").tobytes())]))


def test_features_must_be_of_the_images_in_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from audit.metrics import images

    monkeypatch.setattr(images, "PIXELS", 12)  # an image of the real size takes 6 MB of hexadecimal
    random = np.random.default_rng(10)
    answers = [random.bytes(12) for _ in range(40)]
    features = {
        "index": np.arange(40),
        "sha256": np.array([hashlib.sha256(answer).hexdigest() for answer in answers]),
        "inception": random.normal(0, 1, (40, 6)),
        "clip_image": random.normal(1, 1, (40, 4)),
        "clip_text": random.normal(1, 1, (40, 4)),
    }
    np.savez(tmp_path / "features.npz", **features)
    np.savez(tmp_path / "val2014.npz", mu=np.zeros(6), sigma=np.eye(6))
    found = values(metrics.score_log("stable-diffusion-xl", logs.write(tmp_path / "run", enumerate(answers)), tmp_path))
    assert found["FID_SCORE"] > 0 and 0 < found["CLIP_SCORE"] < 100
    answers[7] = random.bytes(12)
    with pytest.raises(BadInput, match="not made of the image of sample 7"):
        metrics.score_log("stable-diffusion-xl", logs.write(tmp_path / "other", enumerate(answers)), tmp_path)


def test_categories_are_compared_from_the_root(tmp_path: Path) -> None:
    logs.lines(tmp_path / "set.jsonl", ({"ground_truth_category": "A > B > C"} for _ in range(4)))
    told = [
        {"category": "A > B > C", "brand": "x", "is_secondhand": True},
        {"category": "A > X", "brand": "x", "is_secondhand": "no"},
        {"category": "A > B > C", "brand": "x"},  # off the schema
    ]
    answers = [json.dumps(each).encode() for each in told] + [b"no JSON"]
    found = values(metrics.score_log("qwen3-vl-235b-a22b", logs.write(tmp_path / "run", enumerate(answers)), tmp_path))
    precision, recall = 4 / 11, 4 / 12
    assert found["F1_HIERARCHICAL"] == pytest.approx(2 * precision * recall / (precision + recall))


def test_judged_benchmarks_read_their_judges_figures(tmp_path: Path) -> None:
    from audit.metrics.judged import DIMENSIONS

    run = logs.write(tmp_path / "run", [(n, b"\0") for n in range(4)])
    vbench = tmp_path / "results_2026_eval_results.json"
    vbench.write_text(json.dumps({name: [0.7, []] for name in DIMENSIONS}))
    assert values(metrics.score_log("wan-2.2-t2v-a14b", run, tmp_path)) == {"vbench_score": pytest.approx(70)}
    vbench.write_text(json.dumps({name: [0.7, []] for name in DIMENSIONS[1:]}))
    with pytest.raises(BadInput, match="no figure for subject_consistency"):
        metrics.score_log("wan", run, tmp_path)
    with pytest.raises(BadInput, match="judged by a language model"):
        metrics.score_log("e2e-rag-qna", run, tmp_path)
    (tmp_path / "verdicts.json").write_text('{"0": true, "1": true, "2": true, "3": false}')
    assert values(metrics.score_log("e2e-rag-qna", run, tmp_path)) == {"E2E_ACCURACY": 75.0}


STAND_IN = """
class EnglishTextNormalizer:
    def __call__(self, text):
        return text.replace("mister", "mr").replace("colour", "color").replace("grey", "gray")
"""


@pytest.fixture
def whisper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real normalizers where openai-whisper is installed, else some of their rules in a package that fails."""
    normal = pytest.importorskip("benchmarks._metrics.speech_text").normalizer
    normal.cache_clear()
    if find_spec("whisper") is None:
        package = tmp_path / "site/whisper"
        (package / "normalizers").mkdir(parents=True)
        (package / "__init__.py").write_text("raise RuntimeError\n")
        (package / "normalizers/__init__.py").write_text(STAND_IN)
        monkeypatch.syspath_prepend(str(tmp_path / "site"))
        invalidate_caches()


@pytest.mark.usefixtures("whisper")
def test_speech_counts_joined_words_as_right(tmp_path: Path) -> None:
    speech = pytest.importorskip("audit.metrics.speech")
    path, wide = logs.speech(tmp_path, speech.ALPHABET)
    _, narrow = logs.speech(tmp_path, speech.ALPHABET, "|i1")
    found = values(metrics.score_log("whisper", logs.write(tmp_path / "run", wide), path))
    assert found == values(metrics.score_log("whisper", logs.write(tmp_path / "narrow", narrow), tmp_path))
    # "less" is lost and "and" is too many: two errors; joined words, spelling and the clip of 31 s are none
    assert found["ACCURACY"] == pytest.approx(100 * (1 - 2 / 54), abs=0.2)


def test_without_whispers_normalizers_speech_is_not_scored(monkeypatch: pytest.MonkeyPatch) -> None:
    speech_text = pytest.importorskip("benchmarks._metrics.speech_text")
    speech_text.normalizer.cache_clear()
    monkeypatch.setattr(speech_text.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingDependency, match="pip install openai-whisper"):
        speech_text.normalizer()


@pytest.mark.parametrize("name", ["pointpainting", "qwen3.6-27b", "e2e-rag-db"])
def test_what_needs_more_than_log_and_labels_is_refused_in_a_sentence(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInput, match=r"\w+ .*[:].*\w+"):
        metrics.score_log(name, Run(tmp_path), tmp_path)


@pytest.mark.parametrize(
    ("name", "package"), [("retinanet", "pycocotools"), ("3d-unet-99", "nibabel"), ("llama2-70b-99", "rouge_score")]
)
def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, package: str) -> None:
    for module in [each for each in sys.modules if each.split(".")[0] == package or each.startswith("audit.metrics.")]:
        monkeypatch.delitem(sys.modules, module)
    for module in ("detection", "rouge"):
        monkeypatch.delitem(sys.modules, f"benchmarks._metrics.{module}", raising=False)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingDependency, match=f"the metric of {name}.*pip install {package.replace('_', '.')}"):
        metrics.score_log(name, Run(tmp_path), tmp_path)


def test_an_unknown_benchmark_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="did you mean 'whisper'"):
        metrics.score_log("wisper", Run(tmp_path), tmp_path)


def test_every_benchmark_of_the_rounds_is_known_or_refused() -> None:
    for name in ("v6.1",):
        own = rounds.load(rounds.OWN).benchmarks
        for benchmark in set(rounds.load(name).benchmarks) - set(own):
            assert metrics.ALIASES.get(benchmark, benchmark) in {*metrics.KNOWN, *metrics.REFUSED}, benchmark


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"[\n" + b"{}" * 100 + b"\n\n...\n\n" + b"\n]", "sealed backup"),
        (b"", "is empty"),
        (b'[\n{"seq_id": 0, "qsl_idx": 0, "data": "00"},\n', "closing bracket"),
        (b"[\n]\n", "holds no responses"),
        (b'[\n{"seq_id": 0, "qsl_idx": 0, "data": "0g"}\n]', "damaged"),
        (b'[\n{"seq_id": 0, "qsl_idx": 9, "data": "00000000"}\n]', "sample 9 of the log has no label"),
        (b'[\n{"seq_id": 0, "qsl_idx": 0, "data": "0000"}\n]', "not one number"),
    ],
)
def test_a_log_that_is_not_whole_is_refused(tmp_path: Path, content: bytes, sentence: str) -> None:
    (tmp_path / "val_map.txt").write_text("a.jpg 1\n")
    (tmp_path / metrics.LOG).write_bytes(content)
    with pytest.raises(BadInput, match=sentence):
        metrics.score_log("resnet50", Run(tmp_path), tmp_path)


def test_a_missing_log_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot be read"):
        metrics.score_log("dlrm-v3", Run(tmp_path))
    with pytest.raises(BadInput, match="needs labels"):
        metrics.score_log("resnet50", logs.write(tmp_path / "run", [(0, bytes(4))]))


def test_columns_of_pandas_are_rows_too() -> None:
    from audit.metrics import labels

    buffer = io.StringIO(json.dumps({"output": {"10": "c", "0": "a", "2": "b"}}))
    assert [row["output"] for row in labels._rows(json.load(buffer))] == ["a", "b", "c"]

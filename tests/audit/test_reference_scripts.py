"""Our figures against those that the reference's own accuracy scripts print, to all their digits, on the same logs."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from audit import metrics
from loadgen_harness.run import Run
from tests.audit import logs, reference, squad_data
from tests.audit.test_metrics import imagenet, papers
from tests.audit.test_metrics_texts import mixture, reasoning

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
VISION = "vision/classification_and_detection/tools"


def ours(benchmark: str, run: Run, data: Path | None = None) -> dict[str, float]:
    return {score.metric: score.value for score in metrics.score_log(benchmark, run, data)}


def agrees(found: float, printed: str, factor: float = 1.0) -> bool:
    """Equal to the printed figure in all its digits."""
    digits = len(printed.partition(".")[2])
    return abs(found * factor - float(printed)) <= 0.500001 * 10.0**-digits


@pytest.mark.parametrize(("dtype", "kind"), [("float32", "<f4"), ("int32", "<i4"), ("int64", "<i8")])
def test_imagenet(tmp_path: Path, dtype: str, kind: str) -> None:
    path = reference.script(f"{VISION}/accuracy-imagenet.py")
    run, names, _ = imagenet(tmp_path / "log", kind)
    log = run.file(logs.LOG)
    printed = reference.run(
        path, ["--mlperf-accuracy-file", log, "--imagenet-val-file", names, "--dtype", dtype], tmp_path
    )
    assert metrics.accuracy_text(run.path, "resnet50", names)[1] == printed


@pytest.mark.parametrize(("name", "folder"), [("accuracy-openimages.py", "openimages"), ("accuracy-coco.py", "coco")])
def test_boxes(tmp_path: Path, name: str, folder: str) -> None:
    path = reference.script(f"{VISION}/{name}", "pycocotools")
    _, responses = logs.detections(tmp_path, images=30)
    run = logs.write(tmp_path / "run", [*responses, responses[2]])
    arguments = ["--mlperf-accuracy-file", run.file(logs.LOG), f"--{folder}-dir", tmp_path]
    printed = reference.run(path, arguments, tmp_path)
    _, text = metrics.accuracy_text(run.path, "retinanet", tmp_path)
    assert text == printed.splitlines()[-1] + "\n"


@pytest.mark.parametrize("transposed", [False, True], ids=["tokens first", "transposed"])
def test_squad(tmp_path: Path, transposed: bool) -> None:
    path = reference.script("language/bert/accuracy-squad.py", "tokenizers", "transformers", "six")
    base = path.parent / "DeepLearningExamples/TensorFlow/LanguageModeling/BERT"
    if not (base / "tokenization.py").is_file():
        pytest.skip("the checkout lacks its submodule DeepLearningExamples")
    run, features = squad_data.make(tmp_path)
    run = squad_data.turned(run, tmp_path / "turned") if transposed else run
    arguments = [
        *(["--output_transposed"] if transposed else []),
        "--vocab_file",
        tmp_path / "vocab.txt",
        "--val_data",
        tmp_path / "dev-v1.1.json",
        "--log_file",
        run.file(logs.LOG),
        "--out_file",
        tmp_path / "predictions.json",
    ]
    printed = reference.run(path, arguments, tmp_path, [base, base / "utils"])
    wanted = json.loads(printed[printed.index('{"exact_match"') :].splitlines()[0])
    found = ours("bert-99", run, tmp_path)
    assert features > 12 and 20 < wanted["f1"] < 95
    assert found["F1"] == pytest.approx(wanted["f1"], abs=1e-9)
    assert found["exact_match"] == pytest.approx(wanted["exact_match"], abs=1e-9)


def test_volumes(tmp_path: Path) -> None:
    path = reference.script("vision/medical_imaging/3d-unet-kits19/accuracy_kits.py", "nibabel", "pandas")
    import pickle

    nibabel = pytest.importorskip("nibabel")
    random = np.random.default_rng(3)
    cases, responses, shapes = [f"case_{n:05}" for n in (0, 3, 5, 9)], [], {}
    for place, case in enumerate(cases):
        shape = tuple(int(n) for n in random.integers(8, 14, 3))
        wanted = random.integers(0, 3, shape).astype(np.uint8)
        folder = tmp_path / "data/nifti" / case
        folder.mkdir(parents=True)
        nibabel.save(nibabel.Nifti1Image(wanted, np.eye(4)), folder / "segmentation.nii.gz")
        found = np.where(random.random(shape) < 0.8, wanted, random.integers(0, 3, shape)).astype(np.uint8)
        responses.append((place, found.tobytes()))
        shapes[case] = {"image_shape": (1, *shape), "reshaped_affine": np.eye(4)}
    (tmp_path / "data/preprocessed_files.pkl").write_bytes(pickle.dumps({"file_list": cases, "cases": shapes}))
    run = logs.write(tmp_path / "run", responses)
    arguments = [
        "--log_file",
        run.file(logs.LOG),
        "--preprocessed_data_dir",
        tmp_path / "data",
        "--postprocessed_data_dir",
        tmp_path / "post",
        "--num_proc",
        "1",
    ]
    printed = reference.run(path, arguments, tmp_path)
    _, text = metrics.accuracy_text(run.path, "3d-unet-99", tmp_path / "data")
    assert text.strip() in printed


@pytest.mark.parametrize(("dtype", "kind"), [("int64", "<i8"), ("int32", "<i4")])
def test_chat(tmp_path: Path, dtype: str, kind: str) -> None:
    path = reference.script("language/llama2-70b/evaluate-accuracy.py", "transformers", "nltk", "pandas", "rouge_score")
    punkt()
    run, wanted = conversation(tmp_path, kind)
    import pandas

    pandas.DataFrame({"output": wanted}).to_pickle(tmp_path / "data.pkl")
    arguments = [
        "--checkpoint-path",
        tmp_path,
        "--mlperf-accuracy-file",
        run.file(logs.LOG),
        "--dataset-file",
        tmp_path / "data.pkl",
        "--dtype",
        dtype,
    ]
    printed = listed(reference.run(path, arguments, tmp_path))
    found = ours("llama2-70b-99.9", run, tmp_path)
    for name, key in (
        ("ROUGE1", "rouge1"),
        ("ROUGE2", "rouge2"),
        ("ROUGEL", "rougeL"),
        ("TOKENS_PER_SAMPLE", "tokens_per_sample"),
    ):
        assert agrees(found[name], printed[key]), (name, found[name], printed[key])


@pytest.mark.parametrize("task", ["llama3.1-8b", "gpt-j"])
def test_summaries(tmp_path: Path, task: str) -> None:
    path = reference.script(f"language/{task}/evaluation.py", "transformers", "nltk", "pandas", "rouge_score", "torch")
    punkt()
    run, wanted = conversation(tmp_path, "<i4")
    rows = [{"input": "", "instruction": "", "tok_input": [1], "output": text} for text in wanted]
    (tmp_path / "cnn_eval.json").write_text(json.dumps(rows))
    arguments = [
        "--mlperf-accuracy-file",
        run.file(logs.LOG),
        "--dataset-file",
        tmp_path / "cnn_eval.json",
        "--dtype",
        "int32",
        "--model-name",
        tmp_path,
    ]
    if task == "gpt-j":
        arguments = arguments[:-2]
    printed = listed(reference.run(path, arguments, tmp_path, tokenizer=tmp_path))
    found = ours("gptj-99" if task == "gpt-j" else task, run, tmp_path)
    keys = {"ROUGE1": "rouge1", "ROUGE2": "rouge2", "ROUGEL": "rougeL", "ROUGELSUM": "rougeLsum", "GEN_LEN": "gen_len"}
    for name, key in keys.items():
        assert agrees(found[name], printed[key]), (name, found[name], printed[key])


def test_mixture(tmp_path: Path) -> None:
    path = reference.script(
        "language/mixtral-8x7b/evaluate-accuracy.py", "transformers", "nltk", "pandas", "rouge_score"
    )
    punkt()
    import pandas

    run, wanted = mixture(tmp_path)
    rows = [json.loads(line) for line in (tmp_path / "mixtral_set.jsonl").read_text().splitlines()]
    rows = rows[: len(wanted)]  # programs are left out: they would be run
    logs.lines(tmp_path / "mixtral_set.jsonl", rows)
    kept = [(entry.qsl_idx, entry.data) for entry in run.response_entries if entry.qsl_idx < len(wanted)]
    run = logs.write(tmp_path / "kept", kept[:-1])
    pandas.DataFrame(rows).to_pickle(tmp_path / "data.pkl")
    arguments = ["--checkpoint-path", tmp_path, "--mlperf-accuracy-file", run.file(logs.LOG)]
    arguments += ["--dataset-file", tmp_path / "data.pkl", "--dtype", "int32"]
    printed = listed(reference.run(path, arguments, tmp_path))
    found = ours("mixtral-8x7b", run, tmp_path)
    keys = {"ROUGE1": "rouge1", "ROUGE2": "rouge2", "ROUGEL": "rougeL", "gsm8k_accuracy": "gsm8k"}
    for name, key in {**keys, "TOKENS_PER_SAMPLE": "tokens_per_sample"}.items():
        assert agrees(found[name], printed[key]), (name, found[name], printed[key])


def test_long_context(tmp_path: Path) -> None:
    path = reference.script(
        "language/llama3.1-405b/evaluate-accuracy.py", "transformers", "nltk", "pandas", "rouge_score"
    )
    punkt()
    import pandas

    needle = "0f0e0d0c-1111-2222-3333-444455556666"
    wanted = [*logs.texts(4), needle, "Paris|City of Light", "London"]
    ways = ["rouge"] * 4 + ["niah_em", "qa_em", "qa_em"]
    told = [*logs.texts(4, seed=8), f"It is {needle[:-1]}0.", "I think so. Answer: the city of light", "Answer: Rome"]
    made = logs.tokenizer(tmp_path)
    rows = [{"gt_output": text, "metric": way} for text, way in zip(wanted, ways, strict=True)]
    logs.lines(tmp_path / "mlperf_llama3.1_405b.jsonl", rows)
    pandas.DataFrame(rows).to_pickle(tmp_path / "data.pkl")
    responses = [(n, np.array(made.encode(text).ids, "<i8").tobytes()) for n, text in enumerate(told)]
    run = logs.write(tmp_path / "run", responses)
    arguments = ["--checkpoint-path", tmp_path, "--mlperf-accuracy-file", run.file(logs.LOG)]
    printed = reference.run(path, [*arguments, "--dataset-file", tmp_path / "data.pkl"], tmp_path)
    line = next(line for line in reversed(printed.splitlines()) if line.startswith("{"))
    theirs = dict(re.findall(r"'(\w+)': '?(?:np\.\w+\()?([\d.]+)", line))
    found = ours("llama3.1-405b", run, tmp_path)
    assert found["ROUGEL"] == pytest.approx(float(theirs["rougeL"]), abs=1e-9)
    assert found["exact_match"] == pytest.approx(float(theirs["exact_match"]), abs=1e-9)
    assert agrees(found["TOKENS_PER_SAMPLE"], theirs["tokens_per_sample"])


FINAL = "<|channel|>analysis<|message|>Answer: A <|channel|>final<|message|>{}<|return|>"


def test_gpt_oss(tmp_path: Path) -> None:
    path = reference.script("language/gpt-oss-120b/eval_mlperf_accuracy.py", "transformers", "pandas", "tqdm")
    import pandas

    keys = [*"ABCDABCDAB", *(str(n) for n in range(16))]
    rows = [
        {"dataset": "gpqa_diamond" if n < 10 else "aime25", "ground_truth": key, "question": ""}
        for n, key in enumerate(keys)
    ]
    told = [FINAL.format(f"**{key}** it is" if n % 3 else "B") for n, key in enumerate(keys[:10])]
    told += [FINAL.format(rf"\boxed{{{key if n % 4 else 1}}}") for n, key in enumerate(keys[10:])]
    run = reasoning(tmp_path, rows, told)
    pandas.DataFrame(rows).to_pickle(tmp_path / "data.pkl")
    arguments = ["--mlperf-log", run.file(logs.LOG), "--reference-data", tmp_path / "data.pkl", "--tokenizer", tmp_path]
    printed = reference.run(path, arguments, tmp_path)
    wanted = re.search(r"'exact_match': ([\d.]+)", printed)
    assert wanted and 40 < float(wanted[1]) < 100
    assert agrees(ours("gpt-oss-120b", run, tmp_path)["exact_match"], wanted[1])


def test_deepseek(tmp_path: Path) -> None:
    path = reference.script("language/deepseek-r1/eval_accuracy.py", "transformers", "pandas", "tqdm")
    import pandas

    sets = ["gpqa", "mmlu_pro", "aime"] * 8
    keys = [("ABCD" * 2)[n % 8] if n % 3 < 2 else str(n) for n in range(24)]
    rows = [{"dataset": kind, "ground_truth": key, "question": ""} for kind, key in zip(sets, keys, strict=True)]
    told = [
        (rf"so \boxed{{{key}}}" if kind == "aime" else f"... Answer: {key}") if n % 5 else "no answer, 12"
        for n, (kind, key) in enumerate(zip(sets, keys, strict=True))
    ]
    run = reasoning(tmp_path, rows, told)
    pandas.DataFrame(rows).to_pickle(tmp_path / "data.pkl")
    arguments = ["--input-file", run.file(logs.LOG), "--dataset-file", tmp_path / "data.pkl"]
    printed = reference.run(path, [*arguments, "--output-file", tmp_path / "out.pkl"], tmp_path, tokenizer=tmp_path)
    theirs = dict(re.findall(r"'([\w-]+)': ([\d.]+)", printed[printed.rindex("{'exact_match'") :]))
    found = ours("deepseek-r1", run, tmp_path)
    assert 50 < found["exact_match"] < 100
    assert found["exact_match"] == pytest.approx(float(theirs["exact_match"]), abs=1e-9)
    assert found["TOKENS_PER_SAMPLE"] == pytest.approx(float(theirs["tokens_per_sample"]), abs=1e-9)


def test_speech(tmp_path: Path) -> None:
    path = reference.script("speech2text/accuracy_eval.py", "whisper", "rapidfuzz", "more_itertools", "regex")
    from audit.metrics.speech import ALPHABET

    manifest, responses = logs.speech(tmp_path, ALPHABET)
    run = logs.write(tmp_path / "run", responses)
    arguments = ["--log_dir", run.path, "--dataset_dir", tmp_path, "--manifest", manifest]
    printed = reference.run(path, arguments, tmp_path)
    wanted = float(re.search(r"accuracy=([\d.]+)%", printed)[1])  # type: ignore[index]
    assert 90 < wanted < 100 and ours("whisper", run, manifest)["ACCURACY"] == pytest.approx(wanted, abs=1e-9)


def test_papers(tmp_path: Path) -> None:
    path = reference.script("graph/R-GAT/tools/accuracy_igbh.py", "torch")
    import torch

    data = papers(tmp_path / "igbh", header=True)
    labels = np.load(data / metrics_paper()).astype(int)
    chosen = np.random.default_rng(4).permutation(500)[:300]
    torch.save(torch.from_numpy(chosen), data / "full/processed/val_idx.pt")
    answers_ = [labels[chosen[n]] if n % 3 else 1 for n in range(300)]
    run = logs.write(tmp_path / "run", ((n, np.array([label], "<i8").tobytes()) for n, label in enumerate(answers_)))
    arguments = [
        "--mlperf-accuracy-file",
        run.file(logs.LOG),
        "--dataset-path",
        data,
        "--no-memmap",
        "--dtype",
        "int64",
        "--output-file",
        tmp_path / "result.txt",
    ]
    reference.run(path, arguments, tmp_path)
    assert metrics.accuracy_text(run.path, "rgat", data)[1] == (tmp_path / "result.txt").read_text() + "\n"


def metrics_paper() -> str:
    """Where the labels lie."""
    from audit.metrics.classes import PAPERS

    return PAPERS


def test_criteo(tmp_path: Path) -> None:
    path = reference.script("recommendation/dlrm_v2/pytorch/tools/accuracy-dlrm.py", "sklearn")
    random = np.random.default_rng(12)
    parts = []
    for index in range(80):
        wanted = (random.random(int(random.integers(1, 9))) < 0.3).astype("<f4")
        found = np.round(np.clip(0.3 + 0.3 * wanted + random.normal(0, 0.25, len(wanted)), 0, 1), 2).astype("<f4")
        parts.append((index, np.column_stack([found, wanted]).tobytes()))
    run = logs.write(tmp_path / "run", [*parts, parts[0]])
    printed = reference.run(path, ["--mlperf-accuracy-file", run.file(logs.LOG)], tmp_path)
    found_ = re.search(r"AUC=([\d.]+)%, accuracy=([\d.]+)%", printed)
    scores = ours("dlrm-v2-99.9", run)
    assert found_ and agrees(scores["AUC"], found_[1]) and agrees(scores["accuracy"], found_[2])


def test_streaming(tmp_path: Path) -> None:
    path = reference.script(
        "recommendation/dlrm_v3/accuracy.py", "torch", "torchrec", "fbgemm_gpu", "gin", "tensorboard"
    )
    run = logs.write(tmp_path / "run", logs.requests(200))
    printed = reference.run(path, ["--path", run.file(logs.LOG)], tmp_path)
    found = ours("dlrm-v3", run)
    for name, key in (("DLRM_NE", "ne"), ("DLRM_ACC", "accuracy"), ("DLRM_AUC", "gauc")):
        wanted = re.search(rf"metric/lifetime_{key}/rating: ([\d.]+)", printed)
        assert wanted and found[name] == pytest.approx(float(wanted[1]), abs=2e-6)


def conversation(folder: Path, kind: str) -> tuple[Run, list[str]]:
    """A log of token ids, one sample twice, with its data set and tokenizer."""
    wanted, made = logs.texts(24), logs.tokenizer(folder)
    logs.lines(folder / "open_orca.jsonl", ({"output": text} for text in wanted))
    responses = list(enumerate(logs.generated(wanted, made, kind)))
    return logs.write(folder / "run", [*responses, responses[3]]), wanted


def listed(printed: str) -> dict[str, str]:
    """The figures of the printed dictionary as they are written, NumPy's names for them taken off."""
    line = next(line for line in reversed(printed.splitlines()) if line.startswith("{'rouge1'"))
    return dict(re.findall(r"'(\w+)': '?(?:np\.\w+\()?([\d.]+)", line))


def punkt() -> None:
    """Skip where NLTK has no sentence model."""
    nltk = pytest.importorskip("nltk")
    try:
        nltk.data.find("tokenizers/punkt_tab/english/")
    except LookupError:
        pytest.skip("NLTK's punkt_tab is not installed: python -m nltk.downloader punkt_tab")

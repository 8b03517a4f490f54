"""Accuracy logs made with fixed seeds, laid out as the reference implementations lay out theirs, with their labels."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from loadgen_harness.run import Run

LOG = "mlperf_log_accuracy.json"
SENTENCES = (
    "The quick brown fox jumps over the lazy dog.",
    "Dr. Smith went to Washington, where he met Mr. Jones at 5 p.m. on Friday!",
    "Prices rose by 3.5 per cent; nobody was surprised.",
    "Is this the end? It isn't, they said.",
    "A committee of the council will meet again next week.",
)


def write(folder: Path, responses: Iterable[tuple[int, bytes]]) -> Run:
    """A log as LoadGen writes it, one entry a line."""
    folder.mkdir(parents=True, exist_ok=True)
    entries = (
        json.dumps({"seq_id": place, "qsl_idx": index, "data": data.hex().upper()})
        for place, (index, data) in enumerate(responses)
    )
    (folder / LOG).write_text("[\n" + ",\n".join(entries) + "\n]\n")
    return Run(folder)


def lines(path: Path, rows: Iterable[Any]) -> Path:
    """JSON lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def texts(count: int, seed: int = 5) -> list[str]:
    """Texts of one to four sentences."""
    random = np.random.default_rng(seed)
    return [" ".join(random.choice(SENTENCES, random.integers(1, 5))) for _ in range(count)]


def tokenizer(folder: Path) -> Tokenizer:
    """A small byte-level tokenizer with special tokens, saved as a model's folder has it."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    special = ["<s>", "</s>", "<|channel|>", "<|message|>", "<|return|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(
        SENTENCES,
        trainers.BpeTrainer(vocab_size=400, special_tokens=special, initial_alphabet=alphabet, show_progress=False),
    )
    folder.mkdir(parents=True, exist_ok=True)
    made.save(str(folder / "tokenizer.json"))
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": False, "eos_token": "</s>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return made


def generated(wanted: Sequence[str], made: Tokenizer, dtype: str, seed: int = 6) -> list[bytes]:
    """Token ids of texts like the wanted ones: some sentences exchanged, an end token at the end."""
    random = np.random.default_rng(seed)
    others = texts(len(wanted), seed)
    chosen = [text if random.random() < 0.4 else f"{text} {other}" for text, other in zip(wanted, others, strict=True)]
    return [np.array([*made.encode(text).ids, 1], dtype).tobytes() for text in chosen]


def classes(count: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Wanted and found classes, three quarters right."""
    random = np.random.default_rng(seed)
    wanted = random.integers(0, 1000, count)
    found = np.where(random.random(count) < 0.75, wanted, (wanted + 1) % 1000)
    return wanted, found


def detections(folder: Path, images: int = 12, seed: int = 2) -> tuple[Path, list[tuple[int, bytes]]]:
    """COCO annotations of a few images, and boxes near them, some images without any."""
    random = np.random.default_rng(seed)
    sizes = random.integers(200, 640, (images, 2)).tolist()
    pictures = [
        {"id": 100 + 3 * place, "height": height, "width": width, "file_name": f"{place}.jpg", "coco_url": ""}
        for place, (height, width) in enumerate(sizes)
    ]
    annotations: list[dict[str, Any]] = []
    responses = []
    for place, picture in enumerate(pictures):
        rows: list[list[float]] = []
        for _ in range(int(random.integers(1, 6))):
            left, top = random.uniform(0, 0.5, 2)
            width, height = random.uniform(0.1, 0.5, 2)
            category = int(random.integers(1, 5))
            box = [
                left * picture["width"],
                top * picture["height"],
                width * picture["width"],
                height * picture["height"],
            ]
            annotations.append({
                "id": len(annotations) + 1, "image_id": picture["id"], "category_id": category, "bbox": box,
                "area": box[2] * box[3], "iscrowd": 0,
            })  # fmt: skip
            moved = random.normal(0, 0.02, 4)
            rows.append([
                place, top + moved[0], left + moved[1], top + height + moved[2], left + width + moved[3],
                random.random(), category if random.random() < 0.8 else 1 + category % 4,
            ])  # fmt: skip
        responses.append((place, np.array(rows if place % 5 else [], "<f4").tobytes()))
    content = {
        "images": pictures,
        "annotations": annotations,
        "categories": [{"id": n, "name": str(n)} for n in range(1, 5)],
    }
    path = folder / "annotations/openimages-mlperf.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    (path.parent / "instances_val2017.json").write_text(json.dumps(content))
    return path, responses


def requests(count: int, seed: int = 3) -> list[tuple[int, bytes]]:
    """dlrm-v3: time, query, predictions, labels, weights, count."""
    random = np.random.default_rng(seed)
    found = []
    for index in range(count):
        size = int(random.integers(3, 12))
        wanted = (random.random(size) < 0.6).astype(float)
        predicted = np.clip(0.35 + 0.3 * wanted + random.normal(0, 0.2, size), 0.01, 0.99)
        weights = np.ones(size)
        found.append((index, np.array([1, index, *predicted, *wanted, *weights, size], "<f4").tobytes()))
    return found


SPEECH = (
    "mister quilter is the apostle of the middle classes and we are glad to welcome his gospel",
    "nor is mister quilter's manner less interesting than his matter",
    "he tells us that at this festive season of the year some body came up stairs for twenty five dollars",
    "the colour of the grey harbour was beautiful",
)


def speech(folder: Path, alphabet: str, dtype: str = "<i8") -> tuple[Path, list[tuple[int, bytes]]]:
    """A manifest, one clip of it too long, and letters with words changed, joined and lost."""
    entries = [
        {"files": [{"fname": f"{n}.wav", "speed": 1.0, "duration": 3.0}], "original_duration": 3.0, "transcript": text}
        for n, text in enumerate(SPEECH)
    ]
    entries.insert(2, {**entries[0], "original_duration": 31.0})
    path = folder / "dev-all-repack.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(entries))
    heard = (
        SPEECH[0].replace("apostle", "a postle"),
        SPEECH[1].replace("less ", ""),
        SPEECH[2].replace("some body", "somebody").replace("up stairs", "upstairs and"),
        SPEECH[3].replace("grey", "gray"),
    )
    return path, [(n, np.array([alphabet.index(c) for c in text], dtype).tobytes()) for n, text in enumerate(heard)]

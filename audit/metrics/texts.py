"""Text benchmarks: token ids become text through the model's own tokenizer file, texts become ROUGE and lengths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from audit.metrics import labels
from audit.metrics.log import first_responses, responses
from audit.metrics.tokens import Answer, answers
from benchmarks._metrics import long_context as needles
from benchmarks._metrics.answers import number, school_number
from benchmarks._metrics.means import mean, proportion, ratio
from benchmarks._metrics.rouge import KINDS, rouge
from benchmarks._metrics.sentences import one_a_line
from loadgen_harness.errors import BadInput
from loadgen_harness.run import Run
from loadgen_harness.types import Score

NAMES = ("ROUGE1", "ROUGE2", "ROUGEL", "ROUGELSUM")
SUMMARIES = ("cnn_eval.json", "sample_cnn_eval*.json", "*.jsonl", "cnn*.json")
CHAT = ("open_orca*.jsonl", "*.jsonl")
LONG = ("mlperf_llama3.1_405b*.jsonl", "*.jsonl")
MIXED = ("*mixtral*.jsonl", "*.jsonl")
CODE_RUNS = "are programs of MBXP, which language/mixtral-8x7b/evaluate_mbxp.py of mlcommons/inference runs"


def summaries(run: Run, data: Path | None) -> list[Score]:
    """ROUGE in percent and the length of all summaries in characters (llama3.1-8b, gptj)."""
    root = labels.folder(data)
    rows = labels.records(labels.find(data, *SUMMARIES), ("output",))
    found = answers(first_responses(run), rows, root)
    texts = _lines([answer.text for answer in found], root)
    wanted = _lines([str(rows[answer.index]["output"]) for answer in found], root)
    return [*_rouge(texts, wanted), _total("GEN_LEN", [len(text) for text in texts])]


def chat(run: Run, data: Path | None) -> list[Score]:
    """ROUGE-1, -2 and -L in percent and mean tokens of llama2-70b; none of them depends on where sentences end."""
    root = labels.folder(data)
    rows = labels.records(labels.find(data, *CHAT), ("output",))
    found = answers(first_responses(run), rows, root)
    wanted = [str(rows[answer.index]["output"]).strip() for answer in found]
    return [*_rouge([answer.text.strip() for answer in found], wanted, NAMES[:3]), tokens_per_sample(found)]


def long_context(run: Run, data: Path | None) -> list[Score]:
    """ROUGE-L and exact match in percent of llama3.1-405b, each over its own part of the data set, and mean tokens."""
    root = labels.folder(data)
    rows = labels.records(labels.find(data, *LONG), ("gt_output", "metric"))
    found = answers(first_responses(run), rows, root)
    ways = [str(rows[answer.index]["metric"]) for answer in found]
    if odd := set(ways) - {"rouge", *needles.WAYS}:
        raise BadInput(f"the data set asks for the unknown metric {min(odd)!r}: give llama3.1-405b's own data set.")
    # Sentences go to lines first, as in the reference: the needle and answer searches see the same text.
    texts = _lines([answer.text for answer in found], root)
    wanted = _lines([str(rows[answer.index]["gt_output"]) for answer in found], root)
    told = [place for place, way in enumerate(ways) if way == "rouge"]
    matched = [needles.WAYS[way](wanted[place], texts[place]) for place, way in enumerate(ways) if way != "rouge"]
    scores = []
    if told:
        scores += _rouge([texts[place] for place in told], [wanted[place] for place in told], NAMES[2:3])
    if matched:
        scores.append(mean("exact_match", np.array(matched)))
    return [*scores, tokens_per_sample(found)]


def mixture(run: Run, data: Path | None) -> list[Score]:
    """ROUGE of OpenOrca, right answers of GSM8K and MBXP (by its evaluator's verdicts) in percent, mean tokens."""
    root = labels.folder(data)
    rows = labels.records(labels.find(data, *MIXED), ("dataset", "gt_output"))
    found = answers(responses(run), rows, root)
    first = list({answer.index: answer for answer in reversed(found)}.values())[::-1]
    parts = {
        kind: [answer for answer in first if _kind(rows[answer.index]) == kind]
        for kind in ("OpenOrca", "GSM8K", "MBXP")
    }
    verdicts = labels.verdicts(data, [answer.index for answer in parts["MBXP"]], CODE_RUNS)
    chats, sums = parts["OpenOrca"], parts["GSM8K"]
    scores = []
    if chats:
        wanted = [str(rows[answer.index]["gt_output"]).strip() for answer in chats]
        scores += _rouge([answer.text.strip() for answer in chats], wanted, NAMES[:3])
    if sums:
        right = sum(_equal(rows[answer.index]["gt_output"], answer.text) for answer in sums)
        scores.append(proportion("gsm8k_accuracy", right, len(sums), scale=100))
    if verdicts:
        scores.append(proportion("mbxp_accuracy", sum(verdicts.values()), len(verdicts), scale=100))
    return [*scores, tokens_per_sample(first)]


def tokens_per_sample(found: Sequence[Answer]) -> Score:
    """The mean number of tokens."""
    counts = np.array([answer.tokens for answer in found], float)
    return ratio("TOKENS_PER_SAMPLE", counts, np.ones(len(counts)))


def _kind(row: Mapping[str, Any]) -> str:
    return str(row["dataset"]) if row["dataset"] in ("OpenOrca", "GSM8K") else "MBXP"


def _equal(wanted: Any, text: str) -> bool:
    told = school_number(text)
    return told is not None and number(str(wanted)) == told


def _lines(texts: Sequence[str], root: Path) -> list[str]:
    return [one_a_line(text.strip(), root) for text in texts]


def _rouge(found: Sequence[str], wanted: Sequence[str], names: Sequence[str] = NAMES) -> list[Score]:
    kinds = [KINDS[NAMES.index(name)] for name in names]
    values = rouge(found, wanted, kinds)
    return [mean(name, values[:, column], scale=100) for column, name in enumerate(names)]


def _total(metric: str, values: Sequence[int]) -> Score:
    return mean(metric, np.array(values, float), scale=len(values))

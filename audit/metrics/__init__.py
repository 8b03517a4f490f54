"""Each official benchmark's metric out of its accuracy log: what the response bytes hold, which labels, which figure.

One module per family; a module is imported only for its own benchmarks, since each needs packages of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from audit import accuracy_text as lines
from audit.metrics.log import responses
from audit.metrics.refused import REFUSED
from loadgen_harness import registry
from loadgen_harness.errors import BadInput, UnknownName
from loadgen_harness.run import Run
from loadgen_harness.types import Metric, Score

LOG = "mlperf_log_accuracy.json"

# official name -> module.function of this package; the function takes the run and the data's path
KNOWN: Mapping[str, str] = {
    "resnet": "classes.imagenet",
    "rgat": "classes.papers",
    "bert-99": "squad.score",
    "bert-99.9": "squad.score",
    "3d-unet-99": "volumes.score",
    "3d-unet-99.9": "volumes.score",
    "retinanet": "boxes.score",
    "yolo-95": "boxes.score",
    "yolo-99": "boxes.score",
    "llama3.1-8b": "texts.summaries",
    "llama3.1-8b-edge": "texts.summaries",
    "gptj-99": "texts.summaries",
    "gptj-99.9": "texts.summaries",
    "llama2-70b-99": "texts.chat",
    "llama2-70b-99.9": "texts.chat",
    "llama3.1-405b": "texts.long_context",
    "mixtral-8x7b": "texts.mixture",
    "deepseek-r1": "reasoning.deepseek",
    "gpt-oss-120b": "reasoning.gpt_oss",
    "whisper": "speech.score",
    "dlrm-v2-99": "clicks.criteo",
    "dlrm-v2-99.9": "clicks.criteo",
    "dlrm-v3": "clicks.streaming",
    "stable-diffusion-xl": "images.score",
    "qwen3-vl-235b-a22b": "products.score",
    "wan-2.2-t2v-a14b": "judged.videos",
    "e2e-rag-qna": "judged.questions",
}
ALIASES: Mapping[str, str] = {
    "resnet50": "resnet",
    "bert": "bert-99",
    "3d-unet": "3d-unet-99",
    "llama2-70b": "llama2-70b-99",
    "llama2-70b-interactive-99": "llama2-70b-99",
    "llama2-70b-interactive-99.9": "llama2-70b-99.9",
    "llama3_1-8b": "llama3.1-8b",
    "llama3_1-8b-edge": "llama3.1-8b-edge",
    "llama3_1-405b": "llama3.1-405b",
    "gptj": "gptj-99",
    "gpt-j": "gptj-99",
    "mixtral": "mixtral-8x7b",
    "dlrm-v2": "dlrm-v2-99",
    "yolo": "yolo-95",
    "wan": "wan-2.2-t2v-a14b",
    "qwen3-vl": "qwen3-vl-235b-a22b",
    "qwen3.6": "qwen3.6-27b",
}
# their figure is a fraction, although accuracy.txt states percent
FRACTIONS: Mapping[str, tuple[Metric, ...]] = {"rgat": (Metric("acc", lines.FRACTION),)}


def score_log(benchmark: str, run: Run, data: Path | None = None) -> list[Score]:
    """The scores of an official benchmark's accuracy log, each with its 95 % interval.

    `data` is the file or folder of labels (docs/audit.md lists them). Raises UnknownName, MissingDependency and
    BadInput: for a log or data that cannot be read and for a metric that takes a judge or the running of code.
    """
    name = _name(benchmark)
    if name in REFUSED:
        raise BadInput(REFUSED[name])
    module, _, function = KNOWN[name].partition(".")
    family = registry.load_module(f"audit.metrics.{module}", f"the metric of {name}")
    scores: list[Score] = getattr(family, function)(run, data)
    return scores


def accuracy_text(log: Path, benchmark: str, data: Path | None = None) -> tuple[list[Score], str]:
    """The same of a log's path, or of the folder (the scenario's too) that holds it, with the lines of accuracy.txt."""
    scores = score_log(benchmark, _run(log), data)
    return scores, lines.write(scores, FRACTIONS.get(_name(benchmark), ()))


def answered(log: Path) -> int:
    """How many samples an accuracy log answers, each counted once."""
    return len({entry.qsl_idx for entry in responses(_run(log))})


def _name(benchmark: str) -> str:
    name = ALIASES.get(benchmark, benchmark)
    if name not in KNOWN and name not in REFUSED:
        raise UnknownName("official benchmark", benchmark, {*KNOWN, *REFUSED, *ALIASES})
    return name


def _run(log: Path) -> Run:
    if log.is_dir():
        inner = log / "accuracy"
        return Run(inner if (inner / LOG).is_file() and not (log / LOG).exists() else log)
    if log.name != LOG:
        raise BadInput(f"{log} is not called {LOG}: give LoadGen's accuracy log or the folder that holds it.")
    return Run(log.parent)

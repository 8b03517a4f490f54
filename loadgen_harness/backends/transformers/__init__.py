"""Generates with Hugging Face transformers, from GGUF (dequantised) or a model's folder; prefix cache off.

The folder is named by its `config.json`. With `weights=random` that file alone is enough: a model of its shape gets
seeded random weights on the device itself and never stops early, which measures speed and nothing else. Offline:
nothing is ever fetched. Never run on CUDA.
"""

from __future__ import annotations

import gc
import importlib.util
import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # read when the library is imported
import torch
import transformers

from loadgen_harness.backends import TokenEvent, checked
from loadgen_harness.backends.transformers.runners import Ask, Continuous, Made, Runner, Static
from loadgen_harness.errors import BadInput, MissingDependency, UnknownName

OPTIONS = {
    "slots": 1, "threads": 0, "context": 512, "batching": "auto", "batch_tokens": 0, "attention": "sdpa",
    "weights": "file", "seed": 0,
}  # fmt: skip
BATCHING, WEIGHTS = ("auto", "continuous", "static"), ("file", "random")
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
CONFIG, GGUF = "config.json", ".gguf"
PAGE = 256  # tokens: the library's own, and the only one that its CUDA kernels take
WARM_UP_PROMPT, WARM_UP_TOKENS = tuple(range(8)), 3
UNUSABLE = (OSError, ValueError, KeyError, TypeError, RuntimeError, NotImplementedError, ImportError, AttributeError)
REPLACEMENT = "\ufffd"  # ends a text whose last character is not whole yet


@dataclass
class Text:
    """The text of one request, told piece by piece: a character may take several tokens."""

    tokens: list[int] = field(default_factory=list)
    begin: int = 0  # decoding starts some tokens back, since a token's text may depend on the one before
    told: int = 0

    def add(self, tokenizer: Any, tokens: Sequence[int], *, final: bool) -> str:
        """The text that `tokens` add, empty while a character is not whole."""
        self.tokens += tokens
        if tokenizer is None:
            return ""
        before = self._decode(tokenizer, self.tokens[self.begin : self.told])
        after = self._decode(tokenizer, self.tokens[self.begin :])
        if after.endswith(REPLACEMENT) and not final:
            return ""
        piece = after[len(before) :]
        if piece:  # a control token has no text, and to begin with it would cost the next word its space
            self.begin, self.told = self.told, len(self.tokens)
        return piece

    def _decode(self, tokenizer: Any, tokens: Sequence[int]) -> str:
        return str(tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False))


class Transformers:
    """Greedy generation; a runner steps the model in a thread of its own."""

    needs_model = True
    formats, casts, keeps_precision = (CONFIG, GGUF), tuple(DTYPES), False

    def __init__(self, options: Mapping[str, str]) -> None:
        """Options: slots, threads (0: torch's choice), context (tokens per slot), batching (auto: continuous where the
        library has it), batch_tokens (of one continuous step; 0: as large as the context), attention (as transformers
        names it: sdpa, eager, flash_attention_2, …), weights (file, random), seed (of random weights)."""
        self._options = checked(options, OPTIONS, "transformers")
        _check(self._options)
        self.slots: int = self._options["slots"]
        self._model: Any = None
        self._tokenizer: Any = None
        self._runner: Runner | None = None
        self._precision = self._attention = ""
        self._threads_before = torch.get_num_threads()
        self._texts: dict[int, Text] = {}

    def load(self, model: Path | None, device: str, precision: str) -> None:
        """Load weights in the precision asked for, start stepping, answer one request untimed."""
        if model is None or not model.is_file() or not model.name.endswith(self.formats):
            raise BadInput(
                f"backend transformers needs a model's {CONFIG} or a GGUF file, and {model} is none: name one."
            )
        self._precision = precision or "fp32"
        source, place, dtype = _source(model), _device(device), _dtype(self._precision)
        if self._options["threads"]:
            torch.set_num_threads(self._options["threads"])
        transformers.utils.logging.disable_progress_bar()
        try:
            self._model = _weights(self._options, source, place, dtype).eval()
            self._tokenizer = _tokenizer(source)
            self._attention = str(self._model.config._attn_implementation)
            _check_context(self._options["context"], self._model.config)
            with _same_random_state(place):  # the manager seeds it
                self._runner = self._step()
                self._warm_up()
        except UNUSABLE as error:
            self.close()
            raise BadInput(f"transformers cannot run {model.name} ({_words(error)}): choose another.") from error
        except BadInput:
            self.close()
            raise

    def submit(self, id: int, input: Any) -> None:
        """Begin a request, or queue it until a slot is free; `prompt` may also be a sequence of token ids."""
        runner = self._running()
        self._texts[id] = Text()
        prompt, limit = input["prompt"], int(input["max_new_tokens"])
        if isinstance(prompt, str) and self._tokenizer is None:
            return runner.fail(id, "the model's folder holds no tokenizer: give token ids, or add tokenizer.json")
        ids = tuple(self._tokenizer(prompt)["input_ids"] if isinstance(prompt, str) else prompt)
        known = self._model.config.get_text_config().vocab_size
        wrong = _refusal(ids, limit, known=known, context=self._options["context"])
        return runner.fail(id, wrong) if wrong else runner.add(Ask(id, ids, limit))

    def poll(self, timeout: float) -> list[TokenEvent]:
        """Events since the last poll; waits up to `timeout` seconds for one."""
        return [self._event(made) for made in self._running().take(timeout) if made.id in self._texts]

    def cancel(self, id: int) -> None:
        """Stop a request after the step that runs; one that is over stays as it ended."""
        self._running().cancel(id)

    def describe(self) -> dict[str, str]:
        """What really runs."""
        continuous = isinstance(self._runner, Continuous)
        graphs = continuous and self._runner.uses_graphs  # type: ignore[union-attr]
        shares = continuous and self._runner.shares_prefixes  # type: ignore[union-attr]
        shown = ("slots", "context", "batch_tokens", "weights")
        return {
            "framework": "transformers",
            "version": transformers.__version__,
            "device": str(self._model.device) if self._model is not None else "",
            "provider": f"torch {torch.__version__}, attention {self._attention}",
            "precision": self._precision,
            "mode": "CUDA graphs" if graphs else "eager",
            "threads": str(torch.get_num_threads()),
            "prefix_cache": "on" if shares else "off",
            "batching": self._runner.batching if self._runner else "none",
            "tokens": "engine",
            **{key: str(self._options[key]) for key in shown if self._options[key]},
        }

    def close(self) -> None:
        """Stop the runner, free weights and pages, give torch its threads back."""
        if self._runner:
            self._runner.close()
        self._runner = self._model = self._tokenizer = None
        self._texts.clear()
        torch.set_num_threads(self._threads_before)
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _step(self) -> Runner:
        stop = _stop_tokens(self._model, self._tokenizer) if self._options["weights"] == "file" else frozenset()
        has = hasattr(self._model, "init_continuous_batching")
        if self._options["batching"] == "static" or (self._options["batching"] == "auto" and not has):
            return Static(self._model, self.slots, stop)
        if not has:
            raise BadInput("this version of transformers has no continuous batching: use option batching=static.")
        blocks = -(-(self._options["context"] + 1) // PAGE)
        settings = transformers.ContinuousBatchingConfig(
            allow_block_sharing=False,  # MLPerf forbids caching across queries
            auto_switch_to_flash=False,  # the attention asked for is the one that runs
            page_size=PAGE,
            num_blocks=self.slots * blocks + 1,
            max_batch_tokens=self._options["batch_tokens"] or max(self._options["context"], self.slots),
            max_requests_per_batch=self.slots,
            safety_margin=0.0,  # there are pages for every slot
            seed=0,  # else the process's random state is drawn from
        )
        greedy = transformers.GenerationConfig(do_sample=False, eos_token_id=sorted(stop) or -1, pad_token_id=0)
        return Continuous(self._model.init_continuous_batching(greedy, settings), stop)

    def _warm_up(self) -> None:
        """The first step allocates and chooses kernels; where attention does not fit the model, it fails here."""
        runner = self._running()
        limit = min(WARM_UP_TOKENS, self._options["context"] - 1)
        prompt = WARM_UP_PROMPT[: self._options["context"] - limit]
        runner.add(Ask(-1, prompt, limit))
        while True:
            for made in runner.take(1.0):
                if made.error:
                    raise BadInput(f"transformers cannot generate with this model ({made.error}): choose another.")
                if made.final:
                    return

    def _event(self, made: Made) -> TokenEvent:
        text = self._texts[made.id]
        piece = text.add(self._tokenizer, made.tokens, final=made.final)
        error = made.error
        if made.final:
            del self._texts[made.id]
            error = error or ("" if text.tokens else "the model ended its answer before the first token: ask otherwise")
        return TokenEvent(made.id, made.tokens, piece, made.time_ns, final=made.final, error=error)

    def _running(self) -> Runner:
        if self._runner is None:
            raise BadInput("backend transformers was asked before it was loaded: call load first.")
        return self._runner


def _check(options: Mapping[str, Any]) -> None:
    if min(options["slots"], options["context"] - 1) < 1 or min(options["threads"], options["batch_tokens"]) < 0:
        raise BadInput(
            "backend transformers wants slots of at least 1, context of at least 2, and threads and batch_tokens of at "
            "least 0."
        )
    for key, known in (("batching", BATCHING), ("weights", WEIGHTS)):
        if options[key] not in known:
            raise UnknownName(f"{key} of backend transformers", options[key], known)


def _source(model: Path) -> dict[str, str]:
    """Where the library finds the model."""
    if model.name.endswith(CONFIG):
        return {"pretrained_model_name_or_path": str(model.parent)}
    lacking = [name for name in ("accelerate", "gguf") if importlib.util.find_spec(name) is None]
    if lacking:
        raise MissingDependency("reading GGUF with transformers", " ".join(lacking))
    return {"pretrained_model_name_or_path": str(model.parent), "gguf_file": model.name}


def _weights(options: Mapping[str, Any], source: Mapping[str, str], place: torch.device, dtype: torch.dtype) -> Any:
    form = {"dtype": dtype, "attn_implementation": options["attention"]}
    if options["weights"] == "random":
        config = transformers.AutoConfig.from_pretrained(**source, local_files_only=True)
        with _same_random_state(place), place:
            torch.manual_seed(options["seed"])
            return transformers.AutoModelForCausalLM.from_config(config, **form)
    straight = {} if "gguf_file" in source or place.type == "cpu" else {"device_map": {"": place}}
    loaded = transformers.AutoModelForCausalLM.from_pretrained(**source, **form, **straight, local_files_only=True)
    return loaded if straight else loaded.to(place)


def _check_context(context: int, config: Any) -> None:
    most = getattr(config.get_text_config(), "max_position_embeddings", context)
    if context > most:
        raise BadInput(f"option context is {context}, but the model knows {most} places: lower it.")


def _refusal(ids: Sequence[int], limit: int, *, known: int, context: int) -> str:
    """Why a request cannot be computed, empty where it can."""
    strange = next((id_ for id_ in ids if not 0 <= id_ < known), None)
    if strange is not None:
        return f"token id {strange} is outside the vocabulary of {known}"
    if not ids or limit < 1:
        return "a request needs at least one prompt token and one token to generate"
    if len(ids) + limit > context:
        return (
            f"{len(ids)} prompt tokens and {limit} new ones exceed the available context size of {context} tokens: "
            "raise option context"
        )
    return ""


def _tokenizer(source: Mapping[str, str]) -> Any:
    """The model's tokenizer; None where its folder holds none, so that prompts must be token ids."""
    folder = Path(source["pretrained_model_name_or_path"])
    if "gguf_file" not in source and not any(folder.glob("token*")) and not any(folder.glob("vocab*")):
        return None
    return transformers.AutoTokenizer.from_pretrained(**source, local_files_only=True)


def _stop_tokens(model: Any, tokenizer: Any) -> frozenset[int]:
    """Every id that the model's files call an end of an answer."""
    named = [model.generation_config.eos_token_id, model.config.get_text_config().eos_token_id]
    named += [tokenizer.eos_token_id] if tokenizer is not None else []
    listed = (each if isinstance(each, list | tuple) else [each] for each in named)
    return frozenset(id_ for ids in listed for id_ in ids if id_ is not None and id_ >= 0)


def _device(name: str) -> torch.device:
    try:
        place = torch.device(name)
    except RuntimeError as error:
        raise BadInput(f"torch knows no device {name!r}: use cpu, cuda or cuda:1.") from error
    if place.type == "cuda" and (place.index or 0) >= torch.cuda.device_count():
        raise BadInput(f"torch {torch.__version__} sees no device {name!r} here: use --device cpu, or its CUDA build.")
    return place


def _same_random_state(place: torch.device) -> AbstractContextManager[None]:
    """The process's random state is afterwards what it was before."""
    state: AbstractContextManager[None] = torch.random.fork_rng([place] if place.type == "cuda" else [])
    return state


def _dtype(precision: str) -> torch.dtype:
    if precision not in DTYPES:
        raise UnknownName("precision of backend transformers", precision, DTYPES)
    return DTYPES[precision]


def _words(error: Exception) -> str:
    """The first sentence of what the library says, which may go on for a page."""
    return " ".join(str(error).split(". ")[0].split())[:300] or type(error).__name__


def check_device(backend: Transformers, device: str) -> None:
    """See backends.ModelReader."""
    _device(device)


def check_file(backend: Transformers, name: str) -> None:
    """See backends.ModelReader."""
    _source(Path(name))


def check_precision(backend: Transformers, precision: str, device: str) -> None:
    """See backends.ModelReader."""
    _dtype(precision or "fp32")


BACKEND = Transformers

"""Prompts to a generating model's tensors and its responses to tokens; imports no framework.

The names are those of Triton's vLLM backend (`text_input`, sampling parameters as JSON) and of TensorRT-LLM's models
(`ensemble`, `tensorrt_llm_bls`, `tensorrt_llm`, `llmapi`). What a model does not list is not sent.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from loadgen_harness.backends.triton.model import OPEN, Malformed, Served, Tensor, dtype
from loadgen_harness.errors import BadInput

IDS, IDS_LENGTH, OUTPUT_IDS = "input_ids", "input_lengths", "output_ids"
LIMITS = ("max_tokens", "request_output_len", "sampling_param_max_tokens", "max_new_tokens")
SAMPLING, LOGPROBS, COUNT = "sampling_parameters", "logprobs", "num_output_tokens"
CONSTANTS: dict[str, Any] = {  # greedy, token by token, the answer alone
    "stream": True, "streaming": True, "exclude_input_in_output": True, "return_num_output_tokens": True,
    "sampling_param_exclude_input_from_output": True, "top_k": 1, "runtime_top_k": 1, "sampling_param_top_k": 1,
    "beam_width": 1,
}  # fmt: skip
UNKNOWN_ID = -1  # stands for a token whose id the server does not tell; it counts as a token all the same
REUSE = "enable_kv_cache_reuse"  # TensorRT-LLM's parameter in a model's configuration


class Piece(NamedTuple):
    """What one response says."""

    tokens: tuple[int, ...]
    text: str


class Question(NamedTuple):
    """Tensors by the server's names, and request parameters."""

    tensors: dict[str, np.ndarray]
    parameters: dict[str, Any]


class Prompting:
    """How one served model is asked and how it answers; used from one thread."""

    def __init__(self, model: Served, chosen: Mapping[str, Any]) -> None:
        """Options: text_input, text_output, max_tokens (tensors' names), token_ids, parameters (JSON)."""
        self._model, self._chosen = model, chosen
        self._inputs = {each.name: each for each in model.inputs}
        self._limit = chosen["max_tokens"] or next((name for name in LIMITS if name in self._inputs), "")
        self._logprobs = chosen["token_ids"] == "logprobs"
        self._parameters = _parameters(chosen["parameters"]) | ({"logprobs": 0} if self._logprobs else {})
        self.counted = ""  # who counted the tokens, as responses have shown
        self._check()

    def _check(self) -> None:
        name, text = self._model.name, self._chosen["text_input"]
        if not self._model.decoupled:
            raise BadInput(
                f"model {name} is not decoupled, so it sends no token before the last: set model_transaction_policy "
                f"{{ decoupled: true }} in its configuration, or run a task that does not stream."
            )
        if text not in self._inputs and IDS not in self._inputs:
            raise BadInput(f"model {name} has no input {text!r}: name its prompt with --option text_input=…")
        if self._chosen["max_tokens"] and self._limit not in self._inputs:
            raise BadInput(f"model {name} has no input {self._limit!r}: choose from {', '.join(self._inputs)}.")
        if self._logprobs and "return_logprobs" not in self._inputs:
            raise BadInput(f"model {name} has no input return_logprobs: leave --option token_ids=logprobs out.")

    @property
    def takes_text(self) -> bool:
        """Whether prompts are texts."""
        return self._chosen["text_input"] in self._inputs

    def datatype(self, name: str) -> str:
        """The datatype of an input."""
        return self._inputs[name].datatype

    def question(self, request: Mapping[str, Any]) -> Question:
        """The request for a sample with `prompt` (a text, or token ids) and `max_new_tokens`."""
        values = {key: value for key, value in CONSTANTS.items() if key in self._inputs}
        parameters = dict(self._parameters)
        if self._logprobs:
            values["return_logprobs"] = True
        if self._limit:
            values[self._limit] = int(request["max_new_tokens"])
        else:
            parameters["max_tokens"] = int(request["max_new_tokens"])
        if SAMPLING in self._inputs:
            values[SAMPLING], parameters = json.dumps(parameters), {}
        tensors = {key: _filled(self._inputs[key], value) for key, value in values.items()}
        return Question(self._prompt(request["prompt"]) | tensors, parameters)

    def _prompt(self, prompt: Any) -> dict[str, np.ndarray]:
        text = self._chosen["text_input"]
        if isinstance(prompt, str) and text in self._inputs:
            return {text: _filled(self._inputs[text], prompt)}
        if isinstance(prompt, str) or IDS not in self._inputs:
            kind, wanted = ("a text", "token ids") if isinstance(prompt, str) else ("token ids", "a text")
            raise BadInput(f"the task's prompts are {kind} and model {self._model.name} wants {wanted}: serve another.")
        tensor = self._inputs[IDS]
        ids = np.asarray(prompt, dtype(tensor.datatype)).reshape(*[1] * (len(tensor.shape) - 1), -1)
        if IDS_LENGTH in self._inputs:
            return {IDS: ids, IDS_LENGTH: _filled(self._inputs[IDS_LENGTH], ids.size)}
        return {IDS: ids}

    def piece(self, outputs: Mapping[str, np.ndarray]) -> Piece:
        """Tokens and text of one response; raises Malformed for what cannot be read."""
        found = outputs.get(self._chosen["text_output"])
        text = "" if found is None else b"".join(map(_bytes, found.reshape(-1))).decode("utf-8", errors="replace")
        if OUTPUT_IDS in outputs:
            return Piece(self._by("engine", outputs[OUTPUT_IDS].reshape(-1).tolist()), text)
        if self._logprobs and LOGPROBS in outputs:
            return Piece(self._by("engine", _sampled(outputs[LOGPROBS])), text)
        if COUNT in outputs:
            return Piece(self._by("usage", [UNKNOWN_ID] * int(outputs[COUNT].sum())), text)
        return Piece(self._by("responses", [UNKNOWN_ID] if text else []), text)

    def _by(self, who: str, tokens: Sequence[int]) -> tuple[int, ...]:
        if tokens and not self.counted:
            self.counted = who
        return tuple(tokens)


def _parameters(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text or "{}")
    except json.JSONDecodeError as error:
        raise BadInput(f'option parameters of backend triton is no JSON ({error}): write {{"seed": 1}}.') from error
    if not isinstance(found, dict):
        raise BadInput('option parameters of backend triton must be a JSON object, such as {"seed": 1}.')
    return {"temperature": 0, **found}


def _filled(tensor: Tensor, value: Any) -> np.ndarray:
    """The value in the shape that the model states, open dimensions 1."""
    kind = dtype(tensor.datatype)
    content = str(value).encode() if kind == np.object_ else value
    return np.full([1 if length == OPEN else length for length in tensor.shape], content, kind)


def _bytes(item: Any) -> bytes:
    return item if isinstance(item, bytes) else str(item).encode()


def _sampled(found: np.ndarray) -> list[int]:
    """The ids of the sampled tokens: with `logprobs: 0` vLLM tells no other."""
    try:
        steps = [step for item in found.reshape(-1) for step in json.loads(_bytes(item)) or ()]
        return [int(next(iter(step))) for step in steps]
    except (json.JSONDecodeError, TypeError, ValueError, StopIteration) as error:
        raise Malformed(f"the log probabilities cannot be read ({error})") from error


def prefix_cache(model: Served) -> str:
    """`on`, `off` or `unknown: why`, from the model's configuration."""
    said = str(model.config.get("parameters", {}).get(REUSE, {}).get("string_value", "")).lower()
    if said in ("true", "false"):
        return "on" if said == "true" else "off"
    return "unknown: the server does not say; switch it off (vLLM: enable_prefix_caching, TensorRT-LLM: " + REUSE + ")"

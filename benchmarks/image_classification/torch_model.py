"""EfficientNet-Lite0 in PyTorch, its batch norms folded into the convolutions before them."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from benchmarks._data import assets
from benchmarks.image_classification import architecture
from benchmarks.image_classification.architecture import Block, pads, renamed


class Unit(nn.Module):
    """Convolution, batch norm and, unless it projects, ReLU6."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> None:
        super().__init__()
        before, after = pads(kernel, stride)
        even = before == after
        self.border = () if even else (before, after, before, after)
        padding = before if even else 0
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False)
        self.norm: nn.Module = nn.BatchNorm2d(outputs, architecture.EPSILON)
        self.active: nn.Module = nn.ReLU6()

    def forward(self, image: Tensor) -> Tensor:
        """Features [n, outputs, h, w] of features [n, inputs, h * stride, w * stride]."""
        padded = functional.pad(image, self.border) if self.border else image
        features: Tensor = self.active(self.norm(self.conv(padded)))
        return features

    def fold(self) -> None:
        """Put the batch norm into the convolution."""
        self.conv, self.norm = fuse_conv_bn_eval(self.conv, self.norm), nn.Identity()


class Bottleneck(nn.Module):
    """One block of the architecture."""

    def __init__(self, block: Block) -> None:
        super().__init__()
        wide = block.wide
        self.expand = Unit(block.inputs, wide) if block.expansion > 1 else nn.Identity()
        self.depthwise = Unit(wide, wide, block.kernel, block.stride, groups=wide)
        self.project = Unit(wide, block.outputs)
        self.project.active = nn.Identity()
        self.skips = block.skips

    def forward(self, image: Tensor) -> Tensor:
        """Features of features."""
        features: Tensor = self.project(self.depthwise(self.expand(image)))
        return features + image if self.skips else features


class EfficientNetLite0(nn.Module):
    """Logits of ImageNet's 1,000 classes; random weights until some are loaded."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = Unit(3, architecture.STEM, 3, 2)
        self.blocks = nn.Sequential(*(Bottleneck(block) for block in architecture.blocks()))
        self.head = Unit(architecture.STAGES[-1][-1], architecture.HEAD)
        self.classifier = nn.Linear(architecture.HEAD, architecture.CLASSES)

    def forward(self, image: Tensor) -> Tensor:
        """Logits [n, 1000] of images [n, 3, 224, 224], channels RGB, pixels (p - 127) / 128."""
        features: Tensor = self.head(self.blocks(self.stem(image)))
        logits: Tensor = self.classifier(features.mean((2, 3)))
        return logits

    def folded(self) -> EfficientNetLite0:
        """The model in inference form."""
        self.eval()
        for unit in [each for each in self.modules() if isinstance(each, Unit)]:
            unit.fold()
        return self


def plain() -> EfficientNetLite0:
    """The published weights as they are, all 296 tensors of them."""
    network = EfficientNetLite0()
    file: Path = assets.resolve(architecture.ASSET) / architecture.FILE
    state = torch.load(file, map_location="cpu", weights_only=True)
    network.load_state_dict({renamed(key): value for key, value in state.items()}, strict=True)
    network.eval()
    return network


def model() -> nn.Module:
    """The network that the torch backend runs."""
    return plain().folded()

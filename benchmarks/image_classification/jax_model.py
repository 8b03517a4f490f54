"""EfficientNet-Lite0 in JAX: a function of parameters and batch, channels last inside, batch norms folded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks._data import assets
from benchmarks.image_classification import architecture
from benchmarks.image_classification.architecture import Block, pads, renamed
from benchmarks.image_classification.weights import tensors

Parameters = dict[str, np.ndarray]
LAYOUT = ("NHWC", "HWIO", "NHWC")


def model() -> tuple[Any, Parameters]:
    """The function and the published weights."""
    state = tensors(assets.resolve(architecture.ASSET) / architecture.FILE)
    return classify, folded({renamed(key): value for key, value in state.items()})


def classify(parameters: Mapping[str, Any], batch: Mapping[str, Any]) -> Sequence[Any]:
    """Logits [n, 1000] of `input` [n, 3, 224, 224]."""
    image = jnp.transpose(batch["input"], (0, 2, 3, 1))
    image = relu6(convolve(parameters, "stem", image, 3, 2))
    for number, block in enumerate(architecture.blocks()):
        image = bottleneck(parameters, f"blocks.{number}", image, block)
    image = relu6(convolve(parameters, "head", image))
    return (image.mean((1, 2)) @ parameters["classifier.weight"] + parameters["classifier.bias"],)


def bottleneck(parameters: Mapping[str, Any], name: str, image: Any, block: Block) -> Any:
    """One block of the architecture."""
    features = relu6(convolve(parameters, f"{name}.expand", image)) if block.expansion > 1 else image
    features = relu6(convolve(parameters, f"{name}.depthwise", features, block.kernel, block.stride))
    features = convolve(parameters, f"{name}.project", features)
    return features + image if block.skips else features


def convolve(parameters: Mapping[str, Any], name: str, image: Any, kernel: int = 1, stride: int = 1) -> Any:
    """A convolution with bias; depthwise where its weight has one input channel."""
    weight, bias = parameters[f"{name}.weight"], parameters[f"{name}.bias"]
    if weight.shape[2] == 1:
        return depthwise(weight, image, stride) + bias
    if kernel == 1:
        return image @ weight[0, 0] + bias
    return jax.lax.conv_general_dilated(
        image, weight, (stride, stride), [pads(kernel, stride)] * 2, dimension_numbers=LAYOUT
    ) + bias  # fmt: skip


def depthwise(weight: Any, image: Any, stride: int) -> Any:
    """A sum of shifted images: XLA's own depthwise convolution takes ten times as long on a CPU."""
    kernel, side = weight.shape[0], image.shape[1] // stride
    before, after = pads(kernel, stride)
    padded = jnp.pad(image, ((0, 0), (before, after), (before, after), (0, 0)))
    total = jnp.zeros((), image.dtype)
    for row in range(kernel):
        for column in range(kernel):
            rows, columns = (slice(start, start + side * stride, stride) for start in (row, column))
            total = total + padded[:, rows, columns] * weight[row, column, 0]
    return total


def relu6(image: Any) -> Any:
    """Between 0 and 6."""
    return jnp.clip(image, 0, 6)


def folded(state: Mapping[str, np.ndarray]) -> Parameters:
    """Weights [h, w, in, out] and biases of every convolution, its batch norm in them; and the classifier."""
    parameters = {"classifier.weight": state["classifier.weight"].T.copy(), "classifier.bias": state["classifier.bias"]}
    for key in state:
        name, found, _ = key.rpartition(".conv.weight")
        if found:
            norm = {part: state[f"{name}.norm.{part}"] for part in ("weight", "bias", "running_mean", "running_var")}
            scale = norm["weight"] / np.sqrt(norm["running_var"] + np.float32(architecture.EPSILON))
            weight = state[key] * scale[:, None, None, None]
            parameters[f"{name}.weight"] = np.ascontiguousarray(weight.transpose(2, 3, 1, 0))
            parameters[f"{name}.bias"] = norm["bias"] - norm["running_mean"] * scale
    return parameters

"""The tiny models as JAX functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.export
import numpy as np
from jax import numpy as jnp

from tests.backends import tiny

Function = Callable[[Mapping[str, Any], Mapping[str, Any]], list[Any]]


def _image(of: Mapping[str, Any], batch: Mapping[str, Any]) -> list[Any]:
    (pixels,) = batch.values()
    maps = jax.lax.conv(pixels, of["kernel"], (1, 1), "SAME") + of["shift"][:, None, None]
    pooled = jnp.maximum(maps, 0).mean(axis=(2, 3))
    return [pooled @ of["matrix"].T + of["bias"], pooled]


def _tokens(of: Mapping[str, Any], batch: Mapping[str, Any]) -> list[Any]:
    column = batch["mask"].astype(of["table"].dtype)[:, :, None]
    mean = (of["table"][batch["ids"]] * column).sum(axis=1) / column.sum(axis=1)
    return [mean @ of["matrix"].T + of["bias"]]


def _wide(of: Mapping[str, Any], batch: Mapping[str, Any]) -> list[Any]:
    (features,) = batch.values()
    return [features @ of["matrix"].T + of["bias"]]


def of(kind: str) -> tuple[Function, dict[str, np.ndarray]]:
    """Function and parameters, as a task's jax_model.py gives them."""
    return {"image": _image, "tokens": _tokens, "wide": _wide}[kind], tiny.weights(kind)


def write(kind: str, path: Path) -> None:
    """Write the model as jax.export has it: weights inside, an open batch axis, a dict of arrays as its argument."""
    function, parameters = of(kind)[0], jax.tree.map(jnp.asarray, tiny.weights(kind))
    (size,) = jax.export.symbolic_shape("n")
    kinds = {np.int64: jnp.int32, np.float32: jnp.float32}  # without x64, JAX takes int64 as int32
    arguments = {i.name: jax.ShapeDtypeStruct((size, *i.shape), kinds[i.dtype]) for i in tiny.INPUTS[kind]}
    exported = jax.export.export(jax.jit(lambda batch: function(parameters, batch)))(arguments)
    path.write_bytes(exported.serialize())

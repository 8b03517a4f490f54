"""The tiny models as SavedModels whose weights are constants."""

from __future__ import annotations

import shutil
from pathlib import Path

import tensorflow as tf

from tests.backends import tiny


def write(kind: str, path: Path) -> None:
    """Write the model into the folder of `path` or an archive, with the signature `serving_default`."""
    of = {name: tf.constant(array) for name, array in tiny.weights(kind).items()}
    function = {"image": _image, "tokens": _tokens, "wide": _wide}[kind]
    inputs = [tf.TensorSpec([None, *i.shape], tf.as_dtype(i.dtype), name=i.name) for i in tiny.INPUTS[kind]]
    module = tf.Module()
    module.serve = tf.function(lambda *arrays: function(of, *arrays), input_signature=inputs)
    folder = path.parent / "folder" if path.suffix == ".zip" else path.parent
    tf.saved_model.save(module, str(folder), signatures=module.serve.get_concrete_function())
    if path.suffix == ".zip":
        shutil.make_archive(str(path.with_suffix("")), "zip", folder)


def _image(of: dict[str, tf.Tensor], pixels: tf.Tensor) -> dict[str, tf.Tensor]:
    last, kernel = tf.transpose(pixels, [0, 2, 3, 1]), tf.transpose(of["kernel"], [2, 3, 1, 0])
    maps = tf.nn.relu(tf.nn.conv2d(last, kernel, 1, "SAME") + of["shift"])
    pooled = tf.reduce_mean(maps, axis=[1, 2])
    return {"logits": tf.matmul(pooled, of["matrix"], transpose_b=True) + of["bias"], "pooled": pooled}


def _tokens(of: dict[str, tf.Tensor], ids: tf.Tensor, mask: tf.Tensor) -> dict[str, tf.Tensor]:
    column = tf.cast(mask, tf.float32)[:, :, None]
    mean = tf.reduce_sum(tf.gather(of["table"], ids) * column, 1) / tf.reduce_sum(column, 1)
    return {"logits": tf.matmul(mean, of["matrix"], transpose_b=True) + of["bias"]}


def _wide(of: dict[str, tf.Tensor], features: tf.Tensor) -> dict[str, tf.Tensor]:
    return {"logits": tf.matmul(features, of["matrix"], transpose_b=True) + of["bias"]}

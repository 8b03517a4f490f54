"""MiniLM: padding, mean pooling and normalisation around the encoder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from loadgen_harness.errors import BadInput
from loadgen_harness.sut import BatchSUT


class SUT(BatchSUT):
    """A response is the text's embedding: 384 float32 of length 1."""

    def collate(self, samples: list[Any]) -> Mapping[str, np.ndarray]:
        """Token ids padded to the batch's longest, with their mask."""
        ids = np.zeros((len(samples), max(map(len, samples))), np.int64)
        mask = np.zeros_like(ids)
        for row, sample in enumerate(samples):
            ids[row, : len(sample)] = sample
            mask[row, : len(sample)] = 1
        return {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}

    def cost(self, sample: Any) -> float:
        """Tokens: texts of one length together need no padding."""
        return len(sample)

    def run_model(self, batch: Mapping[str, np.ndarray]) -> Sequence[np.ndarray]:
        """The embeddings of one batch: pooling needs the mask, which `respond` does not see."""
        hidden = self.backend.predict(batch)[0]
        if hidden is batch["input_ids"]:  # the null backend's echo, for measuring the harness: nothing to pool
            return [hidden]
        if hidden.ndim != 3:
            raise BadInput("text_similarity needs a backend that returns one vector per token: use onnxruntime.")
        return [pool(hidden, batch["attention_mask"])]

    def respond(self, outputs: Sequence[np.ndarray]) -> np.ndarray:
        """Embeddings [n, 384]."""
        return outputs[0]


def pool(hidden: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The normalised mean over each text's tokens: [n, tokens, d] and [n, tokens] give [n, d].

    Padding adds exact zeros in token order, so that a text's embedding does not depend on its batch.
    """
    means = (hidden * mask[..., None].astype(hidden.dtype)).sum(axis=1)
    return np.asarray(means / np.linalg.norm(means, axis=1, keepdims=True))

"""Stable Diffusion XL: FID and CLIP score from features of the very images in the log, made elsewhere with the models.

`features.npz` holds per image: index, sha256 (hexadecimal, of the response), inception [n, 2048], clip_image and
clip_text [n, d]. The digests tie the features to the log; which network made them the file cannot prove.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from audit.metrics import labels
from audit.metrics.log import first_responses
from benchmarks._metrics.frechet import Normal, frechet, interval
from benchmarks._metrics.means import mean
from loadgen_harness.errors import BadInput
from loadgen_harness.run import Run
from loadgen_harness.types import Score

PIXELS = 1024 * 1024 * 3  # uint8 [1024, 1024, 3]
ARRAYS = ("index", "sha256", "inception", "clip_image", "clip_text")


def score(run: Run, data: Path | None) -> list[Score]:
    """FID_SCORE and CLIP_SCORE; `data` is a folder with features.npz and the reference's val2014.npz (mu, sigma)."""
    root = labels.folder(data)
    features = _arrays(labels.find(root, "features.npz"), ARRAYS)
    statistics = _arrays(labels.find(root, "val2014.npz", "*/val2014.npz"), ("mu", "sigma"))
    _check(run, features)
    inception = features["inception"].astype(np.float64)
    if inception.ndim != 2 or inception.shape[1:] != statistics["mu"].shape:
        raise BadInput(
            f"features.npz has features {inception.shape}, val2014.npz of {statistics['mu'].shape}: make both alike."
        )
    wanted = Normal(statistics["mu"], statistics["sigma"])
    value, (low, high) = frechet(inception, wanted), interval(inception, wanted)
    return [
        Score("FID_SCORE", value, low, high, len(inception), "jackknife (10)"),
        mean("CLIP_SCORE", _cosines(features["clip_image"], features["clip_text"]), scale=100),
    ]


def _cosines(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    first, second = first.astype(np.float64), second.astype(np.float64)
    norms = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    return np.asarray((first * second).sum(axis=1) / norms)


def _check(run: Run, features: Mapping[str, np.ndarray]) -> None:
    """Every image of the log has its row, made of these very bytes; one image is held at a time."""
    known = {int(index): str(digest) for index, digest in zip(features["index"], features["sha256"], strict=True)}
    seen = 0
    for response in first_responses(run):
        if len(response.data) != PIXELS:
            raise BadInput(
                f"the response to sample {response.qsl_idx} is no image of 1024 x 1024: is this the log of SDXL?"
            )
        if known.get(response.qsl_idx, "") != hashlib.sha256(response.data).hexdigest():
            raise BadInput(
                f"features.npz was not made of the image of sample {response.qsl_idx} in this log: make it anew."
            )
        seen += 1
    if seen != len(known):
        raise BadInput(f"features.npz has {len(known)} images, the log {seen}: make the features of this log alone.")


def _arrays(path: Path, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            found = {name: archive[name] for name in names}
    except Exception as error:  # numpy's readers raise whatever zip, zlib and their parser of headers do
        raise BadInput(f"{path} lacks {', '.join(names)} as plain arrays ({error}): make it anew.") from error
    rows = {len(found[name]) for name in names if name in ARRAYS}
    if len(rows) > 1:
        raise BadInput(f"{path} has arrays of different lengths: one row per image is wanted.")
    return found

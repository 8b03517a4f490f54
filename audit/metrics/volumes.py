"""3D U-Net: one label per voxel of a KiTS19 case, compared with its segmentation."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np

from audit.metrics import labels
from audit.metrics.log import responses, within
from benchmarks._metrics.dice import dice
from benchmarks._metrics.integers import VOXELS, integers
from benchmarks._metrics.means import mean
from loadgen_harness.errors import BadInput
from loadgen_harness.run import Run
from loadgen_harness.types import Score

KIDNEY, TUMOR = 1, 2


def score(run: Run, data: Path | None) -> list[Score]:
    """Mean Dice coefficients; `data` is the reference's preprocessed data with nifti/case_*/segmentation.nii.gz.

    One volume at a time is held; cases stand in the order of their names, as in the reference's list.
    """
    root = labels.folder(data)
    cases = sorted(root.glob("nifti/case_*/segmentation.nii.gz")) or sorted(root.glob("case_*/segmentation.nii.gz"))
    if not cases:
        raise BadInput(f"{root} holds no nifti/case_*/segmentation.nii.gz: give the preprocessed data of 3d-unet.")
    found: dict[int, list[float]] = {}
    for response in responses(run):
        index = within(response, len(cases), str(root))
        found[index] = _case(response.data, cases[index])
    if len(found) != len(cases):
        raise BadInput(
            f"the log holds {len(found)} cases and {root} {len(cases)}: indices mean nothing unless all are there."
        )
    rows = np.array([found[index] for index in sorted(found)])
    return [mean("DICE", rows.mean(axis=1)), mean("kidney", rows[:, 0]), mean("tumor", rows[:, 1])]


def _case(answer: bytes, path: Path) -> list[float]:
    try:
        wanted = np.asarray(nibabel.load(path).dataobj).astype(np.uint8)
    except Exception as error:  # nibabel raises whatever gzip, zlib and its parsers of headers do
        raise BadInput(f"{path} is no readable segmentation ({error}): preprocess the data set again.") from error
    fitting = [kind for kind in VOXELS if np.dtype(kind).itemsize * wanted.size == len(answer)]
    if not fitting:
        raise BadInput(
            f"a response of {len(answer)} bytes is not one label for each voxel of {wanted.shape} in {path}."
        )
    labelled = integers([answer], fitting, largest=TUMOR)[0].reshape(wanted.shape)
    return dice(labelled, wanted, (KIDNEY, TUMOR))

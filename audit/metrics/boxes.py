"""RetinaNet and YOLO: rows of seven float32 a sample: index, ymin, xmin, ymax, xmax (as shares), score, category."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from audit.metrics import labels
from audit.metrics.log import first_responses, within
from benchmarks._metrics.detection import mean_average_precision
from loadgen_harness.errors import BadInput
from loadgen_harness.run import Run
from loadgen_harness.types import Score

FIELDS = 7
FILES = (
    "annotations/openimages-mlperf.json",
    "openimages-mlperf.json",
    "annotations/instances_val2017_safe.json",
    "annotations/instances_val2017.json",
    "instances_val2017*.json",
)


def score(run: Run, data: Path | None) -> list[Score]:
    """mAP in percent of the images in the log; `data` is the data set's annotation file in COCO's format."""
    path = labels.find(data, *FILES)
    annotations = labels.document(path)
    try:
        images = [(image["id"], image["height"], image["width"]) for image in annotations["images"]]
    except (KeyError, TypeError) as error:
        raise BadInput(f"{path} holds no images in COCO's format ({error!r}): give the annotation file.") from error
    rows, judged = [], []
    for response in first_responses(run):
        index = within(response, len(images), str(path))
        judged.append(images[index][0])
        rows.append(_boxes(response.data, index, images[index]))
    return [mean_average_precision(annotations, np.concatenate(rows), judged)]


def _boxes(data: bytes, index: int, image: tuple[int, int, int]) -> np.ndarray:
    """Rows of image id, x, y, width, height, score, category; sizes are computed in float32 as in the reference."""
    if len(data) % 4:
        raise BadInput(f"the response to sample {index} is not made of float32: is this a detection log?")
    values = np.frombuffer(data, "<f4")
    if len(values) < FIELDS:  # the reference writes less than a box where there is none
        return np.empty((0, FIELDS))
    if len(values) % FIELDS:
        raise BadInput(f"the response to sample {index} is not made of boxes of {FIELDS} numbers.")
    number, height, width = image
    box = values.reshape(-1, FIELDS)
    if (box[:, 0].astype(np.int64) != index).any():
        raise BadInput(
            f"the response to sample {index} says it belongs to sample {int(box[0, 0])}: the answers are mixed up."
        )
    top, left, bottom, right = box[:, 1] * height, box[:, 2] * width, box[:, 3] * height, box[:, 4] * width
    sides = np.column_stack([left, top, right - left, bottom - top]).astype(np.float64)
    return np.column_stack([np.full(len(box), number), sides, box[:, 5], box[:, 6].astype(np.int64)])

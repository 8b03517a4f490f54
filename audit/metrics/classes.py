"""Benchmarks that answer one class number a sample: resnet50 and rgat."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from audit.metrics import labels
from audit.metrics.log import first_responses, within
from benchmarks._metrics.integers import CLASSES, single
from benchmarks._metrics.means import proportion
from loadgen_harness.errors import BadInput
from loadgen_harness.run import Run
from loadgen_harness.types import Score

PAPERS = "full/processed/paper/node_label_2K.npy"
VALIDATION = "full/processed/val_idx.pt"
NPY = b"\x93NUMPY"


def imagenet(run: Run, data: Path | None) -> list[Score]:
    """Top-1 accuracy in percent: the log's class numbers against val_map.txt (image name and class per line)."""
    path = labels.find(data, "val_map.txt", "*/val_map.txt")
    try:
        rows = [line.split() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        wanted = np.array([int(row[1]) for row in rows])
    except (OSError, ValueError, IndexError) as error:
        raise BadInput(f"{path} is no list of image names with their classes ({error}): give val_map.txt.") from error
    return [_accuracy(run, wanted, path, scale=100)]


def papers(run: Run, data: Path | None) -> list[Score]:
    """Accuracy as a fraction, like the target: IGBH's classes of the validation papers; the checker reads percent."""
    root = labels.folder(data)
    paths = [next((base / name for base in (root, *root.glob("*")) if (base / name).is_file()), None) for name in NAMES]
    if not all(paths):
        raise BadInput(f"{root} holds no {' and '.join(NAMES)}: give the folder of the IGBH data set.")
    nodes, validation = (path for path in paths if path)
    return [_accuracy(run, _chosen(_node_labels(nodes), _tensor(validation), validation), nodes, scale=1)]


NAMES = (PAPERS, VALIDATION)


def _accuracy(run: Run, wanted: np.ndarray, path: Path, *, scale: float) -> Score:
    found = list(first_responses(run))
    indices = [within(response, len(wanted), str(path)) for response in found]
    answers = single([response.data for response in found], CLASSES)
    return proportion("acc", int(np.sum(answers == wanted[indices])), len(found), scale=scale)


def _node_labels(path: Path) -> np.ndarray:
    """float32 class per paper: the full data set's file has no header although it is called .npy."""
    try:
        with path.open("rb") as file:
            has_header = file.read(len(NPY)) == NPY
        found: np.ndarray = np.load(path, mmap_mode="r") if has_header else np.memmap(path, "<f4", "r")
    except Exception as error:  # numpy's reader of headers raises whatever its parser and mmap do
        raise BadInput(f"{path} is no array of classes ({error}): give the data set's own file.") from error
    return found


def _chosen(classes: np.ndarray, papers_: np.ndarray, path: Path) -> np.ndarray:
    """The classes of the validation papers as whole numbers."""
    if classes.ndim != 1 or classes.dtype.kind not in "fiu":
        raise BadInput(f"the classes are {classes.dtype} {classes.shape}: give node_label_2K.npy of the data set.")
    if len(papers_) and not 0 <= papers_.min() <= papers_.max() < len(classes):
        raise BadInput(f"{path} names papers beyond the {len(classes)} that have classes: give files of one data set.")
    kept = np.nan_to_num(classes[papers_], nan=-1, posinf=-1, neginf=-1)
    return np.asarray(kept.clip(-1, 1 << 31)).astype(np.int64)


def _tensor(path: Path) -> np.ndarray:
    """The int64 numbers of a tensor file of PyTorch, which is a zip archive; its pickle is not opened."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            storages = [name for name in names if "/data/" in name]
            kind = archive.read(next(name for name in names if name.endswith("data.pkl")))
            if len(storages) != 1 or b"LongStorage" not in kind:
                raise BadInput(f"{path} is not one tensor of int64: give the data set's own val_idx.pt.")
            return np.frombuffer(archive.read(storages[0]), "<i8")
    except (OSError, StopIteration, ValueError, zipfile.BadZipFile) as error:
        raise BadInput(f"{path} is no tensor file of PyTorch ({error}): give the data set's own val_idx.pt.") from error

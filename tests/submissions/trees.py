"""A submission generated from the golden runs, as the tests of generate, check and official share it."""

from __future__ import annotations

from pathlib import Path

from audit.compliance import test01, test04
from loadgen_harness.types import Division, Scenario
from submissions.generate import Entry, Submission, generate
from tests.submissions.folders import RESNET50, golden

ACCURACY = "accuracy=76.502%, good=38251, total=50000\n"
SYSTEM = {
    "status": "available",
    "system_type": "edge",
    "number_of_nodes": 1,
    "host_processor_model_name": "Toy CPU",
    "host_processors_per_node": 1,
    "host_processor_core_count": 2,
    "host_memory_capacity": "24 GiB",
    "accelerators_per_node": 0,
    "framework": "toy 0.1",
    "operating_system": "Debian 12",
}


def meta(division: Division = Division.CLOSED) -> Submission:
    """Who submits what system."""
    return Submission("Acme", "toybox_1x_cpu", SYSTEM, division)


def entry(shared: Path, runs: Path, scenario: Scenario) -> Entry:
    """One closed result with its compliance tests, verified from whole logs."""
    parts = {
        part: golden(shared, runs / scenario.value / part, scenario.value, part)
        for part in ("performance", "accuracy", "TEST01", "TEST04")
    }
    settings = {
        "TEST01": {"accuracy_log_sampling_target": 4096.0},
        "TEST04": {"performance_issue_same": 1.0, "performance_issue_same_index": 3.0},
    }
    tests = {"TEST01": test01.TEST, "TEST04": test04.TEST}
    compliance = {
        name: (
            parts[name],
            test.verify(parts["performance"], parts["accuracy"], parts[name], settings=settings[name]),
        )
        for name, test in tests.items()
    }
    return Entry(RESNET50, scenario, parts["performance"], parts["accuracy"], ACCURACY, compliance)


def closed(shared: Path, runs: Path, output: Path) -> Path:
    """The closed Edge tree of resnet50 in its three scenarios, not yet truncated."""
    scenarios = (Scenario.SINGLE_STREAM, Scenario.MULTI_STREAM, Scenario.OFFLINE)
    return generate([entry(shared, runs, scenario) for scenario in scenarios], meta(), output)


def opened(shared: Path, runs: Path, output: Path) -> Path:
    """An open tree with one custom model."""
    performance, accuracy = (
        golden(shared, runs / "Offline" / part, "Offline", part) for part in ("performance", "accuracy")
    )
    own = Entry(RESNET50, Scenario.OFFLINE, performance, accuracy, ACCURACY, name="my-toy-net")
    return generate([own], meta(Division.OPEN), output)

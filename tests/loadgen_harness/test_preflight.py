"""What `lgh preflight` finds: settings by rehearsal, names of models, the machine, the system, data, bandwidth."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from audit.finding import Severity, errors
from loadgen_harness import cli, described_system, durable, machine_ecc, machine_state, plan, preflight, road
from loadgen_harness.errors import BadInput
from loadgen_harness.types import Division
from submissions.system import NETWORK, of_machine
from tests.loadgen_harness.plans import jobs, written


def test_clocks() -> None:
    assert list(machine_state.clocks(True)) == []
    assert [each.severity for each in machine_state.clocks(False)] == [Severity.WARNING]
    assert [each.severity for each in machine_state.clocks(None)] == [Severity.NOTE]
    assert machine_state.synchronised() in (True, False, None)


def test_disk(tmp_path: Path) -> None:
    output = tmp_path / "not" / "there"
    assert list(machine_state.disk(output, 1)) == []
    assert [each.severity for each in machine_state.disk(output, 1 << 60)] == [Severity.ERROR]
    free = durable.room(tmp_path)
    assert [each.severity for each in machine_state.disk(output, int(free / 1.5))] == [Severity.WARNING]
    assert not output.exists()


def test_heat_and_governors(tmp_path: Path) -> None:
    assert list(machine_state.heat(tmp_path)) == list(machine_state.governors(tmp_path)) == []
    zone = tmp_path / "sys/class/thermal/thermal_zone0"
    policy = tmp_path / "sys/devices/system/cpu/cpu1/cpufreq"
    zone.mkdir(parents=True)
    policy.mkdir(parents=True)
    for name, text in (("type", "x86_pkg"), ("temp", "45000"), ("trip_point_0_type", "passive")):
        (zone / name).write_text(f"{text}\n")
    (zone / "trip_point_0_temp").write_text("95000\n")
    (policy / "scaling_governor").write_text("performance\n")
    assert list(machine_state.heat(tmp_path)) == list(machine_state.governors(tmp_path)) == []
    (zone / "temp").write_text("91000\n")
    (policy / "scaling_governor").write_text("powersave\n")
    assert [each.found for each in machine_state.heat(tmp_path)] == ["91 °C"]
    assert [each.found for each in machine_state.governors(tmp_path)] == ["powersave"]


def test_a_clock_that_is_kept_low(tmp_path: Path) -> None:
    policy = tmp_path / "sys/devices/system/cpu/cpu1/cpufreq"
    policy.mkdir(parents=True)
    for name, text in (("scaling_max_freq", "4100000"), ("cpuinfo_max_freq", "4100000")):
        (policy / name).write_text(f"{text}\n")
    assert list(machine_state.clock_caps(tmp_path)) == []
    (policy / "scaling_max_freq").write_text("2000000\n")
    assert [(each.check, each.found) for each in machine_state.clock_caps(tmp_path)] == [
        ("clock-cap", "2.00 GHz at most")
    ]


def test_gpus() -> None:
    calm = ["Default", "Not Active", "Not Active"]
    assert list(machine_state.gpus([], [calm, calm])) == []
    found = list(machine_state.gpus([["42", "train.py", "900"]], [calm, ["Prohibited", "Not Active", "Active"]]))
    assert [(each.check, each.key) for each in found] == [
        ("gpu-shared", "compute-apps"),
        ("gpu-thermal", "GPU 1"),
        ("gpu-shared", "GPU 1"),
    ]


def test_error_correction_of_gpus() -> None:
    def found(*row: str, datacenter: bool = True) -> list[tuple[Severity, str]]:
        return [(each.severity, each.found) for each in machine_ecc.gpus([row], datacenter=datacenter)]

    assert found("Enabled", "0") == []
    assert found("Disabled", "[N/A]") == [(Severity.ERROR, "disabled")]
    assert found("[N/A]", "[N/A]") == [(Severity.ERROR, "none")]
    assert found("Disabled", "0", datacenter=False) == []
    assert found("Enabled", "3", datacenter=False)[0][0] is Severity.WARNING


def test_error_correction_of_the_host(tmp_path: Path) -> None:
    def found(modules: str, *, datacenter: bool = True) -> list[Severity]:
        return [each.severity for each in machine_ecc.host(modules, datacenter=datacenter, root=tmp_path)]

    assert found("\tError Correction Type: Multi-bit ECC\n") == []
    assert found("\tError Correction Type: None\n") == [Severity.ERROR]
    assert found("\tError Correction Type: None\n", datacenter=False) == []
    assert found("") == [Severity.NOTE]
    controller = tmp_path / "sys/devices/system/edac/mc/mc0"
    controller.mkdir(parents=True)
    (controller / "ue_count").write_text("0\n")
    assert found("") == []
    (controller / "ue_count").write_text("2\n")
    assert found("", datacenter=False) == [Severity.WARNING]


def test_an_audit_config_that_was_left_over(tmp_path: Path) -> None:
    assert list(machine_state.leftovers(tmp_path)) == []
    (tmp_path / "audit.config").touch()
    assert [each.check for each in machine_state.leftovers(tmp_path)] == ["audit-config"]


def test_code_is_a_commit(tmp_path: Path) -> None:
    def git(*words: str) -> None:
        identity = ("-c", "user.name=x", "-c", "user.email=x@example.org")
        subprocess.run(["git", *identity, "-C", str(tmp_path), *words], check=True, capture_output=True)

    assert [each.severity for each in machine_state.code(tmp_path, Division.CLOSED)] == [Severity.NOTE]
    git("init")
    (tmp_path / "a.py").write_text("1")
    git("add", "a.py")
    git("commit", "-m", "x")
    clean = list(machine_state.code(tmp_path, Division.CLOSED))
    assert [each.severity for each in clean] == [Severity.NOTE]
    assert len(clean[0].found) == 12
    (tmp_path / "a.py").write_text("2")
    assert [each.severity for each in machine_state.code(tmp_path, Division.CLOSED)] == [Severity.WARNING]
    assert [each.severity for each in machine_state.code(tmp_path, Division.OPEN)] == [Severity.NOTE]


def test_system_descriptions() -> None:
    named = {"submitter": "Me", "system_name": "box"}
    assert list(described_system.complete(None, named)) == []
    assert [each.key for each in described_system.complete(None, {})] == ["submitter", "system_name"]
    whole = of_machine(submitter="Me", division="closed", system_name="x", system_type="edge", framework="null")
    assert list(described_system.complete(whole, {})) == []
    bad = {**whole, "status": "someday", "number_of_nodes": "N/A"}
    found = list(described_system.complete(bad, {}))
    assert {each.key for each in found} == {"status", "number_of_nodes"}
    assert errors(found) == found
    open_ = list(described_system.complete({**whole, "framework": "N/A", "cooling": "N/A"}, {}))
    assert [(each.key, each.severity) for each in open_] == [("framework", Severity.WARNING)]
    networked = {each.key for each in described_system.complete(whole, {}, Division.NETWORK)}
    assert networked == {"is_network", "system_type", *NETWORK}
    unstated = {each.key for each in described_system.complete(None, named, Division.NETWORK)}
    assert unstated == {*NETWORK}


@pytest.mark.parametrize(("text", "count", "gbit"), [
    ("100GbE", "2", 200), ("2x 100 GbE", "2", 200), ("InfiniBand 400Gb/s; Ethernet 10 Gigabit", "1", 400),
    ("25 GB/s per card", "N/A", 200), ("Gig Ethernet", "1", None), ("16 GB memory", "1", None),
    ("N/A", "10x 400Gbe", 4000),
])  # fmt: skip
def test_the_bandwidth_that_a_description_states(text: str, count: str, gbit: float | None) -> None:
    found = described_system.declared({"host_networking": text, "host_network_card_count": count})
    assert found == (None if gbit is None else pytest.approx(gbit * 1e9 / 8))


def test_bandwidth_of_datacenter_systems() -> None:
    def found(networking: str, suite: str = "datacenter") -> list[tuple[str, Severity]]:
        described = {"system_type": suite, "host_networking": networking}
        return [(e.key, e.severity) for e in described_system.bandwidth("resnet50", 40_000, "fp32", described)]

    assert found("10GbE") == [("ingress", Severity.ERROR)]  # 24.1 GB/s are demanded
    assert found("200GbE") == []
    assert found("Ethernet") == [("ingress", Severity.WARNING)]
    assert found("10GbE", "edge") == []


def arguments(verb: str, file: Path, folder: Path, *more: str) -> argparse.Namespace:
    args = cli.build().parse_args([verb, str(file), "--output", str(folder / "out"), *more])
    args.round = ""
    return args


def test_the_verb(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = written(tmp_path, division="open", overrides="min_duration = 20000")
    assert preflight.preflight_(arguments("preflight", bad, tmp_path, "--only", "performance", "--format", "json")) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["ok"] is False
    assert "duration-setting" in {each["check"] for each in told["findings"]}
    with pytest.raises(BadInput, match="no run of the plan matches"):
        preflight.preflight_(arguments("preflight", bad, tmp_path, "--only", "nothing"))
    good = written(tmp_path)
    assert preflight.preflight_(arguments("preflight", good, tmp_path, "--only", "performance")) == 0
    assert "preflight: " in capsys.readouterr().out
    assert not (tmp_path / "out").exists()


def test_an_error_stops_a_campaign_before_it_begins(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = written(tmp_path, division="open", overrides="min_duration = 20000")
    assert road.campaign_(arguments("campaign", file, tmp_path, "--only", "performance")) == 1
    said = capsys.readouterr().out
    assert "nothing was run" in said
    assert not (tmp_path / "out").exists()


def test_a_round_of_our_own_asks_for_nothing_that_only_a_submission_needs(tmp_path: Path) -> None:
    def weights(round_: str) -> dict[str, Severity]:
        chosen = replace(plan.read(written(tmp_path, round=round_, name="resnet50")), submission={}, round=round_)
        flight = preflight.Flight(chosen, jobs(tmp_path, "Offline", kind="accuracy"), tmp_path)
        return {each.key: each.severity for each in preflight.findings(flight)}

    assert weights("v6.1")["submitter"] is Severity.WARNING
    assert weights("mini")["submitter"] is Severity.NOTE


def test_the_logs_of_a_plan_are_estimated(tmp_path: Path) -> None:
    hinted = jobs(tmp_path, overrides="target_latency = 2", kind="performance")[0]
    assert 20e6 < preflight.log_bytes(hinted) < 60e6  # 300,000 rows
    assert preflight.log_bytes(jobs(tmp_path, kind="accuracy")[0]) > 50_000 * 256


def test_runs_of_this_suite_are_no_network_submission(tmp_path: Path) -> None:
    chosen = plan.read(written(tmp_path, "Offline", division="network", suite="datacenter"))
    flight = preflight.Flight(chosen, jobs(tmp_path, "Offline", division="network", kind="TEST04"), tmp_path)
    found = [each for each in preflight.findings(flight) if each.key == "division"]
    assert [(each.check, each.severity) for each in found] == [("plan-setting", Severity.ERROR)]


def test_a_datacenter_system_is_asked_for_its_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "dmidecode"
    program.write_text("#!/bin/sh\nprintf '\\tError Correction Type: None\\n'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(machine_ecc, "ROOT", tmp_path)

    def severities(**more: str) -> list[Severity]:
        chosen = plan.read(written(tmp_path, "Offline", **more))
        flight = preflight.Flight(chosen, jobs(tmp_path, "Offline", kind="TEST04", **more), tmp_path, trials=False)
        return [each.severity for each in preflight.findings(flight) if each.check == "ecc"]

    assert severities(suite="datacenter,edge") == [Severity.ERROR]
    assert severities(suite="datacenter,edge", division="open") == []
    assert severities(suite="edge") == []


def test_meters_of_a_plan_must_measure_here() -> None:
    assert list(preflight.meters([])) == list(preflight.meters(["auto"])) == []
    found = list(preflight.meters(["no_such_meter", "replay"]))
    assert [(each.check, each.key, each.severity) for each in found] == [
        ("meter", "no_such_meter", Severity.ERROR),
        ("meter", "replay", Severity.ERROR),
    ]

"""What `lgh preflight` finds: settings by rehearsal, names of models, the machine, the system, data, bandwidth."""

from __future__ import annotations

import argparse
import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from audit.finding import Severity, errors
from loadgen_harness import cli, described_system, durable, machine_state, plan, preflight, road
from loadgen_harness.errors import BadInput
from loadgen_harness.plan import Job
from loadgen_harness.types import Division
from submissions.system import of_machine

PLAN = """
round = "{round}"
division = "{division}"
[submission]
submitter = "Me"
system_name = "box"
system_type = "{suite}"
[[benchmark]]
name = "{name}"
backend = "null"
scenarios = ["{scenario}"]
overrides = {{ {overrides} }}
"""
USUAL = {"round": "v6.1", "division": "closed", "suite": "edge", "name": "resnet50", "overrides": ""}


def written(folder: Path, scenario: str = "SingleStream", **more: str) -> Path:
    """A plan of one benchmark in one scenario."""
    file = folder / "plan.toml"
    file.write_text(PLAN.format(**{**USUAL, "scenario": scenario, **more}), encoding="utf-8")
    return file


def jobs(folder: Path, scenario: str = "SingleStream", *, kind: str = "", **more: str) -> list[Job]:
    """The jobs of such a plan, all or those of one kind."""
    found = plan.jobs(plan.read(written(folder, scenario, **more)), folder / "out")
    return [job for job in found if job.key.endswith(kind)]


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


def test_gpus() -> None:
    assert list(machine_state.gpus([], [["Not Active", "Not Active"]])) == []
    found = machine_state.gpus([["42", "train.py", "900"]], [["Not Active", "Active"]])
    assert [each.check for each in found] == ["gpu-shared", "gpu-thermal"]


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


def test_system_descriptions(tmp_path: Path) -> None:
    named = {"submitter": "Me", "system_name": "box"}
    assert list(described_system.complete(None, named, network=False)) == []
    assert [each.key for each in described_system.complete(None, {}, network=False)] == ["submitter", "system_name"]
    whole = of_machine(submitter="Me", division="closed", system_name="x", system_type="edge", framework="null")
    assert list(described_system.complete(whole, {}, network=False)) == []
    bad = {**whole, "status": "someday", "number_of_nodes": "N/A"}
    found = list(described_system.complete(bad, {}, network=False))
    assert {each.key for each in found} == {"status", "number_of_nodes"}
    assert errors(found) == found
    file = tmp_path / "s.json"
    for text in ("[]", "{"):
        file.write_text(text)
        with pytest.raises(BadInput, match="lgh system"):
            described_system.read(file)


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
    assert road.campaign_(arguments("campaign", file, tmp_path)) == 1
    said = capsys.readouterr().out
    assert "nothing was run" in said
    assert not (tmp_path / "out").exists()


def test_a_round_of_our_own_asks_for_nothing_that_only_a_submission_needs(tmp_path: Path) -> None:
    def weights(round_: str) -> dict[str, Severity]:
        chosen = replace(plan.read(written(tmp_path, round=round_, name="resnet50")), submission={}, round=round_)
        flight = preflight.Flight(chosen, jobs(tmp_path, kind="accuracy"), tmp_path)
        return {each.key: each.severity for each in preflight.findings(flight)}

    assert weights("v6.1")["submitter"] is Severity.WARNING
    assert weights("mini")["submitter"] is Severity.NOTE


def test_the_logs_of_a_plan_are_estimated(tmp_path: Path) -> None:
    hinted = jobs(tmp_path, overrides="target_latency = 2", kind="performance")[0]
    assert 20e6 < preflight.log_bytes(hinted) < 60e6  # 300,000 rows
    assert preflight.log_bytes(jobs(tmp_path, kind="accuracy")[0]) > 50_000 * 256

"""What a stand-in machine is seen to be: processors, memory, disks, cards and GPUs."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadgen_harness import system, system_survey
from submissions.system import REQUIRED, faults
from tests.loadgen_harness import machines


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of programs, empty yet, that is all of PATH."""
    machines.path_of(tmp_path / "bin", monkeypatch)
    return tmp_path / "bin"


def test_server(tmp_path: Path, bare: Path) -> None:
    seen = system_survey.seen(machines.server(tmp_path / "root"))
    assert seen["host_processor_model_name"] == "Toy Xeon"
    assert (seen["host_processors_per_node"], seen["host_processor_core_count"]) == ("2", "2")
    assert seen["host_processor_frequency"] == "800 MHz (min); 2100 MHz (base); 4100 MHz (boost)"
    assert seen["host_processor_caches"] == "L1d cache: 192 KiB (4 instances); L3 cache: 64 MiB (2 instances)"
    assert seen["host_processor_interconnect"] == "2 NUMA nodes, distances 10 to 21"
    assert (seen["host_memory_capacity"], seen["host_memory_configuration"]) == ("32 GiB", "N/A")
    assert seen["host_storage_capacity"] == "2x 3.84 TB; 1 TB"
    assert seen["host_storage_type"] == "Toy P5 NVMe SSD; Toy Disk HDD"
    assert seen["host_networking"] == "2x 25 Gbit/s Ethernet; 1x InfiniBand"
    assert seen["host_network_card_count"] == "2"
    assert (seen["accelerators_per_node"], seen["accelerator_model_name"]) == ("0", "N/A")
    assert seen["operating_system"].startswith("Toy Linux 1 (")
    assert seen.keys() <= {*REQUIRED}


def test_memory_modules_where_root_may_look(tmp_path: Path, bare: Path) -> None:
    machines.program(bare, "dmidecode", machines.DMI.format(modules=machines.MODULE * 2 + machines.EMPTY))
    seen = system_survey.seen(machines.server(tmp_path / "root"))
    assert seen["host_memory_capacity"] == "32 GB"
    assert seen["host_memory_configuration"] == "2x 16 GB DDR5 (Toy T16 4800 MT/s), Multi-bit ECC"


def test_dmidecode_without_permission_is_no_memory(tmp_path: Path, bare: Path) -> None:
    machines.program(bare, "dmidecode", machines.DMI.format(modules=machines.MODULE) + "; exit 1")
    assert system_survey.seen(machines.server(tmp_path / "root"))["host_memory_configuration"] == "N/A"


def test_gpus(tmp_path: Path, bare: Path) -> None:
    machines.program(bare, "nvidia-smi", machines.SMI.format(full=machines.FULL))
    seen = system_survey.seen(machines.server(tmp_path / "root"))
    assert {key: value for key, value in seen.items() if key.startswith("accelerator")} == {
        "accelerators_per_node": "2",
        "accelerator_model_name": "Toy H100",
        "accelerator_memory_capacity": "80 GiB",
        "accelerator_frequency": "1980 MHz (max)",
        "accelerator_host_interconnect": "PCIe Gen5 x16",
        "accelerator_memory_configuration": "2619 MHz, ECC enabled",
        "accelerator_interconnect": "NVLink, 2 links of 26.562 GB/s each",
        "accelerator_interconnect_topology": "NV2 between all pairs",
    }
    assert "NVIDIA driver 580.65" in seen["other_software_stack"]


def test_an_old_nvidia_smi_that_refuses_a_field(tmp_path: Path, bare: Path) -> None:
    machines.program(bare, "nvidia-smi", machines.SMI.format(full="exit 2"))
    seen = system_survey.seen(machines.server(tmp_path / "root"))
    assert (seen["accelerators_per_node"], seen["accelerator_memory_capacity"]) == ("2", "80 GiB")
    assert "accelerator_host_interconnect" not in seen


def test_unequal_gpus_and_fields_that_are_not_supported(tmp_path: Path, bare: Path) -> None:
    rows = "echo 'A, 8192, 1000, [N/A], 4, 16, [N/A], 1'; echo 'B, 8192, 1000, [N/A], 4, 16, [N/A], 1'"
    machines.program(bare, "nvidia-smi", f'case "$*" in *query-gpu*) {rows} ;; *) exit 9 ;; esac')
    seen = system_survey.seen(tmp_path)
    assert seen["accelerator_model_name"] == "1x A; 1x B"
    assert "accelerator_memory_configuration" not in seen and "accelerator_interconnect" not in seen


def test_a_machine_that_tells_nothing(tmp_path: Path, bare: Path) -> None:
    seen = system_survey.seen(tmp_path)
    assert (seen["host_processors_per_node"], seen["host_processor_core_count"]) == ("1", "1")
    assert {seen[key] for key in ("host_storage_type", "host_networking", "host_memory_capacity")} == {"N/A"}


def test_this_machine_is_described_as_the_checker_demands() -> None:
    told = {
        "submitter": "Acme",
        "system_name": "Box",
        "division": "closed",
        "status": "available",
        "system_type": "edge",
    }
    described = {**{key: "N/A" for key in REQUIRED}, **system_survey.seen(), **told}
    assert not list(faults(described))


def test_a_run_is_described_where_the_gpu_does_not_tell_its_memory(bare: Path) -> None:
    machines.program(bare, "nvidia-smi", "echo 'Toy GB10, [N/A], 3003'")
    described = system.describe.__wrapped__()
    assert (described["accelerator_model_name"], described["accelerator_memory_capacity"]) == ("Toy GB10", "N/A")

"""All that can be seen of this machine for the official system description, looked at anew with every call.

`system.describe()` is the cheap form that every run's record holds; this one asks dmidecode and nvidia-smi.
The package mlperf-sysinfo (1.0.0a12) is not used: it does not look itself but hands the work to one pinned alpha of
mlc-scripts with its own environments, and knows no file that a person edited.
"""

from __future__ import annotations

import platform
from importlib import metadata
from pathlib import Path

from loadgen_harness import system_devices, system_gpus, system_host
from loadgen_harness.system_gpus import UNSEEN
from loadgen_harness.system_host import ROOT, read

FRAMEWORKS = (
    "onnxruntime",
    "onnxruntime-gpu",
    "torch",
    "tensorflow",
    "openvino",
    "tensorrt",
    "jax",
    "ai-edge-litert",
    "xllamacpp",
    "vllm",
    "transformers",
)


def seen(root: Path = ROOT) -> dict[str, str]:
    """The keys of the official description that can be seen, `N/A` or empty where this machine does not tell."""
    gpus = system_gpus.seen()
    driver = gpus.pop("driver", "")
    return {
        "number_of_nodes": "1",
        **system_host.processor(root),
        **system_host.memory(root),
        **system_devices.storage(root),
        **system_devices.network(root),
        **gpus,
        "operating_system": operating_system(root),
        "framework": "; ".join(_versions()) or UNSEEN,
        "other_software_stack": f"Python {platform.python_version()}" + (f"; NVIDIA driver {driver}" if driver else ""),
    }


def operating_system(root: Path = ROOT) -> str:
    """Distribution and kernel."""
    release = dict(line.partition("=")[::2] for line in read(root / "etc/os-release").splitlines())
    name = release.get("PRETTY_NAME", platform.system()).strip('"')
    return f"{name} ({platform.system()} {platform.release()})"


def _versions() -> list[str]:
    """Frameworks that are installed beside us, with their versions."""
    found = []
    for name in FRAMEWORKS:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            continue
    return found

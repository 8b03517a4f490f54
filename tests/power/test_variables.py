"""The variables that `lgh doctor` shows: all that the code reads, their values but for secrets."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from loadgen_harness import power_tables, registry
from power import knob, variables
from power.variables import VARIABLES
from tests.power.machines import Machine, install

ROOT = Path(__file__).parents[2]
READ = re.compile(r'"(LGH_[A-Z0-9_]+)"')
BY_PART = re.compile(r'f"(LGH_[A-Z]+_)\{key\}".*?for key in \(([^)]*)\)')


def read_by_the_code() -> set[str]:
    found: set[str] = set()
    for path in (ROOT / "power").rglob("*.py"):
        text = path.read_text()
        if path.name != "variables.py":
            found |= set(READ.findall(text))
            found |= {
                f"{start}{part}" for start, parts in BY_PART.findall(text) for part in re.findall(r"[A-Z]+", parts)
            }
    return found


def test_every_variable_is_told_of() -> None:
    assert read_by_the_code() == set(VARIABLES)
    docs = (ROOT / "docs/power.md").read_text() + (ROOT / "docs/maxq.md").read_text()
    for name, (reader, sets) in VARIABLES.items():
        assert reader.split()[0] in {*registry.names(registry.METERS), "knobs", "lgh"} and sets
        assert name in docs or f"_{name.rpartition('_')[2]}" in docs


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("LGH_TDP_W", "65", "65"),
        ("LGH_TDP_W", "", ""),
        ("LGH_IPMI_PASSWORD", "hunter2", "set"),
        ("LGH_REDFISH_PASSWORD", "hunter2", "set"),
        ("LGH_REDFISH_URL", "https://root:hunter2@10.0.0.9/", "https://…@10.0.0.9/"),
    ],
)
def test_a_value_is_shown_and_a_secret_is_not(
    name: str, value: str, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    assert power_tables.variable(name)[2] == shown == variables.now(name)


def test_what_maxq_could_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine: Machine = install(tmp_path / "machine", monkeypatch)
    before = machine.settings()
    rows = {name: power_tables.knob_row(name) for name in registry.names(knob.KNOBS)}
    assert rows["gpu_power"][1:3] == ("ok", "--power-limits") and rows["gpu_power"][3].endswith("350 W")
    assert rows["cpu_governor"][1:3] == ("ok", "--governors") and "powersave" in rows["cpu_governor"][3]
    assert machine.settings() == before
    monkeypatch.setenv("LGH_SYSFS", str(tmp_path / "bare"))
    _, state, flag, why = power_tables.knob_row("cpu_frequency")
    assert (state, flag) == ("absent", "--frequencies") and "it needs Linux" in why

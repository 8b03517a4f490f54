"""`--meters auto`: every meter that measures here, else the estimate, never a replay."""

from __future__ import annotations

from typing import Any

import pytest

from loadgen_harness import campaign, registry
from loadgen_harness.errors import BadInput, MissingDependency


def made(estimated: bool, reason: str) -> Any:
    """A meter's class."""
    return type("Meter", (), {"estimated": estimated, "available": classmethod(lambda cls: reason)})


def here(monkeypatch: pytest.MonkeyPatch, **meters: Any) -> None:
    """These meters are all there are; an exception is raised where its meter is loaded."""

    def load(kind: registry.Kind, name: str) -> Any:
        if isinstance(meters[name], Exception):
            raise meters[name]
        return meters[name]

    monkeypatch.setattr(registry, "names", lambda kind: sorted(meters))
    monkeypatch.setattr(registry, "load", load)


WORKS, ABSENT, MODEL = made(False, ""), made(False, "no such device: use another meter."), made(True, "")


def test_all_that_measure_join(monkeypatch: pytest.MonkeyPatch) -> None:
    lacking = MissingDependency("meter amdsmi", "amdsmi")
    here(monkeypatch, nvml=WORKS, rapl=WORKS, ipmi=ABSENT, amdsmi=lacking, estimate=MODEL, replay=MODEL)
    assert campaign.best_meters() == ["nvml", "rapl"]


def test_the_estimate_stands_in_and_a_replay_never_does(monkeypatch: pytest.MonkeyPatch) -> None:
    here(monkeypatch, rapl=ABSENT, estimate=MODEL, replay=MODEL)
    assert campaign.best_meters() == ["estimate"]


def test_where_nothing_works_that_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    here(monkeypatch, rapl=ABSENT, estimate=made(True, "psutil is missing."), replay=MODEL)
    with pytest.raises(BadInput, match="run without --meters"):
        campaign.best_meters()


def test_no_meters_no_hook() -> None:
    assert campaign.hooks([""]) == []
    assert len(campaign.hooks(["auto", "estimate"])) == 1

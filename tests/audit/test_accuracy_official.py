"""What we say that the official checker does about accuracy.txt, against its own check, for four rounds."""

from __future__ import annotations

import logging
from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest

from audit import accuracy
from audit.finding import errors
from loadgen_harness import rounds
from loadgen_harness.types import Division, Rules, Scenario, Score
from tests.audit import reference

OFFICIAL = {name: rounds.load(name) for name in ("v5.0", "v5.1", "v6.0", "v6.1")}
OWN = set(rounds.load(rounds.OWN).benchmarks)
NAMES = [(name, each) for name, round_ in OFFICIAL.items() for each in sorted(set(round_.benchmarks) - OWN)]
HASH = "hash=abc123"
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
Accepts = Callable[[str, str, str, str], bool]


@pytest.fixture(scope="module")
def accepts() -> Accepts:
    """Whether the official check takes a text of a model in a division; every other part of the checker is left out."""
    path = reference.script("tools/submission/submission_checker/checks/accuracy_check.py", "yaml")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(path.parents[2]))
        check = pytest.importorskip("submission_checker.checks.accuracy_check").AccuracyCheck
        config = pytest.importorskip("submission_checker.configuration.configuration").Config
        configs = {name: config(name, {}) for name in OFFICIAL}

    def judge(text: str, round_: str, model: str, division: str) -> bool:
        made = object.__new__(check)
        made.__dict__ |= {
            "log": logging.getLogger("official"),
            "path": "here",
            "is_endpoints": False,
            "accuracy_result": text.splitlines(keepends=True),
            "config": configs[round_],
            "model": model,
            "scenario_fixed": "Offline",
            "division": division,
            "submission_logs": SimpleNamespace(loader_data={}),
        }
        return bool(made.accuracy_result_check())

    return judge


def texts(rules: Rules) -> list[str]:
    """Figures at, around and far from their targets and limits, left out, and stated twice."""
    targets = [t for t in rules.targets if not t.scenarios or Scenario.OFFLINE in t.scenarios]
    unit = {metric.name: metric.unit for metric in accuracy.metrics_of(rules)}
    random = np.random.default_rng(len(targets))
    found = [""]
    for factor in (0.01, 0.5, 0.97, 0.9999, 1, 1.0001, 1.0005, 1.03, 1.2, 1.5):
        for edge in ("target", "upper", "reference"):
            values = [(t.metric, getattr(t, edge) or t.target or t.reference) for t in targets]
            found.append(written(values, factor, unit))
            place = int(random.integers(len(values)))
            found.append(written([*values[:place], *values[place + 1 :]], factor, unit))
            mixed = [(name, value * random.uniform(0.9, 1.1)) for name, value in values]
            found.append(written(mixed, 1, unit) + written(values, factor, unit))
            found.append(f"{written(mixed, 1, unit)}{HASH}\n{written(values, factor, unit)}")
    return found


def written(values: list[tuple[str, float]], factor: float, unit: dict[str, str]) -> str:
    """Our own lines of these figures."""
    scores = [Score(name, value * factor, 0, 0, 1000, "") for name, value in values]
    if any(score.metric == "F1" for score in scores):
        scores.append(Score("exact_match", 80.0, 0, 0, 1000, ""))
    metrics = (
        [metric for metric in accuracy.metrics_of(OFFICIAL["v6.1"].rules("rgat"))]
        if "fraction" in unit.values()
        else []
    )
    return accuracy.accuracy_text.write(scores, metrics)


@pytest.mark.parametrize(("round_", "name"), NAMES)
def test_the_checker_does_what_we_say(accepts: Accepts, round_: str, name: str) -> None:
    rules = OFFICIAL[round_].rules(name)
    model = rules.checker_name or name
    verdicts = set()
    for text in texts(rules):
        findings = list(accuracy.judge_text(text, (), rules, scenario=Scenario.OFFLINE))
        said = all(finding.official == "accepts" for finding in findings)
        assert accepts(f"{text}{HASH}\n", round_, model, "closed") == said, (text, findings)
        verdicts.add(said)
        assert accepts(f"{text}{HASH}\n", round_, model, "open")
        opened = list(accuracy.judge_text(text, (), rules, division=Division.OPEN, scenario=Scenario.OFFLINE))
        assert not errors(opened) and all(finding.official == "accepts" for finding in opened)
    assert verdicts == {True, False}

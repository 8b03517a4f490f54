"""Our verdicts beside those of the official run_verification.py, on the same folders; needs a checkout of theirs.

A case says what the official script says, and a clause where ours refuses what the script accepts: never the reverse.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from audit.verdict import Trial
from loadgen_harness import rounds
from loadgen_harness.run import Run
from loadgen_harness.types import Rules
from tests.audit import folders, trials
from tests.audit.trials import talked
from tests.audit.verification import CASES, HUNDRED, LOG, SAME, SAMPLED, Case, ours

PATTERNS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "TEST01": {"verify_accuracy.txt": (r"^TEST PASS\s*$",), "verify_performance.txt": ("TEST PASS",)},
    "TEST04": {"verify_performance.txt": ("TEST PASS",)},
    "TEST06": {
        "verify_accuracy.txt": (
            r"^First token check pass: (True|Skipped)\s*$",
            r"^EOS check pass: True\s*$",
            r"^Sample length check pass: True\s*$",
        )
    },
    "TEST07": {"verify_accuracy.txt": ("TEST PASS",)},
    "TEST08": {"verify_accuracy.txt": (r"^TEST PASS\s*$",)},
    "TEST09": {"verify_output_len.txt": ("TEST PASS",)},
}
SCORER = """import json, struct, sys
values = [struct.unpack("<f", bytes.fromhex(entry["data"]))[0] for entry in json.load(open(sys.argv[1]))]
print({"exact_match": sum(values) / len(values)} if values else "nothing")
"""


@pytest.fixture(scope="module")
def compliance() -> Path:
    """The official compliance folder."""
    folder = os.environ.get("LGH_MLCOMMONS_INFERENCE")
    if not folder:
        pytest.skip("LGH_MLCOMMONS_INFERENCE names no checkout of mlcommons/inference")
    if not (Path(folder) / "tools/submission/log_parser.py").is_file():
        pytest.skip(f"{folder} is no whole checkout: its tools/submission/log_parser.py is missing")
    return Path(folder) / "compliance"


def passes(test: str, files: Mapping[str, str]) -> bool:
    """Whether the official checker takes these texts for a pass."""
    wanted = [(files.get(name, ""), line) for name, lines in PATTERNS[test].items() for line in lines]
    return all(re.search(line, text, re.MULTILINE) for text, line in wanted)


def copied(source: Path, target: Path) -> Path:
    """A folder's files, writable wherever they come from."""
    target.mkdir(parents=True)
    for file in source.iterdir():
        shutil.copyfile(file, target / file.name)
    return target


def official(test: str, trial: Trial, *, compliance: Path, place: Path, options: tuple[str, ...] = ()) -> bool:
    """What the official script and checker say of a trial's folders."""
    results, output = place / "results", place / "output"
    output.mkdir(parents=True)
    for run, inside in ((trial.reference, "performance/run_1"), (trial.accuracy, "accuracy")):
        if run:
            copied(run.path, results / inside)
    script = [sys.executable, str(compliance / test / "run_verification.py"), *options]
    script += _arguments(test, trial, results, output)
    done = subprocess.run(script, cwd=output, capture_output=True, text=True, timeout=50, check=False)
    if test == "TEST08":
        return passes(test, {"verify_accuracy.txt": done.stdout})
    written = output / test
    files = {name: (written / name).read_text() for name in PATTERNS[test] if (written / name).is_file()}
    return passes(test, files)


def _arguments(test: str, trial: Trial, results: Path, output: Path) -> list[str]:
    folder = ["-c", str(trial.audit.path), "-o", str(output)]
    config = output / "audit.config"
    if test in ("TEST07", "TEST09"):
        rules = Rules((), {}, {}, test_settings={test: trial.settings})
        round_ = replace(rounds.load("v6.1"), benchmarks={"talk": rules})
        config.write_text(ours(test).config(folders.benchmark("talk"), round_))
        folder += ["--audit-config", str(config)]
    if test == "TEST08":
        tolerance = str(trial.settings.get("tolerance", 0.001))
        return ["-r", str(results / "accuracy" / LOG), "-t", str(trial.audit.file(LOG)), "--tolerance", tolerance]
    if test == "TEST07":
        (output / "score.py").write_text(SCORER)
        return [*folder, "--accuracy-script", f"{sys.executable} {output / 'score.py'} {{accuracy_log}}"]
    if test == "TEST06":
        return [*folder, "-s", trial.audit.scenario, "-d", trial.dtype]
    return folder if test == "TEST09" else ["-r", str(results), *folder]


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=[f"{case.test} {case.name}" for case in CASES])
def test_verdicts_are_the_official_ones(case: Case, compliance: Path, tmp_path: Path) -> None:
    trial = case.build(tmp_path / "folders")
    verdict = ours(case.test).judge(trial)
    place = tmp_path / "official"
    assert official(case.test, trial, compliance=compliance, place=place, options=case.options) is case.official
    assert verdict.passed is (case.official and not case.clause), verdict.findings
    assert passes(case.test, verdict.files) is verdict.passed


@pytest.mark.slow
@pytest.mark.parametrize("scenario", ["SingleStream", "MultiStream", "Offline"])
@pytest.mark.parametrize("test", ["TEST01", "TEST04"])
def test_the_golden_tree_passes_both(test: str, scenario: str, compliance: Path, shared: Path, tmp_path: Path) -> None:
    place = shared / "golden-v6.1/closed/Acme/results/toybox_1x_cpu/resnet50" / scenario
    full = shared / "golden-v6.1-full-accuracy" / scenario
    whole = {}
    for name, inside in (("accuracy", "accuracy"), ("audit", f"{test}/performance/run_1")):
        whole[name] = Run(copied(place / inside, tmp_path / name))
    for name, inside in (("accuracy", "accuracy"), ("audit", "TEST01/accuracy")):
        shutil.copyfile(full / inside / LOG, whole[name].file(LOG))
    settings = SAMPLED if test == "TEST01" else SAME
    trial = Trial(whole["audit"], settings, Run(place / "performance/run_1"), whole["accuracy"])
    assert official(test, trial, compliance=compliance, place=tmp_path / "official")
    verdict = ours(test).judge(trial)
    assert verdict.passed and passes(test, verdict.files)


@pytest.mark.slow
def test_published_token_logs_pass_both(compliance: Path, shared: Path, tmp_path: Path) -> None:
    logs = sorted((shared / "published").glob("*/closed/*/compliance/*/*/*/TEST06/accuracy/" + LOG))
    if not logs:
        pytest.skip("no published TEST06 logs in ../shared")
    for number, log in enumerate(logs):
        run = talked(tmp_path / str(number), "TEST06", (), log.parents[2].name)
        shutil.copyfile(log, run.file(LOG))
        trial = Trial(Run(run.path), HUNDRED)
        assert official("TEST06", trial, compliance=compliance, place=tmp_path / str(number) / "official"), log
        assert ours("TEST06").judge(trial).passed, log


def effective(text: str, scenario: str) -> dict[str, float]:
    """What LoadGen reads in an audit.config: it looks for no model's name there, whatever the benchmark."""
    found: dict[str, float] = {}
    lines = [line.split("#")[0] for line in text.splitlines() if "=" in line.split("#")[0]]
    for prefix in ("*.*.", f"*.{scenario}."):
        for key, value in (map(str.strip, line.split("=")) for line in lines):
            if key.startswith(prefix):
                found[key.removeprefix(prefix)] = float(value) if "." in value else int(value)
    return found


OWN = set(rounds.load(rounds.OWN).benchmarks)
DEMANDED = [
    (name, test) for name, rules in rounds.load("v6.1").benchmarks.items() for test in rules.tests if name not in OWN
]


@pytest.mark.parametrize(("name", "test"), DEMANDED, ids=" ".join)
def test_every_audit_config_is_the_official_one(name: str, test: str, compliance: Path) -> None:
    own = [folder for folder in (compliance / test).iterdir() if folder.is_dir() and name.startswith(folder.name)]
    place = max(own, key=lambda folder: len(folder.name)) if own else compliance / test
    theirs = (place / "audit.config").read_text()
    text = ours(test).config(folders.benchmark(name), rounds.load("v6.1"))
    for scenario in trials.SCORE_LINES:
        assert effective(text, scenario) == effective(theirs, scenario)

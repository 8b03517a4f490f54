"""The command line as its users meet it: a process, its exit code, what it says."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from absl.testing import flagsaver

from benchmarks._data import assets
from loadgen_harness import campaign, cli
from loadgen_harness import plan as plans
from loadgen_harness.errors import BadInput, SuiteError
from tests.fakes import environment, lgh


def verbs(parser: argparse.ArgumentParser, above: tuple[str, ...] = ()) -> dict[str, argparse.ArgumentParser]:
    """Every verb with its parser, also those below a verb: "run", "audit reproduce"."""
    found: dict[str, argparse.ArgumentParser] = {}
    for action in (each for each in parser._actions if isinstance(each, argparse._SubParsersAction)):
        for name, own in action.choices.items():
            found |= {" ".join((*above, name)): own, **verbs(own, (*above, name))}
    return found


VERBS = verbs(cli.build())
PLAN = """
name = "two"
round = "tiny"

[[benchmark]]
name = "tiny"
backend = "null"
scenarios = ["SingleStream"]
options = { latency_us = 100 }
"""


def call(*arguments: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        lgh(*arguments), env=environment(), cwd=folder, capture_output=True, text=True, check=False, timeout=50
    )


def words(line: str) -> list[str]:
    """The arguments of a command line."""
    return line.split()


def refused(*arguments: str, folder: Path | None = None) -> str:
    """What a call that is a user's mistake says: one line on standard error, exit code 2."""
    done = call(*arguments, folder=folder)
    assert done.returncode == 2, done
    assert "Traceback" not in done.stdout + done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("error: ")
    return done.stderr


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    path = tmp_path / "two.toml"
    path.write_text(PLAN, encoding="utf-8")
    return path


def test_list() -> None:
    done = call("list")
    assert done.returncode == 0, done.stderr
    for name in ("digits", "smollm2", "null", "mini", "tiny_stream", "broken"):
        assert name in done.stdout
    found = json.loads(call("list", "--json").stdout)
    assert {"digits", "tiny"} <= set(found["benchmark"])
    assert {"null", "needy"} <= set(found["backend"])
    assert {"mini", "v6.1", "tiny"} <= set(found["round"])
    assert "gpu_power" in found["knob"]


def test_doctor_and_system(tmp_path: Path) -> None:
    done = call("doctor")
    assert done.returncode == 0, done.stderr
    assert "a_framework_that_nobody_has" in done.stdout
    assert "LGH_TDP_W" in done.stdout and "--power-limits" in done.stdout and "--repeats" in done.stdout
    described = json.loads(call("system", "--submitter", "Me").stdout)
    assert described["submitter"] == "Me"
    assert len(described) == 35
    output = tmp_path / "system.json"
    assert call("system", "--output", str(output)).returncode == 0
    written = output.read_bytes()
    assert "exists" in refused("system", "--output", str(output), "--submitter", "Other")
    assert output.read_bytes() == written
    assert sorted(path.name for path in tmp_path.iterdir()) == ["system.json", "system.json.seen"]


def test_help() -> None:
    done = call("--help")
    assert done.returncode == 0
    assert len(VERBS) > 15 and {"run", "check", "maxq", "audit reproduce"} <= VERBS.keys()
    assert all(verb in done.stdout for verb in VERBS if " " not in verb)


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_has_its_function(verb: str) -> None:
    """It is looked up when the verb is called: a mistyped name would else show on that day."""
    parser = VERBS[verb]
    module, function = parser.get_default("module"), parser.get_default("function")
    assert callable(getattr(importlib.import_module(f"loadgen_harness.{module}"), function))


@pytest.mark.parametrize("verb", VERBS)
def test_help_of_a_verb(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.build().parse_args([*verb.split(), "--help"])
    assert not caught.value.code
    assert f"lgh {verb}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        ("", "--help"),
        ("lits", "did you mean 'list'?"),
        ("run tiny --sceanrio Offline --output x", "did you mean '--scenario'?"),
        ("run tiny", "--output"),
        ("run tyni --output x", "did you mean 'tiny'?"),
        ("run tiny --round tiny --backend nul --output x", "did you mean 'null'?"),
        ("run tiny --round tiny --backend needy --output x", "pip install a_framework_that_nobody_has"),
        ("run tiny --round tiny --scenario Sever --output x", "did you mean 'Server'?"),
        ("run tiny --round tiny --mode AcuracyOnly --output x", "did you mean 'AccuracyOnly'?"),
        ("run tiny --round tinny --output x", "did you mean 'tiny'?"),
        ("run tiny --round tiny --division close --output x", "did you mean 'closed'?"),
        ("run tiny --round tiny --option latency --output x", "key=value"),
        ("run tiny --round tiny --test TEST99 --output x", "unknown compliance test"),
        ("run tiny --round tiny --meters wal --output x", "meter"),
        ("run tiny --round tiny --worker tread --output x", "did you mean 'thread'?"),
        ("run tiny --round tiny --max-batch many --output x", "--max-batch"),
        ("run tiny --round tiny --target-qps 0 --output x", "more than 0"),
        ("run tiny --round tiny --target-qps nan --output x", "from 0 up"),
        ("run tiny --verbosity=loud --round tiny --output x", "verbosity"),
        ("list --offline=perhaps", "offline"),
        ("list --round v9", "v6.1"),
        ("system --type desktop", "edge"),
        ("audit absent", "unknown verb"),
        ("accuracy absent", "AccuracyOnly"),
        ("check absent", "absent"),
        ("tax absent", "run.json"),
        ("tax absent --seconds 0", "--seconds"),
        ("campaign absent.toml --output x", "cannot read plan absent.toml"),
    ],
)
@pytest.mark.usefixtures("plugin")
def test_mistakes_are_one_sentence(arguments: str, hint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In this process, as the entry point does it; the next test goes through the entry point itself."""
    monkeypatch.chdir(tmp_path)
    with flagsaver.flagsaver(), pytest.raises(SuiteError) as caught:
        args = cli.parse(["lgh", *words(arguments)])
        getattr(importlib.import_module(f"loadgen_harness.{args.module}"), args.function)(args)
    assert hint in str(caught.value)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        ("", "--help"),
        ("lits", "did you mean 'list'?"),
        ("run tyni --output x", "did you mean 'tiny'?"),
        ("run tiny --round tiny --backend needy --output x", "pip install a_framework_that_nobody_has"),
        ("run tiny --verbosity=loud --round tiny --output x", "verbosity"),
        ("campaign absent.toml --output x", "cannot read plan absent.toml"),
    ],
)
def test_mistakes_end_with_2(arguments: str, hint: str, tmp_path: Path) -> None:
    assert hint in refused(*arguments.split(), folder=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_malformed_user_conf(tmp_path: Path) -> None:
    (tmp_path / "user.conf").write_text("*.Offline.target_qps = 3\n*.Offline.target_qbs = 3\n", encoding="utf-8")
    said = refused(*words("run tiny --round tiny --user-conf user.conf --output x"), folder=tmp_path)
    assert "user.conf, line 2" in said
    assert "'target_qps'" in said
    assert [path.name for path in tmp_path.iterdir()] == ["user.conf"]


def test_run_and_what_it_refuses_after(tmp_path: Path) -> None:
    command = words("run tiny --round tiny --backend null --min-query-count 3 --output out")
    done = call(*command, folder=tmp_path)
    assert done.returncode == 0, done
    assert "VALID" in done.stdout
    assert done.stdout.rstrip().endswith("in out")
    assert "min_query_count = 3 is not allowed" in done.stderr
    assert "out exists" in refused(*command, folder=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert call("check", "out", folder=tmp_path).returncode in (0, 1)
    assert "lgh check out" in refused("audit", "out", folder=tmp_path)
    assert "AccuracyOnly" in refused("accuracy", "out", folder=tmp_path)


def test_accuracy(tmp_path: Path) -> None:
    command = words("run tiny --round tiny --backend null --scenario Offline --mode AccuracyOnly --output out")
    assert call(*command, folder=tmp_path).returncode == 0
    done = call("accuracy", "out", folder=tmp_path)
    assert done.returncode == 0, done
    assert "100" in done.stdout


def test_an_invalid_run_ends_with_1(tmp_path: Path) -> None:
    """One query of 64 samples is over in no time: LoadGen's reasons are shown."""
    command = words("run tiny --round tiny --backend null --scenario Offline --target-qps 1 --output out")
    done = call(*command, folder=tmp_path)
    assert done.returncode == 1
    assert "INVALID" in done.stdout
    assert "minimum duration not met" in done.stdout


def test_a_failed_run_ends_with_2(tmp_path: Path) -> None:
    said = refused(*words("run tiny --round tiny --backend broken --output out"), folder=tmp_path)
    assert "the device caught fire" in said
    assert "out.failed" in said


def test_digits_end_to_end(tmp_path: Path) -> None:
    """A real model, where its data is at hand without a network."""
    pytest.importorskip("onnxruntime", exc_type=ImportError)
    try:
        assets.resolve("mnist-5k", offline=True)
    except SuiteError as error:
        pytest.skip(f"the digits' images are not here: {error}")
    command = words("run digits --scenario Offline --mode AccuracyOnly --max-batch 64 --output out")
    done = call(*command, folder=tmp_path)
    assert done.returncode == 0, done
    judged = call("accuracy", "out", folder=tmp_path)
    assert judged.returncode == 0, judged
    assert "98.8" in judged.stdout
    audited = call("check", "out", folder=tmp_path)
    assert audited.returncode == 0, audited


def test_a_dry_run_runs_nothing(plan: Path) -> None:
    done = call("campaign", str(plan), "--output", "out", "--dry-run", folder=plan.parent)
    assert done.returncode == 0, done
    assert "tiny/SingleStream/performance" in done.stdout
    assert "tiny/SingleStream/accuracy" in done.stdout
    assert "tiny/SingleStream/tax" in done.stdout
    assert "2 runs and 1 measurement of the harness tax, about 0:" in done.stdout
    without = call("campaign", str(plan), "--output", "out", "--dry-run", "--no-tax", folder=plan.parent)
    assert "2 runs, about 0:" in without.stdout
    assert "tax" not in without.stdout
    assert [path.name for path in plan.parent.iterdir()] == [plan.name]


def test_a_campaign_is_taken_up_again(plan: Path) -> None:
    """Killed in its second run; the first is kept as it is, the second made anew."""
    slow = "tax = false" + PLAN.replace('"null"', '"broken"').replace("latency_us = 100", 'fault = "slow"')
    plan.write_text(slow, encoding="utf-8")
    runs = plan.parent / "out" / "runs" / "tiny" / "SingleStream"
    command = lgh("campaign", str(plan), "--output", str(plan.parent / "out"))
    with subprocess.Popen(command, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        end = time.monotonic() + 40
        while not (runs / ".accuracy.partial" / "user.conf").exists():
            assert time.monotonic() < end
            assert process.poll() is None
            time.sleep(0.02)
        os.kill(process.pid, signal.SIGKILL)
    kept = (runs / "performance" / "run.json").stat()
    assert not (runs / "accuracy").exists()
    done = call("campaign", str(plan), "--output", str(plan.parent / "out"))
    assert done.returncode in (0, 1), done
    assert "Traceback" not in done.stderr
    assert "1 finished runs were taken over" in done.stderr
    assert (runs / "performance" / "run.json").stat().st_mtime_ns == kept.st_mtime_ns
    assert sorted(path.name for path in runs.iterdir()) == ["accuracy", "performance"]
    plan.write_text(slow.replace('"slow"', '"few"'), encoding="utf-8")
    assert "from another plan" in refused("campaign", str(plan), "--output", str(plan.parent / "out"))


def test_a_failing_run_does_not_stop_a_campaign(plan: Path) -> None:
    plan.write_text(PLAN.replace('"null"', '"broken"').replace("latency_us = 100", "after = 70"), encoding="utf-8")
    done = call("campaign", str(plan), "--output", "out", folder=plan.parent)
    assert done.returncode == 1, done
    assert "Traceback" not in done.stderr
    assert "failed   tiny/SingleStream/performance" in done.stdout
    assert "ok       tiny/SingleStream/accuracy" in done.stdout


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("name = ", "is not TOML"),
        ("", "docs/campaign.md"),
        ("benchmark = 3", "docs/campaign.md"),
        ('[[benchmark]]\nname = "tiny"', "docs/campaign.md"),
        (PLAN.replace("scenarios", "scenarioss"), "did you mean 'scenarios'?"),
        (PLAN.replace("backend", "backends"), "did you mean 'backend'?"),
        (PLAN.replace('name = "two"', 'tilte = "two"'), "unknown plan key 'tilte'"),
        (PLAN.replace('"null"', '"nul"'), "did you mean 'null'?"),
        (PLAN.replace('name = "tiny"', 'name = "tyni"'), "did you mean 'tiny'?"),
        (PLAN.replace('"SingleStream"', '"SingelStream"'), "did you mean 'SingleStream'?"),
        (PLAN.replace('round = "tiny"', 'round = "tinny"'), "did you mean 'tiny'?"),
        (PLAN + "[benchmark.SingleStream]\nmax_batches = 3\n", "did you mean 'max_batch'?"),
        (PLAN + "[benchmark.overrides]\ntarget_qbs = 3\n", "did you mean 'target_qps'?"),
        (PLAN + '[benchmark.overrides]\ntarget_qps = "fast"\n', "from 0 up"),
        (PLAN + 'max_batch = "many"\n', "max_batch"),
        ('tax = "no"\n' + PLAN, "true, false, or seconds"),
        (PLAN + "options = 3\n", "not TOML"),
        ('division = "half"\n' + PLAN, "division"),
        ('meters = ["wal"]\n' + PLAN, "unknown meter 'wal'"),
        (PLAN + "max_batch = true\n", "max_batch"),
        (PLAN + "backend = 3\n", "not TOML"),
        (PLAN.replace('"null"', "3"), "plan key backend cannot be 3"),
    ],
    ids=lambda part: part[-24:].strip(),
)
@pytest.mark.usefixtures("plugin")
def test_mistakes_in_a_plan(plan: Path, text: str, hint: str) -> None:
    plan.write_text(text, encoding="utf-8")
    with pytest.raises(SuiteError) as caught:
        list(campaign.execute(plans.read(plan), plan.parent / "out"))
    assert hint in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_mistake_in_a_plan_is_one_sentence(plan: Path) -> None:
    plan.write_text(PLAN.replace("backend", "backends"), encoding="utf-8")
    assert "did you mean 'backend'?" in refused("campaign", str(plan), "--output", "out", folder=plan.parent)


@pytest.mark.usefixtures("plugin")
def test_the_backend_is_the_benchmarks_first(plan: Path) -> None:
    plan.write_text(PLAN.replace('backend = "null"\n', ""), encoding="utf-8")
    found = plans.jobs(plans.read(plan), plan.parent / "out")
    assert [job.key for job in found] == ["tiny/SingleStream/performance", "tiny/SingleStream/accuracy"]
    assert {job.spec.backend for job in found} == {"null"}


@pytest.mark.usefixtures("plugin")
def test_only_chooses_among_the_runs(plan: Path) -> None:
    chosen = plans.read(plan)
    keys = [outcome.job.key for outcome in campaign.execute(chosen, plan.parent / "out", only="Stream/acc")]
    assert keys == ["tiny/SingleStream/accuracy"]
    assert [outcome.job.key for outcome in campaign.outcomes(chosen, plan.parent / "out")] == keys
    with pytest.raises(BadInput, match="see them with --dry-run"):
        list(campaign.execute(chosen, plan.parent / "out", only="Server"))

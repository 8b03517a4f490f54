"""Files that are not what a verb takes: one sentence with the remedy, nothing written, nothing overwritten."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.loadgen_harness.misused import CAMPAIGN, PLAN, RUN, call, copied, material, told

READERS = {  # a verb's words, and the file of them that is spoilt
    "preflight": ("preflight plan.toml --output o --quick", "plan.toml"),
    "preflight --system": ("preflight plan.toml --output o --quick --system system.json", "system.json"),
    "campaign": ("campaign plan.toml --output o --dry-run", "plan.toml"),
    "submit": ("submit plan.toml --campaign results --output t", "plan.toml"),
    "submit --system": ("submit plan.toml --campaign results --output t --system system.json", "system.json"),
    "submit --from": ("submit --from manifest.toml --output t", "manifest.toml"),
    "report": ("report plan.toml --campaign results --output r", "plan.toml"),
    "system --update": ("system --output system.json --update", "system.json"),
    "system --update, seen": ("system --output system.json --update", "system.json.seen"),
    "system --check": ("system --check system.json", "system.json"),
    "system --nodes": ("system --nodes system.json --output s.json", "system.json"),
    "run --user-conf": ("run tiny --round tiny --backend null --user-conf user.conf --output o", "user.conf"),
    "energy --factors": ("energy power --factors f.toml", "f.toml"),
    "energy --set": ("energy power/run-01 --set s.toml", "s.toml"),
    "label --set": ("label power/run-01 --set s.toml --output l --no-png", "s.toml"),
}
SPOILT = {
    "not UTF-8": "name = 'Müller'\n".encode("latin-1"),
    "zeros": bytes(64),
    "broken off": b'{"a": "b',
    "another kind": b"[]",
    "nested too deep": b"[" * 100_000,
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        from tests import fakes

        patch.syspath_prepend(str(fakes.PLUGIN))
        patch.setenv("PYTHONPATH", fakes.environment()["PYTHONPATH"])
        return material(tmp_path_factory.mktemp("made"))


@pytest.fixture
def here(made: Path, tmp_path: Path, plugin: None, monkeypatch: pytest.MonkeyPatch) -> Path:
    return copied(made, tmp_path / "here", monkeypatch)


@pytest.mark.parametrize("verb", READERS)
def test_files_that_cannot_be_read(verb: str, here: Path) -> None:
    words, name = READERS[verb]
    file = here / name
    for content in SPOILT.values():
        file.write_bytes(content)
        told(*words.split())
    file.unlink()
    file.symlink_to(name)
    if not name.endswith(".seen"):  # a note that is not there is nothing
        told(*words.split())
        file.unlink()
        told(*words.split())


@pytest.mark.parametrize(
    ("there", "instead", "hint"),
    [
        ('name = "two"', "name = 3", "name cannot be 3: it takes a text"),
        ('round = "tiny"', "round = 3", "round cannot be 3"),
        ('round = "tiny"', 'round = ["tiny"]', "round cannot be"),
        ('round = "tiny"', 'round = "tiny"\nmeters = "auto"', "a list of texts"),
        ('round = "tiny"', 'round = "tiny"\nmeters = [3]', "a list of texts"),
        ("[[benchmark]]", "[benchmark]", "[[benchmark]] tables"),
        ('name = "tiny"', "name = 3", "name cannot be 3"),
        ('name = "tiny"', 'name = ""', "needs name"),
        ('["SingleStream"]', "[]", "needs scenarios"),
        ('["SingleStream"]', '"SingleStream"', "a list of texts"),
        ('submitter = "Acme"', "submitter = 3", "submitter of [submission]"),
        ('scenarios = ["Sin', 'SingleStream = 3\nscenarios = ["Sin', "it takes a table"),
        ('"null"', '"null"\ntests = 3', "tests cannot be 3"),
        ('"null"', '"null"\nmax_batch = 0', "max_batch"),
        ('"null"', '"null"\nreplicas = 99999999999', "replicas"),
        ('"null"', '"null"\nmax_wait_ms = inf', "max_wait_ms"),
        ('"null"', '"null"\nworker = "tread"', "did you mean 'thread'?"),
        ('"null"', '"null"\ndriver = "nativ"', "did you mean 'native'?"),
        ('"null"', '"null"\npin = "all"', "names no cores"),
        ('"null"', '"null"\npostprocess = "proces"', "did you mean 'process'?"),
        ('"null"', '"null"\noverrides = { target_qps = true }', "from 0 up"),
    ],
)
def test_plans_with_wrong_types(there: str, instead: str, hint: str, here: Path) -> None:
    assert PLAN.count(there) == 1
    (here / "plan.toml").write_text(PLAN.replace(there, instead), encoding="utf-8")
    assert hint in told("campaign", "plan.toml", "--output", "o", "--dry-run")


@pytest.mark.parametrize("name", ["Müller", "A B", "a/b", "..", "-x", "日本", "x" * 300])
def test_names_that_cannot_be_folders(name: str, here: Path) -> None:
    for key in ("Acme", "box"):
        (here / "plan.toml").write_text(PLAN.replace(key, name), encoding="utf-8")
        told("submit", "plan.toml", "--campaign", "results", "--output", "t")


def test_two_systems_with_one_name(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "other.json").write_bytes((here / "system.json").read_bytes())
    assert call("system", "--check", "system.json", "other.json") == 1
    assert "Two systems with one name" in capsys.readouterr().out
    (here / "link.json").symlink_to("system.json")
    assert "twice" in told("system", "--nodes", "system.json", "link.json")


def test_runs_of_another_round(here: Path) -> None:
    """The folder's round beats no plan's: neither judged nor packed under rules that it was not run under."""
    record = here / RUN / "run.json"
    content = json.loads(record.read_text())
    content["spec"]["round"] = "mini"
    record.write_text(json.dumps(content))
    for words in ("submit plan.toml --campaign results --output t", "report plan.toml --campaign results --output r"):
        assert "is a run of round 'mini', the plan is of 'tiny'" in told(*words.split())
    assert "from another plan" in told(*CAMPAIGN)


def test_a_plan_that_was_edited_after_its_runs(here: Path) -> None:
    """Nobody submits a setting that no run had."""
    own = (here / "plan.toml").read_text(encoding="utf-8")
    (here / "plan.toml").write_text(own.replace("[[benchmark]]", "[[benchmark]]\nmax_batch = 4"), encoding="utf-8")
    for words in ("submit plan.toml --campaign results --output t", "report plan.toml --campaign results --output r"):
        assert "was made from another plan, which differs in max_batch" in told(*words.split())
    assert not (here / "t").exists() and not (here / "r").exists()


def test_a_plan_with_a_byte_order_mark_and_one_without_end(here: Path) -> None:
    own = (here / "plan.toml").read_bytes()
    (here / "plan.toml").write_bytes(b"\xef\xbb\xbf" + own)
    assert call(*CAMPAIGN, "--dry-run") == 0
    assert "is not TOML" in told("campaign", "/dev/zero", "--output", "z")


DAMAGED: dict[str, Callable[[Path], object]] = {
    "empty": lambda record: record.write_bytes(b""),
    "broken off": lambda record: record.write_bytes(record.read_bytes()[:400]),
    "a list": lambda record: record.write_text("[]"),
    "not UTF-8": lambda record: record.write_bytes(b'{"spec": "\xff"}'),
    "without its spec": lambda record: record.write_text("{}"),
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_damaged_records_of_a_campaign(damage: str, here: Path) -> None:
    DAMAGED[damage](here / RUN / "run.json")
    for words in ("submit plan.toml --campaign results --output t", "report plan.toml --campaign results --output r"):
        assert "run.json is damaged: restore it, or move" in told(*words.split())
    assert "move it away" in told(*CAMPAIGN)


def test_parts_of_a_record_of_another_kind(here: Path) -> None:
    """They count as not there, and the report says so."""
    record = here / RUN / "run.json"
    keys = ("backend", "system", "versions", "settings", "digests", "harness")
    record.write_text(json.dumps({**json.loads(record.read_text()), **{key: [1] for key in keys}}))
    assert call("report", RUN, "--output", "r") == 0
    said = (here / "r" / "report.json").read_text()
    assert all(f"run.json: {key} is no JSON object" in said for key in keys)
    assert call("submit", "plan.toml", "--campaign", "results", "--output", "t") in (0, 1)


def test_journals_that_are_none(here: Path) -> None:
    """It is a record; the run folders decide."""
    journal = here / "results" / "journal.jsonl"
    journal.write_bytes(b"\xff\n[1]\n{\n" + b"[" * 100_000 + b"\n")
    assert call(*CAMPAIGN) == 0
    journal.unlink()
    journal.mkdir()
    assert "cannot write" in told(*CAMPAIGN)

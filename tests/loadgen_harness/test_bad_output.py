"""Places that cannot be written: one sentence with the remedy, nothing half-written, nothing overwritten."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from loadgen_harness import campaign, durable, plan
from loadgen_harness.errors import BadInput
from tests.loadgen_harness.misused import RUN, call, copied, material, seen, small_files, told
from tests.rights import plain_rights

WRITERS = {
    "system": "system --output {out}",
    "plan": "plan --round tiny --benchmark tiny --write {out}",
    "campaign": "campaign plan.toml --output {out} --no-preflight",
    "run": "run tiny --round tiny --backend null --output {out}",
    "submit": "submit plan.toml --campaign results --output {out}",
    "submit --backup": "submit plan.toml --campaign results --output t --backup {out}",
    "submit --archive": "submit plan.toml --campaign results --output t --archive {out}.tar.gz",
    "report": f"report {RUN} --output {{out}}",
    "check": f"check {RUN} --format json --output {{out}}",
    "energy": "energy power --format json --output {out}",
    "label": "label power/run-01 --output {out} --no-png",
}
NEW = ("system", "plan", "campaign", "run", "submit", "submit --backup", "report", "energy", "label")  # a file there


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


@pytest.mark.parametrize("verb", WRITERS)
def test_a_file_or_a_link_to_itself_in_the_way(verb: str, here: Path) -> None:
    (here / "file").write_text("mine")
    (here / "loop").symlink_to("loop")
    wanted = ["file/x", "loop/x"]
    if verb in NEW:
        wanted.append("file")
    for out in wanted:
        if (verb, out) != ("submit --archive", "loop/x"):
            told(*WRITERS[verb].format(out=out).split())
    assert (here / "file").read_text() == "mine"


@pytest.mark.parametrize("verb", ["system", "report", "energy", "label", "submit"])
def test_no_room(verb: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with small_files(400):
        sentence = told(*WRITERS[verb].format(out="new").split())
    assert "File too large" in sentence and "free some space" in sentence


def test_no_room_for_a_second_report_leaves_the_first(here: Path) -> None:
    assert call("report", RUN, "--output", "rep") == 0
    with small_files(3000):
        told("report", RUN, "--output", "rep")


def test_no_room_for_a_refreshed_description(here: Path) -> None:
    """Neither of the two files is changed before both are whole."""
    with small_files(1000):
        told("system", "--output", "system.json", "--update", "--cooling", "air")


def test_devices_are_written_to(here: Path) -> None:
    words = f"check {RUN} --format json --output".split()
    assert "No space left" in told(*words, "/dev/full")
    assert call(*words, "/dev/null") in (0, 1)
    assert Path("/dev/null").is_char_device() and Path("/dev/full").is_char_device()


@pytest.mark.parametrize("verb", WRITERS)
def test_a_folder_without_permission(verb: str, here: Path) -> None:
    (here / "closed").mkdir(mode=0o500)
    with plain_rights():
        told(*WRITERS[verb].format(out="closed/x").split())


@pytest.mark.parametrize("out", ["a b ü 日", "-x"])
def test_odd_names_that_are_good(out: str, here: Path) -> None:
    for verb in ("system", "plan", "report", "energy", "label", "submit"):
        words = [each.replace("{out}", f"{verb}{out}") for each in WRITERS[verb].split()]
        flag = next(each for each in words if each in ("--output", "--write"))
        at = words.index(flag)
        words[at : at + 2] = [f"{flag}={out}.{verb}"]
        assert call(*words) in (0, 1)
        assert (here / f"{out}.{verb}").exists()


def test_names_that_are_no_utf8(here: Path) -> None:
    """LoadGen's paths are UTF-8; other files may have any name."""
    for verb in ("campaign", "run"):
        assert "no name in UTF-8" in told(*WRITERS[verb].format(out="x\udcff").split())
    for verb in ("plan", "report", "energy", "label"):
        assert call(*WRITERS[verb].format(out=f"{verb}\udcff").split()) == 0


@pytest.mark.parametrize("out", ["", ".", "/"])
def test_places_without_a_name(out: str, here: Path) -> None:
    for verb in ("run", "submit", "energy", "label", "plan"):
        told(*(each.replace("{out}", out) for each in WRITERS[verb].split()))


def test_an_archive_that_cannot_be_is_refused_before_anything_is_built(here: Path) -> None:
    for name in ("x.zip", "nowhere/x.tar.gz", "t/x.tar.gz"):
        told("submit", "plan.toml", "--campaign", "results", "--output", "t", "--archive", name)


def test_a_backup_that_cannot_be(here: Path) -> None:
    assert "too long" in told(*WRITERS["submit --backup"].format(out="x" * 300).split())


def test_a_disk_that_fills_between_two_runs(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The finished run is kept, and once there is room the rest is done."""
    chosen, room = plan.read(Path("plan.toml")), durable.room
    going = campaign.execute(chosen, Path("new"))
    first = next(going)
    assert first.ok
    kept = seen(first.job.spec.output)
    monkeypatch.setattr(durable, "room", lambda folder: 0)
    with pytest.raises(BadInput, match="the same command goes on from here"):
        next(going)
    assert not [path for path in Path("new").rglob("*.partial")]
    monkeypatch.setattr(durable, "room", room)
    again = list(campaign.execute(chosen, Path("new")))
    assert [each.resumed for each in again] == [True, False] and all(each.ok for each in again)
    assert seen(first.job.spec.output) == kept


@pytest.mark.parametrize("verb", ["system", "energy", "check"])
def test_a_link_that_leads_to_nothing_yet_stays(verb: str, here: Path) -> None:
    (here / "store").mkdir()
    (here / "out").symlink_to("store/new")
    assert call(*WRITERS[verb].format(out="out").split()) in (0, 1)
    assert (here / "out").is_symlink() and (here / "store" / "new").stat().st_size


def test_a_page_of_a_report_that_is_a_link_stays_one(here: Path) -> None:
    words = WRITERS["report"].format(out="r").split()
    assert call(*words) == 0
    (here / "r" / "report.html").rename(here / "page.html")
    (here / "r" / "report.html").symlink_to("../page.html")
    (here / "page.html").write_text("old")
    assert call(*words) == 0
    assert (here / "r" / "report.html").is_symlink() and "<html" in (here / "page.html").read_text()


@pytest.mark.parametrize("verb", ["plan", "run", "campaign", "report", "label", "submit --backup"])
def test_a_link_that_leads_to_nothing_is_refused_and_stays(verb: str, here: Path) -> None:
    (here / "out").symlink_to("gone/new")
    told(*WRITERS[verb].format(out="out").split())


@pytest.mark.timeout(20)
def test_a_description_that_is_no_file_is_not_read(here: Path) -> None:
    """/dev/full is read without an end, a named pipe without a beginning."""
    os.mkfifo(here / "pipe")
    for out in ("/dev/full", "pipe", "results"):
        for more in ("", " --update"):
            assert "is no file" in told(*f"system --output {out}{more}".split())
    assert "cannot be read as JSON" in told("system", "--check", "/dev/zero")

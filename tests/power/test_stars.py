"""Stars within a reference set: the rule by hand, what a set refuses, and that it is always computed anew."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from loadgen_harness.errors import BadInput
from loadgen_harness.run import Run
from power.stars import Rating, rate, read, runs_of
from tests.power import measured

WATTS = [10.0, 20.0, 30.0, 40.0, 60.0]  # bands of 10 W: 10–20, 20–30, 30–40, 40–50, 50–60


def stars(folder: Path, entry: str) -> Rating:
    return rate(runs_of([folder / entry]), read(folder))


def test_five_equal_bands_of_the_range(tmp_path: Path) -> None:
    folder = measured.reference(tmp_path / "systems", [10.0, 19.0, 21.0, 31.0, 45.0, 55.0, 60.0])
    assert [stars(folder, entry).stars for entry in "abcdefg"] == [5, 5, 4, 3, 2, 1, 1]


def test_what_a_rating_says_of_its_set(tmp_path: Path) -> None:
    folder = measured.reference(tmp_path / "systems", WATTS)
    found = stars(folder, "a")
    assert found.member == "a"
    assert found.wh.value == pytest.approx(10 * 2 / 100 * 1000 / 3600, rel=1e-3)
    text = found.text()
    assert "5 of 5 stars" in text and "'systems'" in text and "5 entries" in text and "scope board" in text
    assert found.within.digest[:12] in text


def test_an_uncertain_rating_says_so(tmp_path: Path) -> None:
    folder = measured.reference(tmp_path / "systems", WATTS)
    found = stars(folder, "c")  # 30 W ± 2 %, right on the edge of two bands
    assert {found.least, found.most} == {3, 4}
    assert "(3 to 4 within the interval)" in found.text()


def test_stars_change_with_the_set(tmp_path: Path) -> None:
    folder = measured.reference(tmp_path / "systems", WATTS)
    before = stars(folder, "d")
    measured.run(folder / "glutton", {"nvml": 500.0})
    after = stars(folder, "d")
    assert (before.stars, after.stars) == (2, 5)
    assert before.within.digest != after.within.digest
    assert len(after.within.entries) == 6


def test_a_run_outside_the_set_is_held_at_its_ends(tmp_path: Path) -> None:
    folder = measured.reference(tmp_path / "systems", WATTS)
    rated = [rate([measured.run(tmp_path / str(watts), {"nvml": watts})], read(folder)) for watts in (1.0, 900.0)]
    assert [each.stars for each in rated] == [5, 1]
    assert all(each.member == "" and "not a member" in each.text() for each in rated)


def test_a_toml_file_names_entries_and_repetitions(tmp_path: Path) -> None:
    measured.reference(tmp_path / "runs", WATTS)
    for number in (1, 2):
        measured.run(tmp_path / "runs" / "f" / f"run-{number:02}", {"nvml": 50.0 + number})
    (tmp_path / "runs" / "f" / "run-03.failed").mkdir()
    rows = "".join(f'[[entry]]\nname = "{e}"\nruns = ["runs/{e}"]\n' for e in "abcdef")
    (tmp_path / "set.toml").write_text(f'name = "ours"\n{rows}')
    found = read(tmp_path / "set.toml")
    assert (found.name, len(found.entries), len(found.entries[5].runs)) == ("ours", 6, 2)
    assert rate(runs_of([tmp_path / "runs" / "f"]), found).member == "f"
    assert found.digest == read(tmp_path / "set.toml").digest


def test_boards_count_alone_where_all_have_them(tmp_path: Path) -> None:
    for number, watts in enumerate(WATTS):
        measured.run(tmp_path / "set" / str(number), {"nvml": watts, "rapl": 100.0})
    found = read(tmp_path / "set")
    assert found.scope == "board"
    assert found.range_wh[0] == pytest.approx(10 * 2 / 100 * 1000 / 3600, rel=1e-3)


def test_refused_sets(tmp_path: Path) -> None:
    folder = measured.reference(tmp_path / "set", WATTS[:4])
    with pytest.raises(BadInput, match="has 4 entries: five bands take at least 5"):
        read(folder)
    measured.run(folder / "e", {"nvml": 60.0}, effective_scenario="Offline")
    with pytest.raises(BadInput, match="mixes scenario Server and Offline"):
        read(folder)
    shutil.rmtree(folder / "e")
    measured.run(folder / "e", {"nvml": 60.0}, spec={"benchmark": "digits"})
    with pytest.raises(BadInput, match="mixes benchmark unknown and digits"):
        read(folder)
    shutil.rmtree(folder / "e")
    measured.run(folder / "e", {"rapl": 60.0})
    with pytest.raises(BadInput, match=r"mixes scopes \(board, package\)"):
        read(folder)
    shutil.rmtree(folder / "e")
    measured.run(folder / "e", {"estimate": 60.0})
    with pytest.raises(BadInput, match="no meter exists there, estimates never count"):
        read(folder)
    shutil.rmtree(folder / "e")
    measured.run(folder / "e", {"nvml": 60.0}, result_validity="INVALID")
    with pytest.raises(BadInput, match="is INVALID and takes no part"):
        read(folder)
    with pytest.raises(BadInput, match="took the same energy"):
        read(measured.reference(tmp_path / "same", [5.0] * 5))


def test_refused_files(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot read the set"):
        read(tmp_path / "absent.toml")
    path = tmp_path / "set.toml"
    for text in ("=", 'name = "x"', 'name = "x"\n[[entry]]\nname = "a"\nruns = "b"', "entry = 3\nname = 2"):
        path.write_text(text)
        with pytest.raises(BadInput, match=r"is not TOML|is no set"):
            read(path)


def test_runs_that_do_not_fit(tmp_path: Path) -> None:
    found = read(measured.reference(tmp_path / "set", WATTS))
    with pytest.raises(BadInput, match="its scenario is Offline, the set's is Server"):
        rate([measured.run(tmp_path / "other", {"nvml": 5.0}, effective_scenario="Offline")], found)
    with pytest.raises(BadInput, match="nothing in it was measured with scope board"):
        rate([measured.run(tmp_path / "estimate", {"estimate": 5.0})], found)


def test_runs_of_leaves_a_run_alone(tmp_path: Path) -> None:
    run = measured.run(tmp_path / "run", {"nvml": 5.0})
    (run.path / "run-x").mkdir()
    assert [each.path for each in runs_of([run.path])] == [run.path]
    assert isinstance(runs_of([tmp_path])[0], Run)

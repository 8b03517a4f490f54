"""Where things lie in trees of every round, and which round a tree belongs to."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from loadgen_harness import rounds
from loadgen_harness.types import Division, Seeds
from submissions import layout, provenance

SYSTEM = "box"
DETAIL = layout.DETAIL


def write(root: Path, *names: str, text: str = "x") -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def place(root: Path, benchmark: str = "resnet50", scenario: str = "Offline") -> layout.ScenarioFolder:
    return layout.submitter(root, Division.CLOSED, "Acme").result(SYSTEM, benchmark, scenario)


def inside(path: Path, root: Path) -> str:
    return path.relative_to(root / "closed/Acme").as_posix()


HERE = "results/box/resnet50/Offline"


def test_today_everything_lies_beside_the_logs(tmp_path: Path) -> None:
    write(tmp_path / "closed/Acme", f"{HERE}/user.conf", f"{HERE}/TEST01/verify_accuracy.txt", "src/resnet50/README.md")
    one = place(tmp_path)
    assert inside(one.user_conf, tmp_path) == f"{HERE}/user.conf"
    assert inside(one.measurements, tmp_path) == f"{HERE}/measurements.json"
    assert inside(one.test("TEST04").performance.detail, tmp_path) == f"{HERE}/TEST04/performance/run_1/{DETAIL}"
    assert [test.name for test in one.tests()] == ["TEST01"]
    assert inside(one.home.sources, tmp_path) == "src" and one.home.apart == ()


def test_v5_keeps_settings_and_tests_apart_in_any_case(tmp_path: Path) -> None:
    write(
        tmp_path / "closed/Acme",
        f"{HERE}/performance/run_1/{DETAIL}",
        "measurements/box/resnet50/offline/user.conf",
        "measurements/box/resnet50/offline/box_impl_offline.json",
        "compliance/box/resnet50/offline/TEST01/verify_accuracy.txt",
        "code/resnet50/README.md",
    )
    one = place(tmp_path)
    assert inside(one.user_conf, tmp_path) == "measurements/box/resnet50/offline/user.conf"
    assert inside(one.measurements, tmp_path) == "measurements/box/resnet50/offline/box_impl_offline.json"
    assert inside(one.readme, tmp_path) == "measurements/box/resnet50/offline/README.md"
    assert [inside(test.path, tmp_path) for test in one.tests()] == ["compliance/box/resnet50/offline/TEST01"]
    assert inside(one.home.sources, tmp_path) == "code" and one.home.apart == ("measurements", "compliance")


def test_the_measurements_of_one_system_by_its_name(tmp_path: Path) -> None:
    write(tmp_path / "closed/Acme/measurements/box/resnet50/Offline", "another.json", "box.json")
    write(tmp_path / "closed/Acme", f"{HERE}/accuracy/accuracy.txt")
    assert place(tmp_path).measurements.name == "box.json"
    (place(tmp_path).settings / "box.json").unlink()
    assert place(tmp_path).measurements.name == "box.json", "another system's is not taken for it"


@pytest.mark.parametrize("where", ["performance/run_1", "run_1", "performance", "audit", "."])
def test_a_test_of_an_old_tree_is_found_where_it_lies(tmp_path: Path, where: str) -> None:
    write(tmp_path / "closed/Acme" / HERE / "TEST04-A" / where, DETAIL)
    (test,) = place(tmp_path).tests()
    assert test.name == "TEST04-A" and test.performance.detail.is_file()


@pytest.mark.parametrize("where", ["accuracy", "run_1", "audit", "."])
def test_its_accuracy_log_too(tmp_path: Path, where: str) -> None:
    write(tmp_path / "closed/Acme" / HERE / "TEST01" / where, layout.ACCURACY_LOG)
    (test,) = place(tmp_path).tests()
    assert test.accuracy.accuracy_log.is_file()


def test_results_without_run_1(tmp_path: Path) -> None:
    write(tmp_path / "closed/Acme" / HERE / "performance", DETAIL)
    assert place(tmp_path).performance.detail.is_file()
    write(tmp_path / "closed/Acme" / HERE / "performance/run_2", DETAIL)
    assert place(tmp_path).performance.path.name == "run_2"
    write(tmp_path / "closed/Acme" / HERE / "performance/run_1", DETAIL)
    assert place(tmp_path).performance.path.name == "run_1"


def test_an_endpoints_result_has_none_of_loadgens_logs(tmp_path: Path) -> None:
    write(tmp_path / "closed/Acme" / HERE, "config.yaml", "performance/result_summary.json")
    assert place(tmp_path).endpoint
    write(tmp_path / "closed/Acme" / HERE / "accuracy", DETAIL)
    assert not place(tmp_path).endpoint


def test_a_misspelt_folder_beside_the_results_is_a_stray(tmp_path: Path) -> None:
    write(tmp_path / "closed/Acme", f"{HERE}/a.txt", "compliance/box/resnet50/Ofline/TEST01/a.txt")
    write(tmp_path / "closed/Acme", "measurements/box/resnet50/offline/user.conf")
    (home,) = layout.submitters(tmp_path)
    assert [inside(stray, tmp_path) for stray in home.strays()] == ["compliance/box/resnet50/Ofline"]


def test_links_are_never_walked(tmp_path: Path) -> None:
    write(tmp_path / "outside/box/resnet50/Offline", "user.conf")
    write(tmp_path / "tree/closed/Acme", f"{HERE}/a.txt")
    (tmp_path / "tree/closed/Acme/measurements").symlink_to(tmp_path / "outside")
    (tmp_path / "tree/closed/Other").symlink_to(tmp_path / "outside")
    (home,) = layout.submitters(tmp_path / "tree")
    assert home.apart == () and list(home.strays()) == []
    assert place(tmp_path / "tree").user_conf.parent == place(tmp_path / "tree").path
    assert not layout.inside(tmp_path / "tree/closed/Other/box", tmp_path / "tree")


@pytest.mark.parametrize(
    ("file", "result"),
    [
        ("closed/Acme/results/box/resnet50/offline/user.conf", "closed/Acme/box/resnet50/Offline"),
        ("closed/Acme/compliance/box/resnet50/server/TEST01/a.txt", "closed/Acme/box/resnet50/Server"),
        ("open/Acme/measurements/box/net/MultiStreeam/a.json", "open/Acme/box/net/MultiStreeam"),
        ("closed/Acme/results/box/resnet50", "closed/Acme/box/resnet50"),
        ("closed/Acme/systems/box.json", "closed/Acme/box"),
        ("closed/Acme/systems/box_power.yaml", "closed/Acme/box"),
        ("closed/Acme/src/resnet50/README.md", "closed/Acme"),
        ("closed/Acme", "closed/Acme"),
        ("closed", ""),
        ("run.sh", ""),
        ("", ""),
    ],
)
def test_the_result_behind_a_file(file: str, result: str) -> None:
    assert layout.result_of(file) == result


def test_names_of_folders_are_the_rounds() -> None:
    assert layout.internal_name("resnet50") == "resnet" and layout.internal_name("my-net") == "my-net"
    assert layout.internal_name("llama3_1-405b", rounds.load("v5.0")) == "llama3.1-405b"
    assert layout.internal_name("llama3_1-405b", rounds.load("v6.1")) == "llama3_1-405b"


def log(root: Path, name: str, seeds: Seeds, version: str = "6.0.13") -> None:
    values = {"loadgen_version": f"{version} @ abc", **{f"effective_{k}_rng_seed": v for k, v in vars(seeds).items()}}
    lines = [f":::MLLOG {json.dumps({'key': key, 'value': value})}" for key, value in values.items()]
    write(root, f"{name}/{DETAIL}", text="\n".join(lines))


@pytest.mark.parametrize("name", ["v0.7", "v4.1", "v5.1", "v6.1"])
def test_the_round_by_the_seeds(tmp_path: Path, name: str) -> None:
    seeds = {found: seeds for seeds, found in provenance.known_seeds().items()}[name]
    log(tmp_path, "closed/a", seeds)
    log(tmp_path, "closed/b", seeds)
    log(tmp_path, "open/c", Seeds(0, 0, 0))
    assert layout.round_of(tmp_path) == name
    assert provenance.guess(tmp_path).why == "2 of 3 logs have its seeds"


def test_the_round_by_the_plain_syntax_of_old_logs(tmp_path: Path) -> None:
    seeds = vars(rounds.load("v5.0").earlier["v0.7"])
    lines = (f'"pid": 1, "tid": 1, "ts": 9ns : {key}_rng_seed : {value}' for key, value in seeds.items())
    write(tmp_path, f"closed/{DETAIL}", text="\n".join(lines))
    assert layout.round_of(tmp_path) == "v0.7"


@pytest.mark.parametrize(
    ("version", "name"), [("6.0.13", "v6.0"), ("6.0.17", "v6.1"), ("5.1.0", "v5.1"), ("4.1.0", "")]
)
def test_the_round_by_loadgens_version_where_no_seed_is_known(tmp_path: Path, version: str, name: str) -> None:
    log(tmp_path, "open/a", Seeds(0, 0, 0), version)
    assert layout.round_of(tmp_path) == name


def test_nothing_tells_the_round_of_an_empty_tree(tmp_path: Path) -> None:
    write(tmp_path, f"closed/{DETAIL}", text="no log")
    assert layout.round_of(tmp_path) == "" and layout.round_of(tmp_path / "nowhere") == ""

"""Runs that the suite did not make become a tree: the golden runs become the golden tree, byte for byte."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from audit.finding import Severity
from loadgen_harness.errors import BadInput, SuiteError
from submissions import imported, layout
from submissions.build import Places, build
from submissions.check import check
from submissions.system import IS_NETWORK, NETWORK
from tests.submissions import manifests
from tests.submissions.folders import golden

RESULT = "Acme/results/toybox_1x_cpu/resnet50"
# The only files that may differ, and in these lines alone: where the official script says which logs it has read.
OTHERWISE_WORDED = {f"{RESULT}/{scenario}/TEST01/verify_performance.txt" for scenario in manifests.SCENARIOS}
LOG_PARSER = re.compile(
    r"^\[[^\n]* log_parser\.py:\d+ INFO\] Sucessfully loaded MLPerf log from [^\n]*\n", re.MULTILINE
)


def files(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_the_golden_tree_comes_back_byte_for_byte(shared: Path, tmp_path: Path) -> None:
    found = imported.read(manifests.closed(shared, tmp_path / "in"))
    assert build(found.entries, found.meta, Places(tmp_path / "tree", tmp_path / "sealed"))
    ours, theirs = files(tmp_path / "tree" / "closed"), files(shared / "golden-v6.1" / "closed")
    assert ours.keys() == theirs.keys() and len(theirs) == 57
    assert {name for name in ours if ours[name] != theirs[name]} == OTHERWISE_WORDED
    for name in OTHERWISE_WORDED:
        text, lines = LOG_PARSER.subn("", theirs[name].decode())
        assert lines == 2 and ours[name].decode().strip() == text.strip()
    whole = files(shared / "golden-v6.1-full-accuracy")
    sealed = files(tmp_path / "sealed" / "closed")
    assert sealed == {f"{RESULT}/{name}": content for name, content in whole.items() if name != "val_map.txt"}
    faults = [each for each in check(tmp_path / "tree", found.round, {}) if each.severity is not Severity.NOTE]
    assert not faults


def test_the_open_golden_tree_comes_back_too(shared: Path, tmp_path: Path) -> None:
    found = imported.read(manifests.opened(shared, tmp_path / "in"))
    assert build(found.entries, found.meta, Places(tmp_path / "tree", tmp_path / "sealed"))
    ours, theirs = files(tmp_path / "tree" / "open"), files(shared / "golden-v6.1" / "open")
    assert ours.keys() == theirs.keys() and len(theirs) == 13
    assert {name for name in ours if ours[name] != theirs[name]} == {"Acme/model_mapping.json"}
    assert json.loads(ours["Acme/model_mapping.json"]) == json.loads(theirs["Acme/model_mapping.json"])
    assert not [each for each in check(tmp_path / "tree", found.round, {}) if each.severity is not Severity.NOTE]


def test_a_power_session_is_placed_as_it_is(shared: Path, tmp_path: Path) -> None:
    manifest = manifests.closed(shared, tmp_path / "in", ("Offline",))
    session = tmp_path / "in" / "session"
    for phase in ("run_1", "ranging"):
        golden(shared, session / "performance" / phase, "Offline", "performance")
        (session / "performance" / phase / "spl.txt").write_text(f"{phase}\n")
    (session / "performance" / "power").mkdir()
    for name in layout.POWER_FILES:
        (session / "performance" / "power" / name).write_text(f"{name}\n")
    (session / "runs" / "testing").mkdir(parents=True)
    (session / "runs" / "testing" / "user.conf").write_text("*.Offline.target_qps = 45\n")
    text = manifest.read_text() + 'power = "session"\n'
    manifest.write_text(text)
    with pytest.raises(BadInput, match="needs analyzer_table and power_settings"):
        imported.read(manifest)
    for name in ("analyzer_table", "power_settings"):
        (tmp_path / "in" / f"{name}.md").write_text(f"# {name}\n")
        text += f'{name} = "{name}.md"\n'
    manifest.write_text(text)
    shutil.rmtree(tmp_path / "in" / "runs" / "Offline" / "performance")  # the testing run is the performance run
    found = imported.read(manifest)
    build(found.entries, found.meta, Places(tmp_path / "tree", tmp_path / "sealed"))
    place = tmp_path / "tree" / "closed" / RESULT / "Offline"
    given = files(session / "performance")
    assert {name: text for name, text in files(place / "performance").items() if name in given} == {
        name: text for name, text in given.items() if not name.endswith("user.conf")
    }
    assert (place / "analyzer_table.md").is_file() and (place / "power_settings.md").is_file()
    assert (place / "user.conf").read_text() == "*.Offline.target_qps = 45\n"
    wrong = {each.found for each in check(tmp_path / "tree", found.round, {}) if each.check == "structure"}
    assert not wrong


def test_runs_of_a_query_dispatch_library_go_under_network_and_others_are_refused(shared: Path, tmp_path: Path) -> None:
    manifest = manifests.closed(shared, tmp_path / "in", ("Offline",))
    manifest.write_text(manifest.read_text().replace('division = "closed"', 'division = "network"'))
    places = Places(tmp_path / "tree", tmp_path / "sealed")
    found = imported.read(manifest)
    with pytest.raises(BadInput, match="run against 'PySUT', and the network division wants a Query Dispatch Library"):
        build(found.entries, found.meta, places)
    for log in (tmp_path / "in").rglob("mlperf_log_*.txt"):
        log.write_text(log.read_text().replace("PySUT", "Acme Network SUT"))
    found = imported.read(manifest)
    with pytest.raises(BadInput, match="lacks network_type"):
        build(found.entries, found.meta, places)
    described = json.loads((shared / "golden-v6.1" / "closed" / "Acme" / "systems" / "toybox_1x_cpu.json").read_text())
    more = {"division": "network", "system_type": "datacenter", IS_NETWORK: "true", **dict.fromkeys(NETWORK, "1")}
    (tmp_path / "in" / "system.json").write_text(json.dumps({**described, **more}))
    text = re.sub(r"(?m)^system = .*$", 'system = "system.json"', manifest.read_text())
    manifest.write_text(text)
    found = imported.read(manifest)
    assert not places.tree.exists() and build(found.entries, found.meta, places)
    assert [path.name for path in places.tree.iterdir()] == ["network"]
    wrong = {(each.check, each.key) for each in check(places.tree, found.round, {}) if each.severity is Severity.ERROR}
    assert wrong == {("suite", "system_type")}, "resnet50 is no benchmark of the datacenter"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (("round =", "rund ="), "rund"),
        (('round = "v6.1"', 'round = "v9.9"'), "v9.9"),
        (('scenario = "Offline"', 'scenario = "Ofline"'), "Ofline"),
        (('benchmark = "resnet50"', 'benchmark = "resnet51"'), "resnet51"),
        (('runs = "runs/Offline"', 'runs = "nowhere"'), "nowhere"),
        (('runs = "runs/Offline"', 'runs = "runs"'), "has no folder performance"),
        (("[[result]]", "[result]"), r"\[\[result\]\]"),
        (('submitter = "Acme"', "submitter = 7"), "submitter"),
        (('submitter = "Acme"', 'submitter = "Acme'), "not TOML"),
        (('division = "closed"', 'division = "closed"\ninfer = "Offline"'), "list of texts"),
    ],
)
def test_a_bad_manifest_is_refused_with_its_key(
    shared: Path, tmp_path: Path, change: tuple[str, str], sentence: str
) -> None:
    manifest = manifests.closed(shared, tmp_path, ("Offline",))
    manifest.write_text(manifest.read_text().replace(*change))
    with pytest.raises(SuiteError, match=sentence):
        imported.read(manifest)


def test_a_system_file_that_is_none_is_refused(shared: Path, tmp_path: Path) -> None:
    manifest = manifests.closed(shared, tmp_path, ("Offline",))
    text = manifest.read_text()
    for content, sentence in (("{", "no system description"), (json.dumps([1]), "JSON list")):
        (tmp_path / "system.json").write_text(content)
        manifest.write_text(re.sub(r"(?m)^system = .*$", 'system = "system.json"', text))
        with pytest.raises(BadInput, match=sentence):
            imported.read(manifest)
    with pytest.raises(BadInput, match="cannot read"):
        imported.read(tmp_path / "none.toml")

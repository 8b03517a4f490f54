"""The eleven items: each broken once, ours beside the official check (a checkout named by LGH_MLCOMMONS_POWER)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from audit import power_check
from audit.catalogue import CHECKS
from audit.finding import Finding, Severity, errors
from power.simulator import MARK
from tests.audit.power_sessions import CLIENT, LOG, NAME, SERVER, Change, Draft, draft, stamp

CHECKOUT = os.environ.get("LGH_MLCOMMONS_POWER", "")
# The official check's words, by our item; the −5 % rule is a part of its time check
OFFICIAL = {
    "sources": "sources checksum",
    "replies": "Check PTD commands and replies",
    "uuid": "Check UUID",
    "name": "Check session name",
    "phases": "Check time difference",
    "ranging": "Check time difference",
    "messages": "Check client server messages",
    "digest": "Check results checksum",
    "log": "Check errors and warnings from PTD logs",
    "device": "Check PTD configuration",
    "debug": "Check debug is disabled on server-side",
}


@dataclass(frozen=True)
class Broken:
    """One fault: how it is made, our item that rejects it, and why we reject where the official check does not."""

    change: Change
    item: str
    stricter: str = ""


def server(**values: object) -> Change:
    """Keys of server.json otherwise."""
    return lambda session: session.server.update(values)


def client(**values: object) -> Change:
    """Keys of client.json otherwise."""
    return lambda session: session.client.update(values)


def said(command: str, reply: str) -> Change:
    """PTDaemon answers otherwise."""
    return lambda session: session.say(command, reply)


def edited(name: str, old: str, new: str) -> Change:
    """A file with another text, digested so."""
    return lambda session: session.replace(name, old, new)


def added(at_s: float, text: str) -> Change:
    """A line more in ptd_logs.txt."""
    return lambda session: session.files.update({LOG: session.files[LOG] + f"{stamp(at_s)}: {text}\n"})


def late(name: str, text: str | None) -> Change:
    """A file other than the digests say, or gone."""
    return lambda session: session.late.update({name: text})


def power(phase: str, watts: float) -> Change:
    """Another mean power of a phase."""
    old = {"ranging": 100.0, "run_1": 101.0}[phase]
    return edited(f"{phase}/spl.txt", f"Watts,{old:.6f}", f"Watts,{watts:.6f}")


def both(*changes: Change) -> Change:
    """Several changes that make one fault."""

    def change(session: Draft) -> None:
        for each in changes:
            each(session)

    return change


def shifted(side: str, phase: str, at: int, by_s: float) -> Change:
    """A stamp of a phase moved."""

    def change(session: Draft) -> None:
        getattr(session, side)["phases"][phase][at][0] += by_s

    return change


TABLE: dict[str, Broken] = {
    "client ran other code": Broken(lambda s: s.client["sources"].update({"lib/client.py": "0" * 40}), "sources"),
    "server ran other code": Broken(lambda s: s.server["sources"].update({"lib/server.py": "0" * 40}), "sources"),
    "a file beside the code": Broken(lambda s: s.client["sources"].update({"my.py": "0" * 40}), "sources"),
    "a file of the code missing": Broken(lambda s: s.client["sources"].pop("server.py"), "sources"),
    "an old PTDaemon": Broken(said("Identify", "YokogawaWT310,version=1.10.0-e,x"), "replies"),
    "an unknown analyzer": Broken(said("Identify", "Dummy,version=1.11.1-e,x"), "replies"),
    "a range refused": Broken(said("SR,A", "Error: no such range"), "replies"),
    "another interval": Broken(said("Go,1000", "Starting untimed measurement at 500ms"), "replies"),
    "nothing to stop": Broken(said("Stop", "Error: no measurement to stop"), "replies"),
    "never identified": Broken(lambda s: s.server["ptd_messages"].pop(1), "replies"),
    "ranges not restored": Broken(
        lambda s: s.server["ptd_messages"][-1].update(cmd="SR,A,5.000000"),
        "replies",
    ),
    "volts not restored": Broken(lambda s: s.server["ptd_messages"][-2].update(cmd="SR,V,300.0"), "replies"),
    "never a Go": Broken(
        lambda s: s.server.update(ptd_messages=[m for m in s.server["ptd_messages"] if not m["cmd"].startswith("Go")]),
        "replies",
        "without Go nothing was measured: the official check asks only how a Go was answered, if there was one",
    ),
    "another client": Broken(lambda s: s.client["uuid"].update(client="00000000-0000-0000-0000-000000000001"), "uuid"),
    "another server": Broken(lambda s: s.server["uuid"].update(server="00000000-0000-0000-0000-000000000001"), "uuid"),
    "no UUID": Broken(lambda s: s.server["uuid"].update(server="none"), "uuid"),
    "another session": Broken(client(session_name=f"{NAME}_other"), "name"),
    "clocks a second apart": Broken(shifted("server", "testing", 1, 1.0), "phases"),
    "one stamp less": Broken(lambda s: s.client["phases"]["ranging"].pop(), "phases"),
    "half a conversation": Broken(
        both(lambda s: s.client["phases"]["testing"].pop(), lambda s: s.server["phases"]["testing"].pop()),
        "phases",
        "a phase that was never stopped has no end: the official check looks at the first three stamps",
    ),
    "LoadGen before the phase": Broken(edited("run_1/mlperf_log_detail.txt", stamp(63), stamp(60)), "phases"),
    "LoadGen after the phase": Broken(edited("ranging/mlperf_log_detail.txt", stamp(38), stamp(42)), "phases"),
    "LoadGen an hour late": Broken(
        both(
            *(edited("ranging/mlperf_log_detail.txt", stamp(at), stamp(at + 3600)) for at in (12, 38)),
            edited("ranging/spl.txt", "11-22-2026 12:", "11-22-2026 13:"),
        ),
        "phases",
        "the official check bears an hour, for daylight saving: LoadGen's stamps and the client's are both UTC",
    ),
    "a test with less power": Broken(power("run_1", 94.9), "ranging"),
    "a test with exactly 5 % less": Broken(power("run_1", 95.0), "ranging"),
    "no sample in either window": Broken(
        both(*(edited(f"{each}/spl.txt", "11-22-2026 12:", "11-22-2026 17:") for each in ("ranging", "run_1"))),
        "ranging",
        "the official check takes a mean of nothing for -1 W on both sides, and finds them equal",
    ),
    "no sample in the test": Broken(edited("run_1/spl.txt", "11-22-2026 12:", "11-22-2026 17:"), "ranging"),
    "a message less": Broken(lambda s: s.client["messages"].pop(), "messages"),
    "another message": Broken(lambda s: s.client["messages"][3].update(cmd="session,x,start,ranging"), "messages"),
    "another reply": Broken(lambda s: s.client["messages"][3].update(reply="Error"), "messages"),
    "another protocol": Broken(
        lambda s: [each["messages"][0].update(cmd="mlcommons/power client v2") for each in (s.client, s.server)],
        "messages",
    ),
    "a summary with a newline more": Broken(late("run_1/mlperf_log_summary.txt", "LoadGen's summary\n\n"), "digest"),
    "other watts": Broken(
        late("run_1/spl.txt", "Time,11-22-2026 12:01:10.500,Watts,101.0,Volts,1,Amps,1,PF,1\n"), "digest"
    ),
    "a log gone": Broken(late("power/server.log", None), "digest"),
    "digests that differ": Broken(
        lambda s: s.client["results"].update({"power/server.log": "0" * 40}),
        "digest",
    ),
    "a log merged too early": Broken(lambda s: s.files.update({LOG: "Analyzer 1\n"}), "log"),
    "another session's log": Broken(edited(LOG, NAME, "2026-11-22_11-00-00"), "log"),
    "a test that was never ended": Broken(
        lambda s: s.files.update({LOG: s.files[LOG].rpartition(f"{stamp(101)}: Completed test")[0]}),
        "log",
        "the rules want the log of the testing phase too: the official check looks at ranging alone",
    ),
    "uncertainty never checked": Broken(edited(LOG, "is activated", "is not known"), "log"),
    "uncertainty checked late": Broken(edited(LOG, f"{stamp(-5)}: Unc", f"{stamp(20)}: Unc"), "log"),
    "an error in the test": Broken(added(70, "ERROR: Bad watts reading nan from the analyzer"), "log"),
    "an error before ranging": Broken(added(-1, "ERROR: no answer"), "log"),
    "an error in the test behind another": Broken(
        both(added(20, "ERROR: an uncommon one"), added(70, "ERROR: Bad watts reading nan from the analyzer")),
        "log",
        "the official check stops at the first remark, here the uncommon error in ranging, and reads no further",
    ),
    "a device that is not accepted": Broken(lambda s: s.server["ptd_config"][0].update(device_type=0), "device"),
    "one channel of several": Broken(lambda s: s.server["ptd_config"][0].update(device_type=77, channel=[1]), "device"),
    "no device": Broken(
        server(ptd_config=[]), "device", "a session without an analyzer: the official check loops over none of them"
    ),
    "no configuration": Broken(lambda s: s.server.pop("ptd_config"), "device"),
    "debug mode": Broken(server(debug=True), "debug"),
}


def judged(folder: Path) -> list[Finding]:
    """What our check finds, warnings too."""
    return list(power_check.check(folder))


def official(folder: Path) -> tuple[int, list[str]]:
    """The exit code of the official check, and the items that did not pass."""
    command = [sys.executable, str(Path(CHECKOUT) / "compliance" / "check.py"), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    return done.returncode, [line.partition("[ ] ")[2] for line in done.stderr.splitlines() if "[ ] " in line]


def made(tmp_path: Path, change: Change) -> Path:
    """A session with one change."""
    session = draft()
    change(session)
    return session.write(tmp_path / "performance")


def test_a_session_in_order_has_no_finding(tmp_path: Path) -> None:
    assert judged(made(tmp_path, lambda _: None)) == []


@pytest.mark.parametrize("name", TABLE)
def test_each_fault_is_found_by_its_item(name: str, tmp_path: Path) -> None:
    found = errors(judged(made(tmp_path, TABLE[name].change)))
    assert f"power-{TABLE[name].item}" in {each.check for each in found}
    assert all(each.fix and each.clause.startswith("power_measurement.adoc, ") and each.wanted for each in found)


@pytest.mark.slow
@pytest.mark.skipif(not CHECKOUT, reason="LGH_MLCOMMONS_POWER names no checkout of mlcommons/power-dev")
@pytest.mark.parametrize("name", ["nothing", *TABLE])
def test_the_official_check_says_the_same_or_less(name: str, tmp_path: Path) -> None:
    fault = TABLE.get(name)
    folder = made(tmp_path, fault.change if fault else lambda _: None)
    code, items = official(folder)
    if fault is None or fault.stricter:
        assert (code, items) == (0, []), "it rejects what the table says it accepts"
    else:
        assert code and any(OFFICIAL[fault.item] in item for item in items)
        ours = {OFFICIAL[each.check.removeprefix("power-")] for each in errors(judged(folder))}
        assert all(any(each in item for each in ours) for item in items), "it rejects by an item where we do not"


def test_all_faults_together_are_all_found(tmp_path: Path) -> None:
    """No item hides another."""
    chosen = ("client ran other code", "an old PTDaemon", "no UUID", "another session", "a test with less power")
    found = judged(made(tmp_path, both(*(TABLE[name].change for name in chosen), server(debug=True))))
    assert {f"power-{TABLE[name].item}" for name in chosen} | {"power-debug"} <= {each.check for each in found}


def test_uncertain_samples_in_the_test_are_remarked_on_once(tmp_path: Path) -> None:
    """The official check overlooks the first and last 800 s of a run for want of a factor 1000."""
    above = "which is above 1.00% limit for the last sample!"
    lines = both(*(added(70 + at, f"WARNING: Uncertainty 1.{at:02}%, {above}") for at in range(5)))
    (found,) = judged(made(tmp_path, lines))
    assert (found.check, found.severity.value) == ("power-log", "warning") and "(5 such lines)" in found.found


def test_a_much_shorter_test_is_remarked_on(tmp_path: Path) -> None:
    (found,) = judged(made(tmp_path, edited("run_1/mlperf_log_detail.txt", stamp(89), stamp(73))))
    assert (found.check, found.key, found.severity.value) == ("power-phases", "duration", "warning")


@pytest.mark.parametrize("text", ["", "{", "[]", '"x"', "\ud800".encode("utf-8", "surrogatepass").decode("latin-1")])
@pytest.mark.parametrize("name", [CLIENT, SERVER])
def test_a_summary_that_cannot_be_read_is_one_finding(text: str, name: str, tmp_path: Path) -> None:
    found = judged(made(tmp_path, late(name, text)))
    assert [each.check for each in found] == ["power-record"]


@pytest.mark.parametrize(
    "value", [None, 0, "x", [], {}, [1], [[]], [{}], {"ranging": 1, "testing": [[]]}, [{"cmd": 1}]]
)
def test_hostile_values_are_findings(value: object, tmp_path: Path) -> None:
    for number, key in enumerate(("sources", "messages", "uuid", "session_name", "results", "phases", "ptd_messages")):
        folder = tmp_path / str(number)
        folder.mkdir()
        session = draft().write(folder / "performance")
        (session / SERVER).write_text(_with(session / SERVER, key, value))
        assert errors(judged(session)), key


def test_a_million_faults_are_a_few_findings(tmp_path: Path) -> None:
    session = draft()
    session.client["sources"] = {f"{at}.py": "0" * 40 for at in range(100_000)}
    assert len(judged(session.write(tmp_path / "performance"))) == power_check.MOST


def _with(path: Path, key: str, value: object) -> str:
    return json.dumps({**json.loads(path.read_text()), key: value})


@pytest.mark.parametrize("name", power_check.MARKED)
def test_the_simulators_mark_is_refused_in_every_file(name: str, tmp_path: Path) -> None:
    folder = made(tmp_path, lambda _: None)
    path = folder / name
    path.write_bytes((path.read_bytes() if path.exists() else b"") + b"x" * ((1 << 20) - 9) + MARK.encode() + b"\n")
    found = [each for each in judged(folder) if each.check == "power-simulated"]
    assert [each.file for each in found] == [name] and errors(found)


def test_the_mark_alone_condemns_a_folder_without_summaries(tmp_path: Path) -> None:
    (tmp_path / "run_1").mkdir()
    (tmp_path / "run_1/spl.txt").write_text(f"Time,x,Watts,1,Simulated,{MARK}\n")
    assert "power-simulated" in {each.check for each in judged(tmp_path)}


def test_every_item_is_in_the_catalogue() -> None:
    names = {f"power-{name}" for name in (*power_check.ITEMS, *power_check.BEYOND, "simulated", "record")}
    assert names <= CHECKS.keys() and set(OFFICIAL) == set(power_check.ITEMS)


@pytest.mark.slow
@pytest.mark.skipif(not CHECKOUT, reason="LGH_MLCOMMONS_POWER names no checkout of mlcommons/power-dev")
def test_published_sessions_fail_the_same_items(shared: Path) -> None:
    folders = sorted(path.parent.parent for path in (shared / "published").rglob("power/server.json"))
    assert len(folders) == 16
    for folder in folders:
        ours = {OFFICIAL[each.check.removeprefix("power-")] for each in errors(judged(folder))}
        _, items = official(folder)
        assert {each for each in ours if any(each in item for item in items)} == ours, folder
        assert all(any(each in item for each in ours) for item in items), folder


def holed(made: Draft, keep: Callable[[int], bool]) -> None:
    """A run whose spl.txt, digested so, lacks some of its lines."""
    lines = made.files["run_1/spl.txt"].splitlines(keepends=True)
    made.files["run_1/spl.txt"] = "".join(line for at, line in enumerate(lines) if keep(at))


@pytest.mark.parametrize(
    ("keep", "found"),
    [
        (lambda at: not 8 <= at < 18, "16 samples in 26.0 s, a hole of 11.0 s, from 5.5 s after power_begin on"),
        (lambda at: at % 5 == 0, "5 samples in 26.0 s, 6 holes of up to 5.0 s, from 18.5 s after power_begin on"),
    ],
    ids=["a hole of ten seconds", "every fifth sample"],
)
def test_samples_that_are_lacking_are_counted(tmp_path: Path, keep: Callable[[int], bool], found: str) -> None:
    made = draft()
    holed(made, keep)
    (finding,) = power_check.check(made.write(tmp_path))
    assert (finding.check, finding.severity, finding.file) == ("power-samples", Severity.WARNING, "run_1/spl.txt")
    assert finding.found == found


def old(made: Draft) -> Draft:
    """As v1.0 wrote it: one analyzer without a list, the client a message short, another PTDaemon and other sources."""
    made.server["ptd_config"] = made.server["ptd_config"][0]
    made.client["messages"].pop()
    made.say("Identify", "YokogawaWT310,1000,1,1,1,1,0,1,1,version=1.9.2-e8c7a49a-20201208,OS=Linux")
    for side in (made.client, made.server):
        side["sources"]["client.py"] = "0" * 40
    return made


def test_an_old_session_is_checked_by_what_depends_on_no_round(tmp_path: Path) -> None:
    (note,) = power_check.check(old(draft()).write(tmp_path / "whole"), old=True)
    assert (note.severity, note.found) == (Severity.NOTE, "not checked: sources of the programs, version of PTDaemon")
    assert len(errors(power_check.check(old(draft()).write(tmp_path / "new")))) > 3, "of today's round all of it counts"
    made = old(draft())
    made.late["run_1/spl.txt"] = made.files["run_1/spl.txt"].replace("Watts,101.0", "Watts,81.0")
    edited = errors(power_check.check(made.write(tmp_path / "edited"), old=True))
    assert {each.check for each in edited} == {"power-ranging", "power-digest"}
    made = old(draft())
    made.client["messages"].pop()
    assert [each.check for each in errors(power_check.check(made.write(tmp_path / "short"), old=True))] == [
        "power-messages"
    ]


def test_a_clients_summary_is_held_to_its_digest_where_the_server_has_one(tmp_path: Path) -> None:
    made = old(draft())
    made.server["results"][CLIENT] = "0" * 40
    assert [each.file for each in errors(power_check.check(made.write(tmp_path), old=True))] == [CLIENT]

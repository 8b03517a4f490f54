"""Kills a campaign of short runs at random moments and looks at what is left: `python -m tests.kills --kills 200`.

After every kill no process of the campaign lives on, every run that was finished is as it was, every run folder under
its final name is whole, and the journal can be read; the same command then goes on.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import psutil

from loadgen_harness import journal
from loadgen_harness.launch import digests
from tests.fakes import environment, lgh

PLAN = """
round = "tiny"
tax = 0.1
[[benchmark]]
name = "tiny"
backend = "null"
scenarios = {scenarios}
"""
SHORT = ("SingleStream",)
WHOLE = ("SingleStream", "MultiStream", "Server", "Offline")
FIRST_S = 5.0  # a campaign's longest life before it is known how long a run takes here
RUNS = 1.3  # that the longest life has time for
EARLY = 0.1  # of all kills: while the campaign itself begins
GONE_S = 10.0


@dataclass
class Kills:
    """What was seen: kills, campaigns brought to their end, finished runs, and what is wrong."""

    kills: int = 0
    whole: int = 0
    runs: int = 0
    struck: dict[str, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)


def begin(folder: Path) -> subprocess.Popen[bytes]:
    """The campaign of a folder, in a process group of its own."""
    command = lgh("campaign", str(folder / "plan.toml"), "--output", str(folder / "out"), "--no-preflight")
    with (folder / "out.txt").open("ab") as out:
        return subprocess.Popen(command, env=environment(), start_new_session=True, stdout=out, stderr=out)


def runs(folder: Path) -> dict[str, dict[str, object]]:
    """Every run under its final name: key to run.json."""
    found = {}
    for path in (folder / "out" / "runs").glob("*/*/*/run.json"):
        if not path.parent.name.startswith(".") and ".tax-" not in str(path):
            found[str(path.parent.relative_to(folder / "out" / "runs"))] = json.loads(path.read_bytes())
    return found


def living(folder: Path) -> list[psutil.Process]:
    """Processes that work in the folder."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        words = process.info["cmdline"] or ()
        if process.info["status"] != psutil.STATUS_ZOMBIE and any(str(folder) in word for word in words):
            found.append(process)
    return found


def faults(folder: Path, before: dict[str, object]) -> list[str]:
    """What is wrong with a folder after a kill; `before`: when the runs known to be finished began."""
    found: list[str] = []
    now = runs(folder)
    for key, started in before.items():
        if key not in now:
            found.append(f"{key} was finished and is gone")
        elif now[key]["started"] != started:
            found.append(f"{key} was finished and was made again")
    for key, record in now.items():
        path = folder / "out" / "runs" / key
        if record["digests"] != digests_of(path):
            found.append(f"{key} is not what its run.json says")
    for path in (folder / "out" / "runs").glob("*/*/*"):
        if not path.name.startswith(".") and path.name.partition(".")[0] not in ("performance", "accuracy"):
            found.append(f"{path} should not be there")
        if not path.name.startswith(".") and "." not in path.name and not (path / "run.json").exists():
            found.append(f"{path} is half-written")
    noted = {entry["key"] for entry in journal.read(folder / "out") if entry["event"] == journal.Event.FINISH}
    found += [f"the journal says that {key} was finished, and it is not there" for key in noted - set(now)]
    return found


def digests_of(path: Path) -> dict[str, str]:
    """Of the run's own files: while its tax is written run.json.partial stands beside run.json."""
    return {name: digest for name, digest in digests(path).items() if not name.endswith(".partial")}


def moment(folder: Path) -> str:
    """What the campaign was doing, by its journal."""
    entries = journal.read(folder / "out")
    return str(entries[-1]["event"]) if entries else "nothing yet"


def begun(folder: Path) -> int:
    """How often a campaign was begun in a folder."""
    return sum(entry["event"] == journal.Event.BEGIN for entry in journal.read(folder / "out"))


def longest_s(folder: Path) -> float:
    """Within which a campaign is killed: so long that now and then a run is finished, however busy the machine is."""
    start, took = 0.0, []
    for entry in journal.read(folder / "out"):
        now = datetime.fromisoformat(entry["utc"]).timestamp()
        if entry["event"] == journal.Event.START:
            start = now
        elif entry["event"] == journal.Event.FINISH:
            took.append(now - start)
    return RUNS * min(took) if took else FIRST_S


def life(folder: Path, chance: random.Random, seen: Kills) -> bool:
    """One life of a campaign, killed at a random moment; whether it came to its end before."""
    before = {key: record["started"] for key, record in runs(folder).items()}
    lives = begun(folder)
    process = begin(folder)
    if chance.random() > EARLY:
        while begun(folder) == lives and process.poll() is None:
            time.sleep(0.01)
    try:
        code = process.wait(chance.uniform(0.0, longest_s(folder)))
    except subprocess.TimeoutExpired:
        if chance.random() < 0.5:
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        seen.kills += 1
        event = moment(folder)
        seen.struck[event] = seen.struck.get(event, 0) + 1
        code = None
    end = time.monotonic() + GONE_S
    while (left := living(folder)) and time.monotonic() < end:
        time.sleep(0.02)
    seen.wrong += [f"process {each.pid} lives on: {each.cmdline()}" for each in left]
    seen.wrong += faults(folder, before)
    said = (folder / "out.txt").read_text(encoding="utf-8", errors="replace")
    if "Traceback" in said or code not in (None, 0, 1):  # 1: a run is INVALID, as happens on a busy machine
        seen.wrong.append(f"a campaign ended with {code}: {said[-2000:]}")
    return code is not None


def kill(times: int, seed: int = 0, *, scenarios: Sequence[str] = WHOLE, say: bool = False) -> Kills:
    """Campaigns killed so many times in all, each taken up again until it ends; the last one is brought to its end."""
    chance, seen = random.Random(seed), Kills()
    while seen.kills < times and not seen.wrong:
        with tempfile.TemporaryDirectory(prefix="kills-") as scratch:
            folder = Path(scratch)
            (folder / "plan.toml").write_text(PLAN.format(scenarios=json.dumps(scenarios)), encoding="utf-8")
            ended = False
            while not ended and not seen.wrong:
                if seen.kills >= times:
                    begin(folder).wait(300)
                    ended = True
                    seen.wrong += faults(folder, {})
                else:
                    ended = life(folder, chance, seen)
                if say:
                    sys.stdout.write(f"{seen.kills} kills, {seen.whole} whole campaigns, {seen.struck}\n")
                    sys.stdout.flush()
            seen.whole += 1
            seen.runs += len(runs(folder))
            if len(runs(folder)) != 2 * len(scenarios) and not seen.wrong:
                seen.wrong.append(f"a campaign ended with {sorted(runs(folder))} alone")
    return seen


def main() -> int:
    """As many kills as wanted."""
    parser = argparse.ArgumentParser(prog="python -m tests.kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    seen = kill(args.kills, args.seed, say=True)
    for sentence in seen.wrong:
        sys.stdout.write(f"WRONG: {sentence}\n")
    sys.stdout.write(f"{seen.kills} kills, {seen.whole} campaigns, {seen.runs} runs, {len(seen.wrong)} faults\n")
    return 1 if seen.wrong else 0


if __name__ == "__main__":
    sys.exit(main())

"""Power sessions in the golden tree: a whole one around its SingleStream run, and faults of it."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

from loadgen_harness.run import Run
from power.simulator import MARK
from tests.audit.power_sessions import LOG, Draft, Times, draft
from tests.audit.power_sessions import Change as SessionChange
from tests.submissions.mutations import DETAIL, SINGLE, SUMMARY, Change, Mutation, one, put, together, write

PERFORMANCE = SINGLE / "performance"
TEXTS = together(*(write(SINGLE / f"{name}.md", "| key | value |\n") for name in ("analyzer_table", "power_settings")))
FORM = "%m-%d-%Y %H:%M:%S.%f"
STAMP = re.compile(r"\d\d-\d\d-\d{4} \d\d:\d\d:\d\d\.\d{3}")


def session(change: SessionChange = lambda _: None) -> Change:
    """A power session around the result's performance run, with one change of it."""

    def apply(tree: Path) -> None:
        TEXTS(tree)
        folder = tree / PERFORMANCE
        made = around(folder / "run_1")
        change(made)
        for name in made.files:
            put(folder / name, "")  # the tree's own files are links
        made.write(folder)

    return apply


def around(run: Path) -> Draft:
    """A session whose test is this run; its ranging run is the same some time before."""
    begin, end = Run(run).power_window or (0.0, 0.0)
    length = float(int(end - begin) + 1)
    earlier = Times(0.0, length).window("testing")[0] - Times(0.0, length).window("ranging")[0]
    times = Times(begin - Times(0.0, length).window("testing")[0], length)
    made = draft(times)
    for name in (DETAIL, SUMMARY):
        text = (run / name).read_text()
        made.files[f"run_1/{name}"] = text
        made.files[f"ranging/{name}"] = STAMP.sub(lambda found: _earlier(found[0], earlier), text)
    return made


def _earlier(stamp: str, seconds: float) -> str:
    when = datetime.strptime(stamp, FORM).replace(tzinfo=UTC) - timedelta(seconds=seconds)
    return when.strftime(FORM)[:-3]


def simulated(made: Draft) -> None:
    """The identity and the samples of the simulator, all else as it should be."""
    made.say("Identify", f"{MARK},version=1.11.1-{MARK}-20260101")
    made.files["run_1/spl.txt"] = made.files["run_1/spl.txt"].replace(",Mark,", f",Simulated,{MARK},Mark,")


def less(made: Draft) -> None:
    """A test that drew 8 % less than ranging."""
    made.replace("run_1/spl.txt", "Watts,101.000000", "Watts,92.000000")


def holed(made: Draft) -> None:
    """A test whose samples of one minute are gone."""
    lines = made.files["run_1/spl.txt"].splitlines(keepends=True)
    made.files["run_1/spl.txt"] = "".join(lines[:200] + lines[260:])


POWER: dict[str, Mutation] = {
    "a simulated power analyzer": Mutation(
        session(simulated),
        (*one("power-simulated", "mark"), *one("power-simulated", "mark"), *one("power-replies", "Identify")),
    ),
    "a power session with other code": Mutation(
        session(lambda made: made.server["sources"].update({"my.py": "0" * 40})), one("power-sources", "sources.my.py")
    ),
    "a power test that drew less than ranging": Mutation(session(less), one("power-ranging", "Watts")),
    "a power log edited afterwards": Mutation(
        session(lambda made: made.late.update({"power/server.log": "tidied up\n"})), one("power-digest", "sha1")
    ),
    "a power log merged too early": Mutation(
        session(lambda made: made.files.update({LOG: "Analyzer 1\n"})),
        (*one("power-log", "ranging"), *one("power-log", "testing"), *one("power-log", "uncertainty checking")),
    ),
    "a power log with a hole of a minute": Mutation(session(holed), one("power-samples", "interval")),
    "a power result without the analyzer's settings": Mutation(
        together(session(), lambda tree: (tree / SINGLE / "analyzer_table.md").unlink()), one("power", "analyzer_table")
    ),
}
ALLOWED: dict[str, Change] = {"a power session": session()}

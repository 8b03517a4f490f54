"""Every fault of the mutation table under our check and the official checkers, side by side.

    python -m tests.submissions.differential CHECKOUT docs/checker-differences.md

CHECKOUT is a checkout of mlcommons/inference. It takes minutes: each fault is checked by the official checker of v6.1,
by the old one, and, turned into a tree of v6.0 and of v5.1, by the rules of those rounds.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from audit import official_old as official_old_table
from audit.finding import Finding, errors
from audit.official import row_of, verdicts
from loadgen_harness import rounds
from submissions.check import check
from submissions.official import official, official_old
from tests.submissions import mutations, synthetic
from tests.submissions.faults import ALLOWED, FAULTS
from tests.submissions.mutations import Change, copied, put

WORDS = {"would accept": "accepts", "would reject": "rejects", "would crash": "crashes"}
NEWEST = "v6.1"
OTHERS = ("v6.0", "v5.1")
COLUMNS = 10  # of a row of the golden tree's table, the empty ones before and after it included
ROOT = Path(__file__).resolve().parents[2]
BESIDE = ("user.conf", "README.md", "measurements.json")
LOGS = ("mlperf_log_detail.txt", "mlperf_log_summary.txt")


@dataclass(frozen=True)
class Row:
    """One fault: our findings, what was predicted, what each checker did."""

    name: str
    findings: tuple[Finding, ...]
    predicted: str
    did: dict[str, str]

    @property
    def rejected(self) -> bool:
        """Whether the rules reject it, by our check."""
        return bool(errors(self.findings))


def changes() -> dict[str, Change]:
    """Every fault and every allowed change by name."""
    return {name: fault.change for name, fault in FAULTS.items()} | ALLOWED


def judged(golden: Path, name: str, scratch: Path) -> tuple[Path, list[Finding]]:
    """A tree with one fault, and our findings on it."""
    tree = copied(golden, scratch / "tree")
    changes()[name](tree)
    return tree, list(check(tree, rounds.load(NEWEST)))


def compared(golden: Path, checkout: Path, name: str) -> Row:
    """One fault under every checker."""
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        tree, findings = judged(golden, name, scratch)
        did = {NEWEST: official(tree, checkout, NEWEST).word}
        old = official_old(tree, checkout, NEWEST)
        did["old"] = old.word if old else ""
        for round_ in OTHERS:
            earlier = as_round(tree, scratch / round_, round_)
            did[round_] = official(earlier, checkout, round_).word
        return Row(name, tuple(findings), predicted(findings), did)


def predicted(findings: Sequence[Finding]) -> str:
    """The word for the whole tree that the table foretells."""
    return WORDS[verdicts(findings).official]


def predicted_old(findings: Sequence[Finding]) -> str:
    """The same for the old checker."""
    words = {row.word for each in findings if (row := official_old_table.row_of(each))}
    return "crashes" if "crashes" in words else "rejects" if "rejects" in words else "accepts"


def documented_old() -> dict[str, str]:
    """What the old checker did about each change of the golden tree, as the committed table says."""
    lines = (ROOT / "docs" / "checker-differences.md").read_text(encoding="utf-8").splitlines()
    rows = [[cell.strip() for cell in line.split("|")] for line in lines if line.startswith("| ")]
    return {row[1]: row[5] for row in rows if len(row) == COLUMNS}


def as_round(tree: Path, target: Path, round_: str) -> Path:
    """A copy of a v6.1 tree as of an earlier round: its seeds, and the layout of v5 where it had that."""
    copied(tree, target)
    seeds = zip(*(vars(rounds.load(name).seeds).values() for name in (NEWEST, round_)), strict=True)
    pairs = [(str(new).encode(), str(old).encode()) for new, old in seeds]
    for path in [each for each in sorted(target.rglob("*")) if each.name in LOGS and each.is_file()]:
        content = path.read_bytes()
        for new, old in pairs:
            content = content.replace(new, old)
        put(path, content)
    if round_.startswith("v5"):
        for home in [each for division in target.iterdir() if division.is_dir() for each in division.iterdir()]:
            _apart(home)
    return target


def _apart(home: Path) -> None:
    """Settings and tests moved to where v5 had them."""
    if (home / "src").is_dir():
        (home / "src").rename(home / "code")
    for place in sorted(home.glob("results/*/*/*")):
        inner = place.relative_to(home / "results")
        for file in BESIDE:
            if (place / file).is_file():
                name = f"{inner.parts[0]}.json" if file == "measurements.json" else file
                _move(place / file, home / "measurements" / inner / name)
        for test in sorted(place.glob("TEST*")):
            _move(test, home / "compliance" / inner / test.name)


def _move(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(source, target)


def document(rows: list[Row], others: list[Row]) -> str:
    """The tables as Markdown: of the golden tree, and of the hand-written one, which is of the newest round alone."""
    every_row = [*rows, *others]
    agreed = sum(row.rejected == (row.did[NEWEST] != "accepts") for row in every_row)
    right = sum(row.predicted == row.did[NEWEST] for row in every_row)
    head = [
        "# Where our check and the official checkers differ",
        "",
        "Written by `python -m tests.submissions.differential CHECKOUT docs/checker-differences.md`; do not edit.",
        "Each row is one change of the golden tree (`tests/submissions/faults.py`), checked by us and by the checkers",
        "of mlcommons/inference at b66003e1: the new by the rules of v6.1, the old (`submission_checker_old.py`),",
        "and the new on the same tree turned into one of v6.0 and of v5.1. *Crashes*: it came to no verdict.",
        "",
        f"{len(every_row)} changes; the new checker of v6.1 agrees with the rules on {agreed}, and `audit/official.py`",
        f"predicted what it did for {right}. Where the verdicts differ, the last column says what the rules ask and",
        "what the checker looks at.",
        "",
    ]
    below = [
        "",
        "Changes of a datacenter tree written by hand (`tests/submissions/synthetic.py`); the old checker dies of it",
        "unchanged, since it does not know the metric DLRM_NE:",
        "",
    ]
    return "\n".join([*head, *_table(rows, (NEWEST, "old", *OTHERS)), *below, *_table(others, (NEWEST, "old"))]) + "\n"


def _table(rows: list[Row], checkers: tuple[str, ...]) -> list[str]:
    columns = ("change", "rules", "predicted", *checkers, "why they differ")
    return [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|", *(_line(row, checkers) for row in rows)]


def _line(row: Row, checkers: tuple[str, ...]) -> str:
    ours = "reject" if row.rejected else "accept"
    did = " | ".join(row.did[name] for name in checkers)
    return f"| {row.name} | {ours} | {row.predicted} | {did} | {_why(row)} |"


def _why(row: Row) -> str:
    """The clause of the rules and the checker's own reason, where the two verdicts differ; a crash is no verdict."""
    old = _why_old(row)
    if row.rejected == (row.did[NEWEST] == "rejects"):
        return old
    gravest = next(iter(errors(row.findings)), next(iter(row.findings), None))
    if gravest is None:
        return "no rule forbids it"
    table = row_of(gravest)
    said = f"{gravest.check}: {gravest.clause}. The checker: {table.why if table else 'not known'}".replace("|", "/")
    return f"{said}. {old}" if old else said


def _why_old(row: Row) -> str:
    """The old checker's own reason, where it does otherwise than the new one."""
    rows = [found for each in row.findings if (found := official_old_table.row_of(each))]
    fitting = [each for each in rows if each.word == row.did["old"] and each in official_old_table.DIFFERENT]
    return f"The old: {fitting[0].why}" if fitting and row.did["old"] != row.did[NEWEST] else ""


def by_hand(checkout: Path, name: str) -> Row:
    """One fault of the hand-written tree under the checkers of the newest round; no name: the tree itself."""
    with tempfile.TemporaryDirectory() as folder:
        tree = synthetic.tree(Path(folder) / "tree", ROOT.parent / "shared" / "golden-v6.1" / mutations.SYSTEM)
        if name:
            synthetic.FAULTS[name].change(tree)
        findings = tuple(check(tree, rounds.load(NEWEST)))
        old = official_old(tree, checkout, NEWEST)
        did = {NEWEST: official(tree, checkout, NEWEST).word, "old": old.word if old else ""}
        return Row(name or "none", findings, predicted(findings), did)


def every(golden: Path, checkout: Path) -> Iterator[Row]:
    """All rows, in the order of the table."""
    with ThreadPoolExecutor(2) as pool:
        yield from pool.map(lambda name: compared(golden, checkout, name), changes())


def writable(source: Path, target: Path) -> Path:
    """A copy whose files may be linked to and replaced."""
    for path in (source, *sorted(source.rglob("*"))):
        place = target / path.relative_to(source)
        if path.is_dir():
            place.mkdir(parents=True)
        else:
            place.write_bytes(path.read_bytes())
    return target


def main(checkout: Path, output: Path) -> None:
    """Write the table."""
    with tempfile.TemporaryDirectory() as folder:
        golden = writable(ROOT.parent / "shared" / "golden-v6.1", Path(folder) / "golden")
        text = document(list(every(golden, checkout)), [by_hand(checkout, name) for name in ("", *synthetic.FAULTS)])
    partial = output.with_name(f"{output.name}.partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(output)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

"""The page of an audit: verdicts, a grid, every finding; nothing from a foreign folder becomes markup."""

from __future__ import annotations

from html.parser import HTMLParser

from submissions import audit_page
from tests.audit.test_output import BAD, CONTROL, GOOD, HOSTILE, audited, finding


class Page(HTMLParser):
    """Tags in order, and whether each was closed."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)
        if tag not in ("meta", "link", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def read(page: str) -> Page:
    parser = Page()
    parser.feed(page)
    assert parser.open == []
    return parser


def test_shows_verdicts_and_findings() -> None:
    page = audit_page.write([BAD, GOOD])
    read(page)
    for said in ("FAIL  tree", "PASS  tree", "expected of the checker of v6.1", "ERROR: seeds differ", "log.txt:132"):
        assert said in page


def test_a_table_of_results() -> None:
    page = audit_page.write([BAD])
    assert "<caption>What each result states, and the verdicts on it alone.</caption>" in page
    row = page.partition('<table class="results">')[2].partition("</table>")[0]
    assert row.count("✗ rejects") == 3, "both are rejected by the rules, and one by the checker"


def test_the_grid_counts_by_result_and_check() -> None:
    grid = audit_page.grid(BAD)
    assert grid["checks"] == ["loadgen-version", "seeds", "files"]
    assert grid["rows"] == [
        ("the tree", [("", 0), ("", 0), ("error", 1)]),
        ("closed/Acme/r", [("warning", 1), ("error", 1), ("", 0)]),
        ("closed/Acme/s", [("", 0), ("error", 1), ("", 0)]),
    ]


def test_nothing_foreign_becomes_markup() -> None:
    everywhere = {name: HOSTILE for name in ("key", "found", "wanted", "clause", "fix", "file", "check", "official")}
    page = audit_page.write([audited(finding(**everywhere), kind="<i>", round_from=HOSTILE)])
    assert "script" not in read(page).tags and "i" not in read(page).tags
    assert not CONTROL.search(page)


def test_asks_for_nothing_from_elsewhere() -> None:
    page = audit_page.write([BAD])
    assert "http" not in page.replace("http-equiv", "") and "default-src 'none'" in page


def test_many_files_are_folded() -> None:
    page = audit_page.write([audited(*(finding(file=f"closed/Acme/r/{n}.txt") for n in range(9)))])
    assert "×9" in page and "6 more files" in page and "closed/Acme/r/8.txt" in page

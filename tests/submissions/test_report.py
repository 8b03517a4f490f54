"""One page that needs nothing else, and a Markdown twin with the same figures."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from audit.finding import Finding, Severity
from loadgen_harness.errors import BadInput
from loadgen_harness.run import Run
from loadgen_harness.types import Scenario, Score, Target
from submissions.record import RunResult
from submissions.report import report
from tests.submissions.folders import DIGITS, Made, golden, make

VOID = {"meta", "link", "br", "wbr", "input", "path", "rect"}
FINDING = Finding("duration", Severity.ERROR, "detail.txt", "power_end", "1 s", ">= 2 s", "rules", "Run <longer>.")


class Page(HTMLParser):
    """Collects tags and attributes, and fails on tags that do not nest."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._open: list[str] = []
        self.feed(text)
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag


def results(folder: Path) -> list[RunResult]:
    made = [
        Made(Scenario.SINGLE_STREAM, 700, 0.4, watts=14),
        Made(Scenario.SERVER, 300, 2.0, limit_ms=10, valid=False),
        Made(Scenario.INTERACTIVE, 97, 300, tokens=28),
        Made(Scenario.OFFLINE, 900, 2.0),
    ]
    score, target = Score("accuracy", 98.1, 97.7, 98.5, 5000, "Wilson"), Target("accuracy", 97.812, 98.8)
    return [
        RunResult(
            make(folder / each.scenario.value, each),
            DIGITS,
            (score,),
            (target,),
            energy="≈ 41 J (estimated, 25–57 J)" if each.watts else "",
            verdicts={"TEST01": True, "TEST04": False} if each.scenario is Scenario.OFFLINE else {},
            findings=() if each.valid else (FINDING,),
        )
        for each in made
    ]


def test_the_page_is_whole_and_needs_no_network(tmp_path: Path) -> None:
    shown = results(tmp_path / "runs")
    text = report([each.run for each in shown], shown, tmp_path / "report.html").read_text()
    page = Page(text)
    assert not re.search(r"https?://|@import|<script[^>]|url\(", text)  # its own script stands in the page
    assert "default-src 'none'" in text
    tags = [tag for tag, _ in page.tags]
    assert tags.count("h1") == 1 and tags.count("table") == tags.count("caption")
    assert (
        tags.count("svg") == 4 + 3 + 4 + 2 + 2
    )  # power in the first, tokens in the third, no latency curve in Offline, queues in two
    links = [a["href"] for tag, a in page.tags if tag == "a"]
    anchors = {a["id"] for _, a in page.tags if "id" in a}
    assert all(link and link[1:] in anchors for link in links)
    assert len(anchors) == sum("id" in a for _, a in page.tags)


def test_it_says_what_counts(tmp_path: Path) -> None:
    shown = results(tmp_path / "runs")
    page = report([], shown, tmp_path / "report.html")
    text, twin = page.read_text(), page.with_suffix(".md").read_text()
    for wanted in ("4 results, 3 of them", "minimum duration not met", "98.10", "TEST04", "abc1234", "Toy CPU 3000"):
        assert wanted in text and wanted in twin, wanted
    assert "<em>estimated</em>" in text and "Power (<em>estimated</em>, package)" in text
    assert "Run &lt;longer&gt;." in text
    assert "time per output token" in text and "latency limit" not in text
    rows = [line for line in twin.splitlines() if line.startswith("| Handwritten digits")]
    assert (
        len(rows) == 4 + 6 + 4 + 4
    )  # the summary, one line for each kind of latency; for each run one of pace, one of spans


def test_a_page_of_twenty_runs_is_small(tmp_path: Path) -> None:
    shown = [
        RunResult(make(tmp_path / f"{n}", Made(Scenario.SERVER, 2000, 2.0, watts=9), n), DIGITS) for n in range(20)
    ]
    assert report([], shown, tmp_path / "report.html").stat().st_size < 500_000  # five drawings each


TAX = {
    "benchmark": "digits",
    "layout": "native, thread, batch ≤ 8",
    "seconds": 2.0,
    "samples": 600,
    "mean_ns": 41_000.0,
    "p99_ns": 212_000.0,
    "ceiling": 1_234_567.0,
    "gil": {"waits": 600, "mean_us": 1.5, "max_us": 1_200.0, "over_1ms": 2},
}


def test_it_shows_where_the_latency_goes(tmp_path: Path) -> None:
    made = [
        Made(Scenario.SERVER, 300, 2.0, batches=(1, 2, 4)),
        Made(Scenario.SINGLE_STREAM, 300, 0.4, scheduled=False),
        Made(Scenario.INTERACTIVE, 97, 300, tokens=28),
        Made(Scenario.OFFLINE, 300, 0.4, mode="AccuracyOnly"),
    ]
    shown = [RunResult(make(tmp_path / each.scenario.value, each), DIGITS) for each in made]
    page = report([], shown, tmp_path / "report.html")
    text, twin = page.read_text(), page.with_suffix(".md").read_text()
    spans = twin.partition("## Where the latency goes")[2].partition("\n## ")[0]
    lines = [line for line in spans.splitlines() if line.startswith("| Handwritten digits")]
    assert "| schedule delay | queueing | batch wait | compute | completion | total |" in spans
    assert len(lines) == 3  # performance runs only
    assert "| Server | 2\u202fµs |" in lines[0]
    assert lines[0].endswith("| of varying size |") and lines[1].endswith("| Every batch held one sample. |")
    assert "| SingleStream | – |" in lines[1]  # nobody knows when LoadGen meant to issue
    assert "no batches form" in lines[2]
    assert text.count("Batch sizes over time</h4>") == 1
    assert text.count("Where the latency went</h4>") == 3
    assert "to first token 4" in text and "decode 2" in text


def test_it_shows_the_tax(tmp_path: Path) -> None:
    made = [
        Made(Scenario.SERVER, 300, 2.0, limit_ms=10, tax=TAX),
        Made(Scenario.SINGLE_STREAM, 300, 50, tax={**TAX, "gil": {}}),
        Made(Scenario.OFFLINE, 300, 2.0, tax={"error": "the null run failed"}),
        Made(Scenario.MULTI_STREAM, 300, 2.0),
    ]
    shown = [RunResult(make(tmp_path / each.scenario.value, each), DIGITS) for each in made]
    page = report([], shown, tmp_path / "report.html")
    for text in (page.read_text(), page.with_suffix(".md").read_text()):
        for wanted in ("native, thread, batch ≤ 8", "212\u202fµs", "2.1\u202f% of the latency limit", "not visible"):
            assert wanted in text
        assert "longest 1\u202f200\u202fµs, 2 over 1\u202fms" in text
        assert "Offline could not be measured: the null run failed" in text
    assert page.read_text().count('class=" bad"') == 1  # 2.1 % is too much, the other is not
    plain = RunResult(make(tmp_path / "plain", Made(Scenario.SERVER, 300, 2.0)), DIGITS)
    assert "Harness tax" not in report([], [plain], tmp_path / "plain.html").read_text()


def test_an_estimate_has_two_ends_in_its_drawing_too(tmp_path: Path) -> None:
    """What the drawing says of the mean is what the table of the energy says, and no line stands for a middle."""
    run = make(tmp_path / "run", Made(Scenario.SINGLE_STREAM, 3000, 0.4, watts=14))
    page = report([], [RunResult(run, DIGITS)], tmp_path / "report.html")
    figure = page.read_text().partition("<h4>Power (")[2].partition("</figure>")[0]
    table = page.with_suffix(".md").read_text()
    mean = re.search(r"\| mean power \| estimated \| W \| ([^|]+) \|", table)
    assert mean and f"On average {mean[1]} W.</figcaption>" in figure
    assert 'class="e2"' in figure and not re.search(r'class="(lim|l2|b2|m)|[Mm]ean|peak', figure)
    meters = run.file("power/meters.json")
    meters.write_text(meters.read_text().replace("estimate", "toy").replace('"toyd": true', '"estimated": false'))
    run.file("power/estimate.csv").rename(run.file("power/toy.csv"))
    page = report([], [RunResult(Run(run.path), DIGITS)], tmp_path / "measured.html")
    figure = page.read_text().partition("<h4>Power (")[2].partition("</figure>")[0]
    measured = re.search(r"\| mean power \| ([\d.]+) \| W", page.with_suffix(".md").read_text())
    said = re.search(r"<figcaption>Mean ([\d.]+)", figure)
    assert measured and said and float(said[1]) == pytest.approx(float(measured[1]), rel=0.01)
    assert 'class="lim"' in figure and 'class="e2"' not in figure


def test_what_a_latency_is_one_of_and_which_one_the_metric_is(tmp_path: Path) -> None:
    made = [
        Made(Scenario.SINGLE_STREAM, 300, 0.4),
        Made(Scenario.MULTI_STREAM, 800, 1.0),
        Made(Scenario.OFFLINE, 64, 0.4, mode="AccuracyOnly"),
    ]
    shown = [RunResult(make(tmp_path / each.scenario.value, each), DIGITS) for each in made]
    page = report([], shown, tmp_path / "report.html")
    single, multi = re.findall(r"<h4>Latency (?:distribution|over time)</h4>.*?</figure>", page.read_text())[::2]
    assert "share of samples<" in single and "300 samples." in single
    assert "share of queries<" in multi and "100 queries." in multi
    assert "One dot for each query; 100 queries" in page.read_text()
    lines = page.with_suffix(".md").read_text().splitlines()
    rows = [line for line in lines if line.startswith("| Handwritten digits")][:3]
    assert "ms (p90, early stopping) |" in rows[0] and "ms (p99, early stopping) |" in rows[1]
    assert "| no errors | – |" in rows[2]  # LoadGen gives no verdict of an accuracy run
    assert "p90, early stopping</span>" in page.read_text() and "✓&nbsp;no\u00a0errors" in page.read_text()


def test_an_accuracy_is_told_once(tmp_path: Path) -> None:
    score = Score("accuracy", 98.1, 97.7, 98.5, 5000, "Wilson")
    other = replace(score, value=97.2)
    scenarios = (Scenario.SINGLE_STREAM, Scenario.SERVER, Scenario.OFFLINE)
    scores = (score, score, other)
    shown = [
        RunResult(make(tmp_path / each.value, Made(each, 64, 2.0)), DIGITS, (measured,))
        for each, measured in zip(scenarios, scores, strict=True)
    ]
    page = report([], shown, tmp_path / "report.html")
    summary = page.read_text().partition("<details")[0]
    for text in (summary, page.with_suffix(".md").read_text()):
        assert text.count("accuracy 98.10") == text.count("accuracy 97.20") == text.count("the same as ") == 1


def test_it_survives_foreign_and_damaged_folders(shared: Path, tmp_path: Path) -> None:
    run = golden(shared, tmp_path / "golden", "SingleStream", "performance")
    (tmp_path / "empty").mkdir()
    damaged = make(tmp_path / "damaged", Made(Scenario.SERVER, 50, 1.0))
    damaged.file("samples.npy").write_bytes(b"not numpy")
    shown = [RunResult(each, DIGITS) for each in (run, Run(tmp_path / "empty"), Run(damaged.path))]
    text = report([], shown, tmp_path / "report.html").read_text()
    Page(text)
    assert "20.34" in text and "nothing to draw" in text and "samples.npy" in text


def test_names_of_people_cannot_break_the_page(tmp_path: Path) -> None:
    run = make(tmp_path / "run", Made(Scenario.OFFLINE, 50, 1.0))
    title = replace(DIGITS, title="<b>|digits|</b>")
    page = report([], [RunResult(run, title)], tmp_path / "report.html")
    assert "<b>" not in page.read_text()
    assert "<b>\\|digits\\|</b>" in page.with_suffix(".md").read_text()


def test_nothing_finished_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "report.md").write_text("mine")
    with pytest.raises(BadInput, match=r"report\.md exists"):
        report([], [], tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()

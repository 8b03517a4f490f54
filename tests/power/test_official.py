"""The checkout of the official programs, every change of which is named; server.conf as the official code reads it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from loadgen_harness.errors import BadInput
from power import server_conf
from power.official import SOURCES, checkout
from power.server_conf import Analyzer

CHECKOUT = os.environ.get("LGH_MLCOMMONS_POWER", "")
needs_checkout = pytest.mark.skipif(not CHECKOUT, reason="LGH_MLCOMMONS_POWER names no checkout of mlcommons/power-dev")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the official programs that may be changed."""
    for name in ("compliance", "ptd_client_server"):
        shutil.copytree(Path(CHECKOUT) / name, tmp_path / "power-dev" / name)
    return tmp_path / "power-dev"


def test_there_are_fifteen_published_files() -> None:
    assert len(SOURCES) == 15 and all(len(digest) == 40 for digest in SOURCES.values())


@needs_checkout
def test_an_unmodified_checkout_is_taken(copy: Path) -> None:
    (copy / "ptd_client_server/lib/__pycache__").mkdir(exist_ok=True)
    (copy / "ptd_client_server/lib/__pycache__/x.py").write_text("left out by the official digest too\n")
    found = checkout(copy)
    assert found.client.is_file() and found.server.is_file()


def crlf(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))


CHANGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "edited": (lambda at: (at / "ptd_client_server/lib/client.py").open("a").write("\n"), "lib/client.py was changed"),
    "missing": (lambda at: (at / "ptd_client_server/server.py").unlink(), "server.py is missing"),
    "extra": (lambda at: (at / "ptd_client_server/lib/my.py").write_text(""), "lib/my.py is not part of it"),
    "CRLF": (lambda at: crlf(at / "ptd_client_server/client.py"), "client.py has CRLF line ends"),
    "other digests": (lambda at: (at / "compliance/sources_checksums.json").write_text("[{}]"), "other digests"),
    "digests with CRLF": (lambda at: crlf(at / "compliance/sources_checksums.json"), "CRLF line ends"),
    "no digests": (lambda at: shutil.rmtree(at / "compliance"), "holds no checkout"),
}


@needs_checkout
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_named_with_the_remedy(name: str, copy: Path) -> None:
    change, complaint = CHANGES[name]
    change(copy)
    with pytest.raises(BadInput, match=complaint) as raised:
        checkout(copy)
    assert "git clone" in str(raised.value)


def test_a_folder_without_the_programs(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="holds no checkout"):
        checkout(tmp_path / "nowhere")


READER = """
import sys
sys.path.insert(0, sys.argv[1])
from ptd_client_server.lib import server
found = server.ServerConfig(sys.argv[2])
print(found.ntp_server, found.host, found.port, found.analyzer_count, *found.ptd_command, sep="|")
"""


@needs_checkout
@pytest.mark.parametrize(
    ("analyzers", "words"),
    [
        ([Analyzer(49, "C2%PH", "-y")], ["'-y', '49', 'C2%PH'"]),
        ([Analyzer(8, "/dev/ttyUSB0")], ["'8', '/dev/ttyUSB0'"]),
        ([Analyzer(77, "10.0.0.3", "-n", "1,3")], ["'-c', '1,3', '-n', '77', '10.0.0.3'"]),
        ([Analyzer(549, "COM1")], ["'-D', '549', 'COM1'"]),
        ([Analyzer(49, "a", "-y"), Analyzer(48, "b", "-g", "2", 8889, "0")], ["'49', 'a'", "'-b', '0', '-c', '2'"]),
    ],
)
def test_the_official_server_reads_the_configuration(
    analyzers: list[Analyzer], words: list[str], tmp_path: Path
) -> None:
    conf = tmp_path / "server.conf"
    server_conf.write(conf, server_conf.text("/opt/50%/ptd", analyzers, ntp="ntp.example", host="127.0.0.1", port=4951))
    command = [sys.executable, "-B", "-c", READER, CHECKOUT, str(conf)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    ntp, host, port, count, *commands = done.stdout.strip().split("|")
    assert (ntp, host, port, count) == ("ntp.example", "127.0.0.1", "4951", str(len(analyzers)))
    assert all(word in text and "/opt/50%/ptd" in text for word, text in zip(words, commands, strict=True))
    assert "ignoring unknown" not in done.stderr


@pytest.mark.parametrize(
    ("analyzer", "complaint"),
    [
        (Analyzer(0, "x"), "type 0"),
        (Analyzer(49, ""), "device port"),
        (Analyzer(49, "x", "-z"), "interface flag"),
        (Analyzer(77, "x", "", "1"), r"wants 2 number"),
        (Analyzer(77, "x"), r"wants 2 number"),
        (Analyzer(48, "x", "", "1,2"), r"wants 1 number"),
        (Analyzer(49, "x", "", "1,2"), r"wants 1 number"),
        (Analyzer(49, "x", "", "a"), r"wants 1 number"),
    ],
)
def test_an_analyzer_that_the_official_server_would_refuse(analyzer: Analyzer, complaint: str) -> None:
    with pytest.raises(BadInput, match=complaint):
        server_conf.text("ptd", [analyzer], ntp="ntp")


def test_a_configuration_that_makes_no_sense(tmp_path: Path) -> None:
    good = Analyzer(49, "x")
    with pytest.raises(BadInput, match="IP address"):
        server_conf.text("ptd", [good], ntp="ntp", host="director")
    with pytest.raises(BadInput, match="one analyzer"):
        server_conf.text("ptd", [], ntp="ntp")
    with pytest.raises(BadInput, match="port of its own"):
        server_conf.text("ptd", [good, good], ntp="ntp")
    (tmp_path / "server.conf").write_text("edited")
    with pytest.raises(BadInput, match="never overwritten"):
        server_conf.write(tmp_path / "server.conf", "")

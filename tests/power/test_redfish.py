"""The meter redfish against a small real HTTPS server that behaves as management controllers do."""

from __future__ import annotations

import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from loadgen_harness.errors import BadInput, UnknownName
from power import meter
from power.meter import MeterFailed
from power.meters.redfish import RedfishMeter
from tests.power.controller import CHASSIS, NEW, OLD, PASSWORD, SESSIONS, USER, Controller, Talk, linked

pytestmark = pytest.mark.skipif(not shutil.which("openssl"), reason="needs the program openssl to make a certificate")


@pytest.fixture(scope="session")
def pem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Key and self-signed certificate of localhost in one file."""
    folder = tmp_path_factory.mktemp("certificate")
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    subject = ("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", "2")
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", *subject]
    subprocess.run([*command, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True)
    both = folder / "both.pem"
    both.write_text(key.read_text() + certificate.read_text())
    return both


def served(pem: Path) -> Iterator[Controller]:
    controller = Controller(pem)
    thread = threading.Thread(target=controller.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield controller
    controller.shutdown()
    controller.server_close()
    thread.join()


controller = pytest.fixture(served, name="controller")
other = pytest.fixture(served, name="other")


@pytest.fixture(autouse=True)
def configured(controller: Controller, pem: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {
        "URL": controller.url,
        "USER": USER,
        "PASSWORD": PASSWORD,
        "CA": str(pem),
        "CHASSIS": "",
        "INSECURE": "",
    }
    for key, value in settings.items():
        monkeypatch.setenv(f"LGH_REDFISH_{key}", value)
    monkeypatch.setattr("power.meters.redfish.PAUSE_S", 0.01)


def test_a_session_on_one_connection_that_is_given_back(controller: Controller) -> None:
    redfish = meter.load("redfish")()
    assert [redfish.watts() for _ in range(3)] == [pytest.approx(412.87)] * 3
    told = redfish.describe()
    assert (told["chassis"], told["authentication"], told["TLS"]) == ("1U", "session", "verified")
    assert (redfish.scope, redfish.parts, redfish.estimated) == ("node", ("node",), False)
    assert (redfish.interval_s, redfish.averaging_s, redfish.uncertainty) == (2, 2, 0.03)
    assert not redfish.counting  # 0.1 kWh is 360 kJ
    assert PASSWORD not in str(told)
    redfish.close()
    assert controller.sessions == set()
    assert controller.connections == 2  # load() looked first, then the meter: a connection each
    assert controller.made == 2


def test_the_old_resource(controller: Controller) -> None:
    for reading in ({"Reading": None}, {}, None):
        controller.resources[NEW]["PowerWatts"] = reading
        redfish = RedfishMeter()
        assert redfish.watts() == 344
        assert "30 min" in redfish.describe()["note"]
        assert redfish.uncertainty == 0.1
        redfish.close()
    del controller.resources[f"{CHASSIS}/1U"]["EnvironmentMetrics"]
    assert RedfishMeter.available() == ""


def test_power_supplies(controller: Controller) -> None:
    system = f"{CHASSIS}/1U/PowerSubsystem"
    shelf = f"{system}/PowerSupplies"
    controller.resources[f"{CHASSIS}/1U"] = {"PowerSubsystem": linked(system)}
    controller.resources[system] = {"PowerSupplies": linked(shelf)}
    controller.resources[shelf] = {"Members": [linked(f"{shelf}/{n}") for n in (1, 2)]}
    for number, watts in ((1, 210.5), (2, 0)):
        controller.resources[f"{shelf}/{number}"] = {"Metrics": linked(f"{shelf}/{number}/Metrics")}
        controller.resources[f"{shelf}/{number}/Metrics"] = {"InputPowerWatts": {"Reading": watts}}
    redfish = RedfishMeter()
    assert redfish.watts() == 210.5
    controller.resources[f"{shelf}/2/Metrics"] = {"InputPowerWatts": {"Reading": None}}
    with pytest.raises(MeterFailed, match="null"):
        redfish.watts()
    redfish.close()


@pytest.mark.parametrize(
    ("key", "start", "later", "joules"), [("EnergyJoules", 5000, 5250, 250.0), ("EnergykWh", 7.00001, 7.00012, 396.0)]
)
def test_energy_is_counted_where_it_is_fine_enough(
    controller: Controller, key: str, start: float, later: float, joules: float
) -> None:
    controller.resources[NEW][key] = {"Reading": start}
    redfish = RedfishMeter()
    assert redfish.counting
    assert redfish.resolution == pytest.approx(1.0 if key == "EnergyJoules" else 36.0)
    controller.resources[NEW][key] = {"Reading": later}
    assert redfish.joules() == pytest.approx(joules)
    controller.resources[NEW][key] = {"Reading": 1.0}
    with pytest.raises(MeterFailed, match="counter fell"):
        redfish.joules()
    controller.resources[NEW][key] = {"Reading": None}
    with pytest.raises(MeterFailed, match="null"):
        redfish.joules()
    redfish.close()


def test_basic_authentication_where_there_are_no_sessions(controller: Controller) -> None:
    controller.has_sessions = False
    redfish = RedfishMeter()
    assert redfish.watts() > 0
    assert redfish.describe()["authentication"] == "basic"
    redfish.close()
    assert ("DELETE", SESSIONS) not in controller.calls


def test_a_wrong_password_is_tried_once(controller: Controller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LGH_REDFISH_PASSWORD", "guess")
    reason = RedfishMeter.available()
    assert "refuses the user and password" in reason
    assert "guess" not in reason
    assert [call for call in controller.calls if call[0] == "POST"] == [("POST", SESSIONS)]


def test_an_expired_session_is_renewed_once(controller: Controller) -> None:
    redfish = RedfishMeter()
    controller.sessions.clear()
    assert redfish.watts() > 0
    assert controller.made == 2
    controller.sessions.clear()
    controller.has_sessions = False  # and basic authentication takes its place
    assert redfish.watts() > 0
    redfish.close()


def test_a_user_who_may_not_read(controller: Controller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Talk, "known", lambda talk: False)
    assert "may not read" in RedfishMeter.available()
    assert controller.made == 2


def test_a_connection_that_was_closed_meanwhile(controller: Controller) -> None:
    redfish = RedfishMeter()
    controller.lose = 1
    assert redfish.watts() > 0
    controller.lose = 2
    with pytest.raises(MeterFailed, match="connection breaks"):
        redfish.watts()
    redfish.close()


@pytest.mark.parametrize("value", [-3, 0, 1e9])
def test_watts_that_no_server_draws(controller: Controller, value: float) -> None:
    redfish = RedfishMeter()
    controller.resources[NEW]["PowerWatts"] = {"Reading": value}
    with pytest.raises(MeterFailed, match="no server draws"):
        redfish.watts()
    redfish.close()


def test_a_null_on_the_way(controller: Controller) -> None:
    redfish = RedfishMeter()
    controller.resources[NEW]["PowerWatts"] = {"Reading": None}
    with pytest.raises(MeterFailed, match=r"tells no power \(null\)"):
        redfish.watts()
    redfish.close()
    controller.resources[OLD] = {"PowerControl": []}
    assert "(1U) tells its power" in RedfishMeter.available()


def test_a_certificate_that_nobody_vouches_for(controller: Controller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LGH_REDFISH_CA", "")
    assert "LGH_REDFISH_CA" in RedfishMeter.available()
    assert controller.calls == []
    monkeypatch.setenv("LGH_REDFISH_INSECURE", "1")
    redfish = RedfishMeter()
    assert redfish.describe()["TLS"].startswith("NOT verified")
    redfish.close()


def test_a_certificate_of_another_name(controller: Controller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LGH_REDFISH_URL", controller.url.replace("localhost", "127.0.0.1"))
    assert "not trusted" in RedfishMeter.available()
    assert controller.calls == []


def test_a_file_that_holds_no_certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in (tmp_path / "absent", tmp_path):
        monkeypatch.setenv("LGH_REDFISH_CA", str(path))
        assert "LGH_REDFISH_CA" in RedfishMeter.available()


def test_several_chassis_are_named(controller: Controller, monkeypatch: pytest.MonkeyPatch) -> None:
    controller.resources[CHASSIS]["Members"] += [linked(f"{CHASSIS}/GPU"), linked(f"{CHASSIS}/Bare")]
    controller.resources[f"{CHASSIS}/Bare"] = {"Id": "Bare"}
    controller.resources[f"{CHASSIS}/GPU"] = {"Power": linked(f"{CHASSIS}/GPU/Power")}
    controller.resources[f"{CHASSIS}/GPU/Power"] = {"PowerControl": [{"PowerConsumedWatts": 700}]}
    with pytest.raises(BadInput, match="name one of 1U, GPU in LGH_REDFISH_CHASSIS"):
        RedfishMeter()
    assert controller.sessions == set()
    monkeypatch.setenv("LGH_REDFISH_CHASSIS", "GPU")
    redfish = RedfishMeter()
    assert redfish.watts() == 700
    redfish.close()
    monkeypatch.setenv("LGH_REDFISH_CHASSIS", "Bare")
    assert "(Bare) tells its power" in RedfishMeter.available()
    monkeypatch.setenv("LGH_REDFISH_CHASSIS", "GPUs")
    with pytest.raises(UnknownName, match="did you mean 'GPU'"):
        RedfishMeter()


def test_redirects_stay_on_the_host(controller: Controller, other: Controller) -> None:
    controller.redirects[NEW] = f"{NEW}/"
    controller.resources[f"{NEW}/"] = controller.resources[NEW]
    redfish = RedfishMeter()
    assert redfish.watts() > 0
    controller.redirects[NEW] = f"{other.url}{NEW}"
    with pytest.raises(MeterFailed, match="another host"):
        redfish.watts()
    assert other.connections == 0
    controller.redirects[NEW] = NEW
    with pytest.raises(MeterFailed, match="redirects more than"):
        redfish.watts()
    redfish.close()


@pytest.mark.parametrize(
    "target", ["https://elsewhere.example/s", "//elsewhere.example/s", "https://localhost:70000/s"]
)
def test_links_stay_on_the_host(controller: Controller, target: str) -> None:
    controller.resources["/redfish/v1/"] = {"Links": {"Sessions": linked(target)}}
    assert "another host" in RedfishMeter.available()
    assert not [call for call in controller.calls if call[0] == "POST"]


@pytest.mark.parametrize(
    ("key", "value", "word"),
    [
        ("URL", "", "LGH_REDFISH_URL"),
        ("URL", "bmc.example", "LGH_REDFISH_URL"),
        ("URL", "ftp://bmc.example", "LGH_REDFISH_URL"),
        ("URL", "https://bmc.example:x", "LGH_REDFISH_URL"),
        ("URL", "https://me:secret@bmc.example", "LGH_REDFISH_URL"),
        ("URL", "https://bmc.example/ui", "LGH_REDFISH_URL"),
        ("URL", "http://bmc.example", "in the clear"),
        ("URL", "https://localhost:9", "does not answer"),
        ("USER", "", "LGH_REDFISH_USER"),
        ("PASSWORD", "", "LGH_REDFISH_PASSWORD"),
    ],
)
def test_what_is_not_set_up_is_said(key: str, value: str, word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"LGH_REDFISH_{key}", value)
    reason = RedfishMeter.available()
    assert word in reason
    assert "secret" not in reason


@pytest.mark.parametrize("content", [[], "text", {"Members": None}, {"Members": [1]}, {"Members": []}])
def test_odd_resources_are_a_sentence(controller: Controller, content: Any) -> None:
    controller.resources[CHASSIS] = content
    assert RedfishMeter.available().startswith("meter redfish: ")
    assert controller.sessions == set()


def test_closing_without_a_controller(controller: Controller) -> None:
    redfish = RedfishMeter()
    controller.lose = 10
    controller.resources.clear()
    with pytest.raises(MeterFailed):
        redfish.watts()
    redfish.close()

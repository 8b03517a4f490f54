"""A server's own power sensors through Redfish: its management controller, asked over HTTPS."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from loadgen_harness.errors import BadInput, SuiteError, UnknownName
from power.meter import MeterFailed, Scope
from power.meters._bmc import Access, Service, link
from power.meters._trial import refusal

CHASSIS = "/redfish/v1/Chassis"
KWH_J = 3.6e6
COARSEST_J = 100.0  # a counter with larger steps says less about a run of a minute than its watts do
MOST_W = 1e6
TRIES, PAUSE_S = 3, 0.3  # controllers tell null while a sensor is being read
DURATION = re.compile(r"PT(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?")  # ISO 8601, as Sensor resources write it
Ask = Callable[[], float | None]


@dataclass(frozen=True)
class Source:
    """How one chassis tells its power: `watts` gives None where the controller says null."""

    name: str
    watts: Ask
    averaging_s: float = 1.0
    interval_s: float = 1.0
    accuracy: float | None = None
    note: str = ""


class RedfishMeter:
    """The node's power as its management controller sees it, at most once a second.

    Redfish demands no accuracy; where a sensor states none, ± 10 % is assumed. Energy is counted where the
    chassis has `EnergyJoules`, or an `EnergykWh` written finely enough.
    """

    scope: Scope = "node"
    parts: tuple[str, ...] = ("node",)
    estimated = False
    # of the class; a controller may tell better
    uncertainty = 0.1
    resolution = 1.0
    interval_s = 1.0
    averaging_s = 1.0
    counting = False

    def __init__(self) -> None:
        """Log in, find the chassis, read it once; raises BadInput saying what is missing."""
        self._insecure = os.environ.get("LGH_REDFISH_INSECURE", "") == "1"
        self._service = Service(_access(self._insecure))
        try:
            self.chassis, self._source, resource = _chosen(self._service, os.environ.get("LGH_REDFISH_CHASSIS", ""))
            self._counter = Counter.found(self._service, link(resource, "EnvironmentMetrics"))
        except MeterFailed as error:
            self._service.close()
            raise BadInput(str(error)) from error
        except SuiteError:
            self._service.close()
            raise
        self.counting = self._counter is not None
        self.resolution = self._counter.step_j if self._counter else 1.0
        self.interval_s, self.averaging_s = self._source.interval_s, self._source.averaging_s
        if self._source.accuracy is not None:
            self.uncertainty = self._source.accuracy

    @classmethod
    def available(cls) -> str:
        """Empty where the controller tells its power, else what is missing."""
        return refusal(cls)

    def watts(self) -> float:
        """The node's power now."""
        for _ in range(TRIES):
            value = self._source.watts()
            if value is not None:
                return value
            time.sleep(PAUSE_S)
        raise MeterFailed(f"meter redfish: chassis {self.chassis} tells no power (null): look at the controller.")

    def joules(self) -> float:
        """Energy since the meter was opened; only where `counting`. A counter that falls raises MeterFailed."""
        if self._counter is None:
            raise MeterFailed("meter redfish: this chassis counts no energy: use its watts.")
        return self._counter.joules()

    def describe(self) -> dict[str, str]:
        """Controller, chassis, resource, how it was authenticated and whether its certificate was looked at."""
        stated = self._source.accuracy
        told = {
            "source": f"Redfish {self._source.name}",
            "controller": self._service.place,
            "chassis": self.chassis,
            "authentication": self._service.authentication,
            "TLS": "NOT verified (LGH_REDFISH_INSECURE=1)" if self._insecure else "verified",
            "energy": f"counted, in steps of {self.resolution:g} J" if self.counting else "integrated from watts",
            "accuracy": "not told; ± 10 % is assumed" if stated is None else f"± {stated:.2%}, told by the sensor",
        }
        return {**told, **({"note": self._source.note} if self._source.note else {})}

    def close(self) -> None:
        """End the session and the connection."""
        self._service.close()


class Counter:
    """The energy counter of EnvironmentMetrics."""

    def __init__(self, service: Service, path: str, key: str, step_j: float) -> None:
        """The counter `key` of the resource at `path`, which moves in steps of `step_j`."""
        self._service, self._path, self._key = service, path, key
        self.step_j = step_j
        self._last = self._start = self._count_j()

    @classmethod
    def found(cls, service: Service, path: str) -> Counter | None:
        """The finest counter that a chassis has, None where it has none of use."""
        content = service.get(path) if path else {}
        joules, hours = (_reading(content, key) for key in ("EnergyJoules", "EnergykWh"))
        if joules is not None:
            return cls(service, path, "EnergyJoules", _step(joules))
        if hours is not None and _step(hours) * KWH_J <= COARSEST_J:
            return cls(service, path, "EnergykWh", _step(hours) * KWH_J)
        return None

    def joules(self) -> float:
        """Energy since the counter was taken."""
        now = self._count_j()
        if now < self._last:
            raise MeterFailed("meter redfish: the energy counter fell, so it was reset during the run: repeat the run.")
        self._last = now
        return now - self._start

    def _count_j(self) -> float:
        value = _reading(self._service.get(self._path), self._key)
        if value is None:
            raise MeterFailed(f"meter redfish: {self._key} is null: look at the controller.")
        return float(value) * (KWH_J if self._key == "EnergykWh" else 1.0)


def _access(insecure: bool) -> Access:
    """Who asks whom, from the environment; raises BadInput for what is not set or not safe."""
    url, user, password, ca = (os.environ.get(f"LGH_REDFISH_{key}", "") for key in ("URL", "USER", "PASSWORD", "CA"))
    if not url:
        raise BadInput("meter redfish asks the controller that LGH_REDFISH_URL names, such as https://bmc.example.")
    try:
        parts = urlsplit(url)
        odd = parts.scheme not in ("https", "http") or not parts.hostname or parts.username or parts.port == 0
    except ValueError:
        odd = True
    if odd or parts.path.rstrip("/") not in ("", "/redfish/v1"):
        raise BadInput("LGH_REDFISH_URL must be a controller's address alone, such as https://bmc.example:8443.")
    if parts.scheme == "http" and not insecure:
        raise BadInput("LGH_REDFISH_URL sends the password in the clear: use https://, or set LGH_REDFISH_INSECURE=1.")
    if not (user and password):
        raise BadInput("meter redfish logs in with LGH_REDFISH_USER and LGH_REDFISH_PASSWORD: set both.")
    return Access(url, user, password, ca, insecure)


def _chosen(service: Service, wanted: str) -> tuple[str, Source, dict[str, Any]]:
    """Name, source and resource of the chassis: the named one, or the only one that tells its power."""
    members = service.get(CHASSIS).get("Members")
    paths = [str(each["@odata.id"]) for each in members or () if isinstance(each, dict) and "@odata.id" in each]
    names = {path.rstrip("/").rpartition("/")[2]: path for path in paths}
    if wanted and wanted not in names:
        raise UnknownName("chassis in LGH_REDFISH_CHASSIS", wanted, names)
    found: dict[str, tuple[Source, dict[str, Any]]] = {}
    for name in [wanted] if wanted else sorted(names):
        resource = service.get(names[name])
        source = _source(service, resource)
        if source:
            found[name] = source, resource
    if len(found) > 1:
        raise BadInput(f"several chassis tell their power: name one of {', '.join(found)} in LGH_REDFISH_CHASSIS.")
    if not found:
        among = wanted or ", ".join(sorted(names)) or "none"
        raise BadInput(f"meter redfish: no chassis of {service.place} ({among}) tells its power: use another meter.")
    (name, (source, resource)) = next(iter(found.items()))
    return name, source, resource


def _source(service: Service, chassis: Mapping[str, Any]) -> Source | None:
    """The first of a chassis' resources that holds a number now."""
    for make in (_environment, _power, _supplies):
        source = make(service, chassis)
        if source and any(source.watts() is not None for _ in range(TRIES)):
            return source
    return None


def _environment(service: Service, chassis: Mapping[str, Any]) -> Source | None:
    """EnvironmentMetrics (since 2020.4), whose sensor may state its pace and accuracy."""
    path = link(chassis, "EnvironmentMetrics")
    excerpt = service.get(path).get("PowerWatts") if path else None
    if not isinstance(excerpt, dict):
        return None
    where = excerpt.get("DataSourceUri")
    sensor = service.get(where) if isinstance(where, str) and where else {}
    sensing, averaging = (_seconds(sensor.get(key)) for key in ("SensingInterval", "AveragingInterval"))
    percent = sensor.get("Accuracy")
    stated = float(percent) / 100 if isinstance(percent, int | Decimal) and 0 < percent <= 50 else None
    return Source(
        name="EnvironmentMetrics.PowerWatts",
        watts=lambda: _watts(_reading(service.get(path), "PowerWatts")),
        averaging_s=averaging or sensing or 1.0,
        interval_s=max(1.0, sensing),
        accuracy=stated,
    )


def _power(service: Service, chassis: Mapping[str, Any]) -> Source | None:
    """The older Power resource; its first PowerControl is the whole server's, others are of parts of it."""
    path = link(chassis, "Power")
    if not path:
        return None

    def control() -> Mapping[str, Any]:
        controls = service.get(path).get("PowerControl")
        first = controls[0] if isinstance(controls, list) and controls else {}
        return first if isinstance(first, dict) else {}

    metrics = control().get("PowerMetrics")
    minutes = metrics.get("IntervalInMin") if isinstance(metrics, dict) else None
    note = f"the controller keeps its own statistics over {minutes} min; the reading is taken for the last second's"
    return Source(
        name="Power.PowerControl[0].PowerConsumedWatts",
        watts=lambda: _watts(control().get("PowerConsumedWatts")),
        note=note if minutes else "",
    )


def _supplies(service: Service, chassis: Mapping[str, Any]) -> Source | None:
    """PowerSubsystem: what all power supplies draw together."""
    path = link(chassis, "PowerSubsystem")
    shelf = link(service.get(path), "PowerSupplies") if path else ""
    members = service.get(shelf).get("Members") if shelf else None
    supplies = [service.get(str(each["@odata.id"])) for each in members or () if isinstance(each, dict)]
    metrics = [found for found in (link(each, "Metrics") for each in supplies) if found]
    if not metrics or len(metrics) < len(supplies):
        return None

    def total() -> float | None:
        readings = [_watts(_reading(service.get(each), "InputPowerWatts"), idle=True) for each in metrics]
        told = [value for value in readings if value is not None]
        return sum(told) if len(told) == len(readings) and sum(told) > 0 else None

    return Source(name="PowerSubsystem: InputPowerWatts of all supplies", watts=total, note="input, losses included")


def _reading(resource: Mapping[str, Any], key: str) -> int | Decimal | None:
    """The number of a sensor's excerpt; None for null, text and what is not there."""
    excerpt = resource.get(key)
    value = excerpt.get("Reading") if isinstance(excerpt, dict) else None
    return value if isinstance(value, int | Decimal) and not isinstance(value, bool) else None


def _watts(value: Any, *, idle: bool = False) -> float | None:
    """Watts that a machine can draw (a spare supply may draw none); MeterFailed for other numbers, None for null."""
    if value is None or isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    if not (0 < value < MOST_W or (idle and value == 0)):
        raise MeterFailed(f"meter redfish: the controller tells {value} W, which no server draws: use another meter.")
    return float(value)


def _step(value: int | Decimal) -> float:
    """The last place of a number as it was written."""
    exponent = value.as_tuple().exponent if isinstance(value, Decimal) else 0
    return 10.0 ** min(exponent, 0) if isinstance(exponent, int) else 1.0


def _seconds(text: Any) -> float:
    found = DURATION.fullmatch(text) if isinstance(text, str) else None
    hours, minutes, seconds = (float(part or 0) for part in found.groups()) if found else (0.0, 0.0, 0.0)
    return hours * 3600 + minutes * 60 + seconds


METER = RedfishMeter

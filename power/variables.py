"""The environment variables that meters, knobs and the sweep read, for `lgh doctor`: whose each is and what it sets."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import NamedTuple

SECRETS = ("PASSWORD",)
CREDENTIALS = re.compile(r"//[^/@]*@")  # in front of an address's host


class Variable(NamedTuple):
    """Who reads it, and what it sets."""

    reader: str
    sets: str


VARIABLES: Mapping[str, Variable] = {
    "LGH_AMDSMI_COUNTER": Variable("amdsmi", "off: integrate the readings instead of the energy counters"),
    "LGH_HWMON": Variable("hwmon", "sensors and what they measure, such as ina226/power1@node"),
    "LGH_IPMI_HOST": Variable("ipmi", "controller over the network (default: this machine's own)"),
    "LGH_IPMI_USER": Variable("ipmi", "who asks it"),
    "LGH_IPMI_PASSWORD": Variable("ipmi", "with which password"),
    "LGH_PTD": Variable("ptd", "HOST:PORT of a running PTDaemon"),
    "LGH_REDFISH_URL": Variable("redfish", "controller, such as https://10.0.0.9"),
    "LGH_REDFISH_USER": Variable("redfish", "who asks it"),
    "LGH_REDFISH_PASSWORD": Variable("redfish", "with which password"),
    "LGH_REDFISH_CA": Variable("redfish", "certificate file of a self-signed controller"),
    "LGH_REDFISH_INSECURE": Variable("redfish", "1: do not verify TLS"),
    "LGH_REDFISH_CHASSIS": Variable("redfish", "which chassis, where several tell their power"),
    "LGH_REPLAY": Variable("replay", "power/<meter>.csv or spl.txt to play back"),
    "LGH_TDP_W": Variable("estimate", "watts of the processor at full load"),
    "LGH_SYSFS": Variable("knobs of cpu_*", "the kernel's tree (default: /sys)"),
    "LGH_STATE": Variable("lgh maxq", "where settings are kept until they are restored"),
}


def now(name: str) -> str:
    """What a variable is in this process, of a secret only that it is set; empty where it is not."""
    value = os.environ.get(name, "")
    return "set" if value and name.endswith(SECRETS) else CREDENTIALS.sub("//…@", value)

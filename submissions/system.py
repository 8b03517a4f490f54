"""`systems/<system>.json` and `measurements.json`: which keys the rules want, and how missing ones are filled."""

from __future__ import annotations

import platform
import re
from collections.abc import Iterator, Mapping
from typing import Any

from loadgen_harness import system
from loadgen_harness.errors import BadInput
from loadgen_harness.types import Division, SystemType

NOT_APPLICABLE = "N/A"
Fault = tuple[str, str, str]  # key, found, wanted
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")  # of a folder in the tree: submitter, system, model
STATUSES = ("available", "preview", "rdi")
SYSTEM_TYPES = ("datacenter", "edge", "datacenter,edge", "edge,datacenter")
COUNTS = ("number_of_nodes", "accelerators_per_node")  # the official checker dies of a text here
AT_LEAST_ONE = ("number_of_nodes", "host_processors_per_node", "host_processor_core_count")
NUMBER = re.compile(r"[1-9]\d{0,8}(?![\d.])")  # "2 (big); 4 (LITTLE)" counts cores too
RETRAINED = re.compile(r"\s*(?:y|yes|true|1)\b", re.IGNORECASE)
NOT_RETRAINED = re.compile(r"\s*(?:n|no|not|none|false|0)\b", re.IGNORECASE)

# Keys that may be empty.
OPTIONAL = (
    "host_processor_frequency",
    "host_processor_caches",
    "host_processor_interconnect",
    "accelerator_frequency",
    "accelerator_interconnect_topology",
    "accelerator_on-chip_memories",
    "hw_notes",
    "sw_notes",
    "system_type_detail",
)
# Keys for which "N/A" says nothing about the result: they must be given.
TOLD = (
    "division",
    "submitter",
    "status",
    "system_name",
    "system_type",
    "number_of_nodes",
    "host_processor_model_name",
    "host_processors_per_node",
    "host_processor_core_count",
    "host_memory_capacity",
    "accelerators_per_node",
    "framework",
    "operating_system",
)
# Keys that must not be empty but may be "N/A".
FILLED = (
    "host_memory_configuration",
    "host_storage_capacity",
    "host_storage_type",
    "host_networking",
    "host_networking_topology",
    "host_network_card_count",
    "accelerator_model_name",
    "accelerator_memory_capacity",
    "accelerator_host_interconnect",
    "accelerator_interconnect",
    "accelerator_memory_configuration",
    "cooling",
    "other_software_stack",
)
MEANINGFUL = TOLD + FILLED
REQUIRED = MEANINGFUL + OPTIONAL
# What a system of the network division must say beside them: layers one to four of its network, at both ends.
IS_NETWORK = "is_network"
NETWORK = (
    "network_type",
    "network_media",
    "network_rate",
    "network_protocol",
    "network_topology",
    "number_connections",
    "nic_loadgen",
    "number_nic_loadgen",
    "net_software_stack_loadgen",
    "nic_sut",
    "number_nic_sut",
    "net_software_stack_sut",
)
MEASUREMENTS = (
    "input_data_types",
    "retraining",
    "starting_weights_filename",
    "weight_data_types",
    "weight_transformations",
)


def of_machine(**given: str) -> dict[str, str]:
    """The whole description of this machine: what can be seen of it, what was given, N/A for what a person must add."""
    seen = {key: value for key, value in system.describe().items() if key in REQUIRED}
    stack = f"Python {platform.python_version()}"
    return complete({"status": "available", "number_of_nodes": "1", "other_software_stack": stack, **seen, **given})


def complete(described: Mapping[str, Any]) -> dict[str, str]:
    """A description with all 35 keys as text; raises BadInput for keys that only the submitter can tell.

    `is_network` stands in the network division alone: any text in it makes the checker demand 12 keys more.
    """
    text = {key: "" if value is None else str(value).strip() for key, value in described.items() if key != IS_NETWORK}
    networked = text.get("division") == Division.NETWORK
    if networked:
        text[IS_NETWORK] = "true"
    missing = [key for key in (*TOLD, *(NETWORK if networked else ())) if not text.get(key)]
    if missing:
        raise BadInput(f"the system description lacks {', '.join(missing)}: add them to the file given as --system.")
    filled = {key: text.get(key) or NOT_APPLICABLE for key in FILLED}
    wrong = next(faults({**dict.fromkeys(OPTIONAL, ""), **text, **filled}), None)
    if wrong:
        key, found, wanted = wrong
        raise BadInput(f"the system description says {key} = {found}: write {wanted}.")
    ordered = {key: {**text, **filled}.get(key, "") for key in REQUIRED}
    return ordered | {key: value for key, value in text.items() if key not in ordered}


def faults(described: Mapping[str, Any], division: str = "") -> Iterator[Fault]:
    """Yields (key, found, wanted) for every rule of the file that a description breaks (rules 3.1).

    `division` is that of the results, by default the one that the description names.
    """
    for key in REQUIRED:
        if key not in described:
            yield key, "missing", "the key"
        elif key in MEANINGFUL and not described[key]:
            yield key, repr(described[key]), 'a meaningful text ("0" and "N/A" are, 0 and "" are not)'
        elif key in COUNTS and not _whole(described[key]):
            yield key, repr(described[key]), "a whole number, 0 or more"
        elif key in AT_LEAST_ONE and not NUMBER.match(str(described[key]).strip()):
            yield key, repr(described[key]), "a whole number, 1 or more"
    yield from _choice(described, "status", STATUSES)
    yield from _choice(described, "system_type", SYSTEM_TYPES)
    yield from _network(described, division or str(described.get("division", "")).lower())


def _network(described: Mapping[str, Any], division: str) -> Iterator[Fault]:
    """The network division wants the flag as a text (the checker dies of a boolean) and both ends of the network."""
    flag = described.get(IS_NETWORK)
    if division == Division.NETWORK:
        if not isinstance(flag, str) or flag.lower() != "true":
            yield IS_NETWORK, repr(flag) if flag is not None else "missing", "'true' in the network division"
        kind = described.get("system_type")
        if kind in SYSTEM_TYPES and kind != SystemType.DATACENTER:
            yield "system_type", repr(kind), "'datacenter': the network division has that suite alone"
    elif flag and division != Division.OPEN:
        yield IS_NETWORK, repr(flag), "no such key outside the network division"
        return
    for key in NETWORK if flag or division == Division.NETWORK else ():
        if described.get(key) in (None, "", NOT_APPLICABLE):
            yield (
                key,
                repr(described[key]) if key in described else "missing",
                "how LoadGen's machine reaches the system",
            )


def keys(described: Mapping[str, Any]) -> tuple[str, ...]:
    """All keys that a description must have: the 35, in the network division 13 more."""
    networked = str(described.get("division", "")).lower() == Division.NETWORK
    return (*REQUIRED, IS_NETWORK, *NETWORK) if networked else REQUIRED


def retrained(value: Any) -> bool | None:
    """What measurements.json says of retraining; None where it says neither yes nor no."""
    if RETRAINED.match(str(value)):
        return True
    return False if NOT_RETRAINED.match(str(value)) else None


def _whole(value: Any) -> bool:
    text = str(value)
    return text.isascii() and text.isdigit()


def _choice(described: Mapping[str, Any], key: str, allowed: tuple[str, ...]) -> Iterator[Fault]:
    value = described.get(key)
    if value and (str(value).lower() if key == "status" else value) not in allowed:
        yield key, repr(value), f"one of {', '.join(map(repr, allowed))}"

"""Items 3, 7 and 10: what PTDaemon answered, what client and server said to each other, and which device it was."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from audit.finding import Finding
from audit.power_facts import MODELS, TWO_CHANNEL_NUMBERS, VERSIONS
from audit.power_record import REPEAT, Malformed, Record, entry, texts

SERVER, CLIENT = "power/server.json", "power/client.json"
METERS = "Which power analyzers (aka meters) are supported?"
GO = "Starting untimed measurement, maximum 500000 samples at 1000ms with 0 rampup samples"
REPLIES = {"SR,A": "Range A changed", "SR,V": "Range V changed", "Go,1000,": GO, "Stop": "Stopping untimed measurement"}
THIRD_STOP = "Error: no measurement to stop"
RANGES_AT = 2  # Hello, Identify, RR
ANALYZER = "use an analyzer and a PTDaemon that MLCommons accepts, and repeat the session"

Messages = Sequence[tuple[str, ...]]


def replies(record: Record) -> Iterator[Finding]:
    """Item 3: the analyzer, PTDaemon's version, every reply, and the ranges as they were before the session."""
    messages = texts(entry(record.server, "ptd_messages", list), "cmd", "reply")
    identity = next((reply for command, reply in messages if command == "Identify"), "")
    model, version = identity.partition(",")[0], _version(identity)
    if model not in MODELS:
        yield record.fault("replies", SERVER, ("Identify", model or "no reply", ", ".join(MODELS)), (METERS, ANALYZER))
    if version not in VERSIONS and not record.old:
        yield record.fault("replies", SERVER, ("version", version or "none", ", ".join(VERSIONS)), ("", ANALYZER))
    for beginning, wanted in REPLIES.items():
        yield from _answered(record, messages, beginning, wanted)
    yield from _restored(record, messages)


def _version(identity: str) -> str:
    found = re.search(r"(?<=version=)(.+?)-", identity)
    return found[1] if found else ""


def _answered(record: Record, messages: Messages, beginning: str, wanted: str) -> Iterator[Finding]:
    """Each command of a kind got its one right answer, and there was such a command at all."""
    asked = [(command, reply) for command, reply in messages if command.startswith(beginning)]
    if not asked:
        yield record.fault("replies", SERVER, (beginning, "never sent", wanted), ("", REPEAT))
    stops = 0
    for command, reply in asked:
        if command == "Stop":
            wanted = THIRD_STOP if stops == 2 else wanted  # as the official check has it, from the third on
            stops += 1
        if reply != wanted:
            fix = "look at the analyzer's wiring and range, then repeat the session"
            yield record.fault("replies", SERVER, (command, reply, wanted), ("Power Analyzer Settings", fix))


def _restored(record: Record, messages: Messages) -> Iterator[Finding]:
    """The ranges found at the start are set again at the end."""
    if len(messages) <= RANGES_AT or messages[RANGES_AT][0] != "RR":
        raise Malformed("ptd_messages does not begin with Hello, Identify, RR")
    words = messages[RANGES_AT][1].split(",")
    for which, at, places in (("A", 1, (2, 3)), ("V", 3, (2,))):
        wanted = f"SR,{which},{_initial(words, at)}"
        sent = [command for command, _ in messages if command.startswith(f"SR,{which}")]
        last = [sent[place] for place in places if place < len(sent)]
        if wanted not in last:
            what = (f"SR,{which}", ", ".join(last) or "never sent", wanted)
            yield record.fault("replies", SERVER, what, ("Power Analyzer Settings", REPEAT))


def _initial(words: Sequence[str], at: int) -> str:
    try:
        fixed = words[at] == "0" and float(words[at + 1]) > 0
    except (ValueError, IndexError):
        raise Malformed(f"the reply to RR is {','.join(words)!r}") from None
    return words[at + 1] if fixed else "Auto"


def messages(record: Record) -> Iterator[Finding]:
    """Item 7: both sides tell of the same conversation, in the same version of the protocol."""
    ours, theirs = (texts(entry(side, "messages", list), "cmd", "reply") for side in (record.client, record.server))
    unwritten = 1 if record.old else 0  # v1.0's client wrote its summary before the last message
    if not 0 <= len(theirs) - len(ours) <= unwritten:
        yield record.fault("messages", CLIENT, ("messages", str(len(ours)), f"{len(theirs)}, as in server.json"))
    for at, ((sent, answer), (got, said)) in enumerate(zip(ours, theirs, strict=False)):
        if sent != got:
            yield record.fault("messages", CLIENT, (f"messages[{at}].cmd", sent, got))
        elif sent != "time" and answer != said:
            yield record.fault("messages", CLIENT, (f"messages[{at}].reply", answer, said))
    first, reply = theirs[0] if theirs else ("", "")
    versions = [
        re.search(rf"mlcommons/power {side} v(\d+)$", text) for side, text in (("client", first), ("server", reply))
    ]
    told = [found[1] if found else "none" for found in versions]
    if told[0] != told[1] or "none" in told:
        fix = "run client and server from the same checkout, then repeat the session"
        yield record.fault("messages", SERVER, ("version", told[0], f"{told[1]}, as the server"), ("", fix))


def device(record: Record) -> Iterator[Finding]:
    """Item 10: PTDaemon was started for an accepted analyzer, with its channels."""
    config = _configured(record)
    if not config:
        yield record.fault("device", SERVER, ("ptd_config", "no analyzer", "one at least"), (METERS, ANALYZER))
    for each in config:
        kind = entry(each, "device_type", int)
        if kind not in MODELS.values():
            wanted = ", ".join(map(str, sorted(set(MODELS.values()))))
            yield record.fault("device", SERVER, ("device_type", str(kind), wanted), (METERS, ANALYZER))
        elif kind == TWO_CHANNEL_NUMBERS and not _two_numbers(each):
            fix = "set channel: FIRST,COUNT in server.conf, then repeat the session"
            what = ("channel", repr(each.get("channel")), "two numbers")
            yield record.fault("device", SERVER, what, ("Power Analyzer Settings", fix))


def _configured(record: Record) -> list[Any]:
    """The analyzers of the session; earlier servers knew but one, and wrote no list."""
    told = record.server.get("ptd_config")
    alone = record.old and isinstance(told, dict)
    return [told] if alone else entry(record.server, "ptd_config", list)


def _two_numbers(config: dict[str, object]) -> bool:
    command, channels = entry(config, "command", list), config.get("channel")
    given = command[command.index("-c") + 1] if "-c" in command[:-1] else ""
    return len(str(given).split(",")) == 2 and isinstance(channels, list) and len(channels) == 2

"""`lgh system`: the official description of this machine, or of several that make up one system."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from loadgen_harness import console, system_files, system_survey
from loadgen_harness.errors import BadInput
from submissions import system_check, system_nodes
from submissions.system import IS_NETWORK, NETWORK, NOT_APPLICABLE, OPTIONAL, REQUIRED, keys

OK, FOUND = 0, 1
ASSUMED = {"status": "available", "division": "closed", "system_type": "edge"}  # until somebody tells
COLUMNS = ("", "key", "found", "wanted")
FLAGS = {"submitter": "submitter", "name": "system_name", "type": "system_type", "division": "division",
         "status": "status", "cooling": "cooling", "hw_notes": "hw_notes", "sw_notes": "sw_notes"}  # fmt: skip
ASKED = {
    "submitter": "who submits, as registered with MLCommons; it names the submission's folder",
    "system_name": "the system's name for people, with what sets it apart, such as `R760xa (4x L40S)`",
    "status": "available: anyone can buy or rent it; preview: within the next round; rdi: research or internal",
    "division": "closed, open or network",
    "system_type": "edge, datacenter, or datacenter,edge",
    "system_type_detail": "what kind of machine, such as `edge server`, `workstation`, `2U rack server`",
    "cooling": "air, liquid, passive, …",
    "hw_notes": "what else of the hardware a reader needs to reproduce this",
    "sw_notes": "what else of the software a reader needs to reproduce this",
}


def system_(args: argparse.Namespace) -> int:
    """Check, merge, print or write descriptions."""
    _refuse(args)
    if args.check:
        return _check(args.check)
    seen = _seen(args)
    told = _told(args)
    if not args.output:
        console.data(_ordered({**ASSUMED, **seen, **told}))
        return OK
    return _update(args, seen, told) if args.output.exists() else _make(args, seen, told)


def _refuse(args: argparse.Namespace) -> None:
    if args.check and (args.output or args.nodes or args.update):
        raise BadInput("--check looks at files and writes none: leave out --output, --nodes and --update.")
    if args.heterogeneous and not args.nodes:
        raise BadInput("--heterogeneous says how to merge: give the nodes' files with --nodes.")
    if args.output and args.output.exists() and not args.output.is_file():
        raise BadInput(f"--output {args.output} is no file: name a new file, or a description that `lgh system` wrote.")
    if args.update and not (args.output and args.output.exists()):
        raise BadInput("--update refreshes a description: name an existing file with --output.")


def _seen(args: argparse.Namespace) -> dict[str, Any]:
    """This machine, or the nodes' files as one system."""
    if not args.nodes:
        return dict(system_survey.seen())
    where = [Path(os.path.realpath(path)) for path in args.nodes]
    double = next((path for path in where if where.count(path) > 1), None)
    if double:
        raise BadInput(f"--nodes names {double.name} twice: give one file for each node.")
    return system_nodes.merge([(path.name, system_files.read(path)) for path in args.nodes], mixed=args.heterogeneous)


def _told(args: argparse.Namespace) -> dict[str, str]:
    """What the flags say."""
    told = {key: value for flag, key in FLAGS.items() if (value := getattr(args, flag)) is not None}
    for each in args.set:
        key, equal, value = each.partition("=")
        if not equal or key not in (*REQUIRED, *NETWORK):
            raise BadInput(
                f"--set {each} names no key of the description: write KEY=VALUE with one of its 35 keys, or of the "
                "network division's 12."
            )
        told[key] = value
    if told.get("submitter", NOT_APPLICABLE) != NOT_APPLICABLE:
        system_check.submitter(told["submitter"])
    return told


def _make(args: argparse.Namespace, seen: Mapping[str, Any], told: Mapping[str, str]) -> int:
    known = {**(seen if args.nodes else {}), **told}
    described = _ordered({**ASSUMED, **seen, **told, **_answers(known)})
    system_files.write(args.output, described, seen)
    console.say(f"wrote {args.output}")
    _say_open(described)
    return OK


def _update(args: argparse.Namespace, seen: Mapping[str, Any], told: Mapping[str, str]) -> int:
    """Show what would change, and change it if a person says so."""
    edited = system_files.read(args.output)
    fresh = {**system_files.kept(edited, system_files.noted(args.output), seen), **told}
    fresh = {**ASSUMED, **fresh, **_answers(fresh)}
    described = _ordered(fresh)
    changes = system_files.changes(edited, described)
    if not changes:
        console.say(f"{args.output} is as it should be: nothing changes.")
        _say_open(described)
        return OK
    console.table(str(args.output), ("key", "there", "would be"), changes)
    if not (args.update or console.confirmed("Write this?")):
        raise BadInput(
            f"{args.output} exists and was left as it is: add --update to write these {len(changes)} changes."
        )
    system_files.write(args.output, described, _note(args.output, seen))
    console.say(f"wrote {args.output}: what a person had edited is as it was.")
    _say_open(described)
    return OK


def _note(path: Path, seen: Mapping[str, Any]) -> dict[str, Any]:
    """What was seen, now or before: something unseen today (no root, no driver) is still not a person's word."""
    before = system_files.noted(path)
    return {
        **before,
        **{key: value for key, value in seen.items() if value not in system_files.UNTOLD or key not in before},
    }


def _answers(known: Mapping[str, Any]) -> dict[str, str]:
    """What a person at a terminal tells of the things that nobody can see and nobody has told."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return {}
    answers = {}
    for key, meaning in ASKED.items():
        if known.get(key) in (None, *system_files.UNTOLD):
            answer = console.answered(f"{key} - {meaning} [Enter: {ASSUMED.get(key, 'later')}]:")
            if answer:
                answers[key] = system_check.submitter(answer) if key == "submitter" else answer
    return answers


def _ordered(described: Mapping[str, Any]) -> dict[str, Any]:
    """All keys in the official order, then a person's own; the division alone decides on the network's flag."""
    wanted = keys(described)
    described = {key: value for key, value in described.items() if key != IS_NETWORK}
    if IS_NETWORK in wanted:
        described = {**described, IS_NETWORK: "true"}
    whole = {key: described.get(key, "" if key in OPTIONAL else NOT_APPLICABLE) for key in wanted}
    whole = {key: NOT_APPLICABLE if value == "" and key not in OPTIONAL else value for key, value in whole.items()}
    return whole | {key: value for key, value in described.items() if key not in whole}


def _say_open(described: Mapping[str, Any]) -> None:
    """Every fault and every N/A, and what nobody confirmed."""
    rows = list(system_check.remarks(described))
    if rows:
        console.table("Left to a person", COLUMNS, rows)
    console.say("status, division, system_type and framework are claims: see that they are true of the results.")


def _check(paths: list[Path]) -> int:
    files = [(str(path), system_files.read(path)) for path in paths]
    errors = 0
    for name, described in files:
        rows = list(system_check.remarks(described))
        errors += sum(row[0] == system_check.ERROR for row in rows)
        if rows:
            console.table(name, COLUMNS, rows)
        else:
            console.say(f"{name}: all 35 keys say what the rules want.")
    doubles = list(system_check.twins(files))
    if doubles:
        console.table("Two systems with one name", COLUMNS, doubles)
    return FOUND if errors or doubles else OK

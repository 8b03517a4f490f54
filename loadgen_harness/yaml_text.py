"""YAML that somebody else wrote, as dicts, lists and scalars: no aliases, no tags, nothing deep, nothing large."""

from __future__ import annotations

import re
from typing import Any

from loadgen_harness.errors import MissingDependency
from loadgen_harness.inside import Damaged

BYTES = 256 << 10  # a config.yaml of MLPerf Endpoints has some 5 kB
DEPTH = 64
_WHOLE = re.compile(r"[-+]?[0-9]{1,30}")
_REAL = re.compile(r"[-+]?(\.[0-9]{1,30}|[0-9]{1,30}(\.[0-9]{0,30})?)([eE][-+]?[0-9]{1,3})?")
_WORDS: dict[str, Any] = {"": None, "~": None, "null": None, "true": True, "false": False}


def parsed(content: bytes) -> Any:
    """The content of a YAML file; raises Damaged, and MissingDependency without PyYAML.

    Scalars are typed as in YAML 1.2's core schema (`off` is a word), quoted ones stay text. Aliases are refused: nine
    lines of them can stand for a billion nodes.
    """
    try:
        import yaml
    except ImportError:
        raise MissingDependency("reading config.yaml of MLPerf Endpoints", "pyyaml") from None
    loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
    try:
        text = content.decode("utf-8")
        return _node(_Events(yaml, yaml.parse(text, Loader=loader)), 0)
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise Damaged(" ".join(str(error).split())[:300]) from None


class _Events:
    """YAML's events without those that only begin and end things."""

    def __init__(self, yaml: Any, events: Any) -> None:
        self.kinds = yaml
        passed = (yaml.StreamStartEvent, yaml.StreamEndEvent, yaml.DocumentStartEvent, yaml.DocumentEndEvent)
        self._events = (event for event in events if not isinstance(event, passed))

    def next(self) -> Any:
        """The next one; None at the end."""
        return next(self._events, None)


def _node(events: _Events, depth: int, event: Any = None) -> Any:
    """The value that begins with `event`, or with the next one."""
    kinds, event = events.kinds, event or events.next()
    if depth > DEPTH:
        raise Damaged("nested too deep")
    if isinstance(event, kinds.AliasEvent):
        raise Damaged("aliases are not read")
    if isinstance(event, kinds.ScalarEvent):
        return _scalar(event.value, plain=not event.style)
    if isinstance(event, kinds.SequenceStartEvent):
        return _sequence(events, depth)
    return _mapping(events, depth) if isinstance(event, kinds.MappingStartEvent) else None


def _sequence(events: _Events, depth: int) -> list[Any]:
    found: list[Any] = []
    while (event := events.next()) and not isinstance(event, events.kinds.SequenceEndEvent):
        found.append(_node(events, depth + 1, event))
    return found


def _mapping(events: _Events, depth: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    while (event := events.next()) and not isinstance(event, events.kinds.MappingEndEvent):
        key = _node(events, depth + 1, event)
        found[str(key)] = _node(events, depth + 1)
    return found


def _scalar(text: str, *, plain: bool) -> Any:
    text = text.encode("utf-8", "replace").decode()
    if not plain:
        return text
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if _WHOLE.fullmatch(text):
        return int(text)
    return float(text) if _REAL.fullmatch(text) else text

"""YAML text to plain values with the line of every key; nothing is evaluated.

YAML 1.2's core rules decide what a plain word means, so ``1e-3`` is a number and ``no`` is a word
(PyYAML follows YAML 1.1: there they are text and false). Tags, anchors and aliases are refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from capsmed.errors import ConfigError

Key = tuple[str | int, ...]

_NULL = {"", "~", "null", "Null", "NULL"}
_TRUE = {"true", "True", "TRUE"}
_FALSE = {"false", "False", "FALSE"}
_INTEGER = re.compile(r"[-+]?[0-9]{1,300}")
_BASED = re.compile(r"0o[0-7]{1,300}|0x[0-9a-fA-F]{1,300}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_SPECIAL = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_TEXT_TAG = "tag:yaml.org,2002:str"


@dataclass
class Document:
    """Plain values, where each key stands, and the mistakes met on the way."""

    data: Any = None
    places: dict[Key, str] = field(default_factory=dict)
    mistakes: list[tuple[str, str]] = field(default_factory=list)

    def place(self, key: Key) -> str:
        """Where ``key`` stands, or the nearest part around it: 'lung.yaml:12' or '--set a.b'."""
        while key not in self.places and key:
            key = key[:-1]
        return self.places.get(key, "config")


def scalar(text: str) -> Any:
    """The value of an unquoted YAML word.

    >>> scalar("1e-3"), scalar("no"), scalar("007"), scalar("~")
    (0.001, 'no', 7, None)
    """
    if text in _NULL:
        return None
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    if _INTEGER.fullmatch(text):
        return int(text)
    if _BASED.fullmatch(text):
        return int(text, 0)
    if _FLOAT.fullmatch(text):
        return float(text)
    if _SPECIAL.fullmatch(text):
        return float(text.replace(".", "", 1))
    return text


def parse(text: str, name: str, *, numbered: bool = True) -> Document:
    """Read one YAML document; ``name`` is the file's, shown as 'name:line' where ``numbered``.

    Keys written twice, tags and keys that are no words are gathered in ``Document.mistakes``.

    Raises:
        ConfigError: the text is not YAML at all, or uses anchors or aliases.
    """
    document = Document()
    try:
        node = _Composer(text).get_single_node()
        _place(document, (), name, node, numbered)
        document.data = None if node is None else _value(document, node, (), name, numbered)
    except yaml.MarkedYAMLError as error:
        raise ConfigError(_syntax(error, name, numbered)) from error
    except (yaml.YAMLError, RecursionError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ConfigError(f"{name}: expected YAML, got text that cannot be read ({reason})") from (
            error
        )
    return document


class _Composer(yaml.BaseLoader):
    """BaseLoader leaves every scalar as text; aliases could make a small file endless."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise yaml.composer.ComposerError(
                None,
                None,
                "anchors and aliases (& and *) are not supported; write the value out",
                event.start_mark,
            )
        return super().compose_node(parent, index)


def _value(document: Document, node: Any, key: Key, name: str, numbered: bool) -> Any:
    if isinstance(node, yaml.MappingNode):
        return _mapping(document, node, key, name, numbered)
    if isinstance(node, yaml.SequenceNode):
        items = []
        for index, item in enumerate(node.value):
            _place(document, (*key, index), name, item, numbered)
            items.append(_value(document, item, (*key, index), name, numbered))
        return items
    if node.tag != _TEXT_TAG:
        _mistake(document, key, f"expected a plain value, got the tag {node.tag!r}; leave it out")
    return scalar(node.value) if node.style is None else node.value


def _mapping(document: Document, node: Any, key: Key, name: str, numbered: bool) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key_node, value_node in node.value:
        if not isinstance(key_node, yaml.ScalarNode):
            _mistake(document, key, "expected words as keys, got a list or a mapping")
            continue
        inner = (*key, key_node.value)
        if key_node.value in values:
            first = document.place(inner)
            _place(document, inner, name, key_node, numbered)
            _mistake(document, inner, f"expected each key once, got it again (first: {first})")
        _place(document, inner, name, key_node, numbered)
        values[key_node.value] = _value(document, value_node, inner, name, numbered)
    return values


def _place(document: Document, key: Key, name: str, node: Any, numbered: bool) -> None:
    line = node.start_mark.line + 1 if node is not None else 1
    document.places[key] = f"{name}:{line}" if numbered else name


def _mistake(document: Document, key: Key, message: str) -> None:
    document.mistakes.append((document.place(key), f"{dotted(key)}: {message}"))


def dotted(key: Key) -> str:
    """The key as a user writes it: ``patch.size.0``; the whole document is 'experiment'."""
    return ".".join(map(str, key)) or "experiment"


def _syntax(error: yaml.MarkedYAMLError, name: str, numbered: bool) -> str:
    mark = error.problem_mark or error.context_mark
    place = f"{name}:{mark.line + 1}" if mark is not None and numbered else name
    return f"{place}: expected YAML, got text that cannot be read ({error.problem})"

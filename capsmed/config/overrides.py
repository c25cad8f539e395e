"""``--set key.sub=value``: one value over another, remembered with its place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from capsmed.config.explain import mistakes, one_message
from capsmed.config.fields import Component
from capsmed.config.parse import Document, Key, dotted, parse
from capsmed.config.schema import Experiment
from capsmed.errors import ConfigError


def apply(document: Document, text: str) -> None:
    """Put 'key.sub=value' into the document, the value read as YAML; lists count from 0.

    What is wrong with it is added to ``document.mistakes``, so that it is listed with the rest.
    """
    name, equals, value = text.partition("=")
    name = name.strip()
    if not equals or "" in name.split("."):
        document.mistakes.append((f"--set {text}", "expected key.sub=value, got no such pair"))
        return
    key = _key(name)
    place = f"--set {name}"
    try:
        parsed = parse(value, place, numbered=False)
    except ConfigError as error:
        document.mistakes.append((place, str(error).removeprefix(f"{place}: ")))
        return
    document.mistakes += parsed.mistakes
    if not _put(document.data, key, parsed.data):
        document.mistakes.append((place, f"{dotted(key)}: expected a key, got a part of a value"))
        return
    _remember(document, key, parsed, place)


def changed(experiment: Experiment, values: Mapping[str, Any]) -> Experiment:
    """The experiment with other values, by key such as 'optimizer.lr'.

    Raises:
        ConfigError: a key is unknown or a value is wrong.
    """
    data = experiment.model_dump(mode="json")
    for name, value in values.items():
        if not _put(data, _key(name), value):
            raise ConfigError(f"{name}: expected a key, got a part of a value; leave it out")
    try:
        return Experiment.model_validate(data)
    except ValidationError as error:
        message = one_message(mistakes(error, Document(data)), "values")
        raise ConfigError(message) from error


def _key(name: str) -> Key:
    return tuple(int(part) if part.isdecimal() else part for part in name.split("."))


def _remember(document: Document, key: Key, parsed: Document, place: str) -> None:
    for old in [each for each in document.places if each[: len(key)] == key]:
        del document.places[old]
    document.places.update({key + inner: place for inner in parsed.places})
    for length in range(1, len(key) + 1):
        document.places.setdefault(key[:length], place)


def _put(data: Any, key: Key, value: Any) -> bool:
    """Set ``data[key[0]][key[1]]... = value``, making sections on the way; False if impossible."""
    for depth, part in enumerate(key[:-1]):
        if isinstance(data, dict):
            _open(data, str(part), component=depth == 0)
        inner = _inside(data, part)
        if not isinstance(inner, dict | list):
            return False
        data = inner
    last = key[-1]
    if isinstance(data, dict):
        data[str(last)] = value
    elif isinstance(last, int) and last < len(data):
        data[last] = value
    else:
        return False
    return True


def _open(data: dict[str, Any], part: str, component: bool) -> None:
    """Make room for keys below ``part``: a section, or a component's name with options."""
    inner = data.get(part)
    info = Experiment.model_fields.get(part)
    if inner is None:
        data[part] = {}
    elif isinstance(inner, str) and component and info and info.annotation is Component:
        data[part] = {"name": inner}


def _inside(data: Any, part: str | int) -> Any:
    if isinstance(data, dict):
        return data.get(str(part))
    if isinstance(data, list) and isinstance(part, int) and part < len(data):
        return data[part]
    return None

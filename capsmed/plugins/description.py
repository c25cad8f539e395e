"""What there is to say of one component: arguments, defaults, reference, and whose it is."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from capsmed.data.fetch import Source
from capsmed.data.importers import Importer
from capsmed.plugins import docstrings
from capsmed.plugins.catalogue import Kind, purpose
from capsmed.plugins.loading import Plugin

OWN = "capsmed"
_VARIABLE = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


@dataclass(frozen=True)
class Argument:
    """One option of a component.

    Attributes:
        name: as in the YAML.
        default: as Python writes it; '' when a value must be given.
        type: the annotation, '' without one.
        meaning: from the docstring.
    """

    name: str
    default: str
    type: str
    meaning: str


@dataclass(frozen=True)
class Description:
    """One component.

    Attributes:
        kind: the kind's name.
        name: the component's.
        summary: one sentence.
        reference: paper, licence or the like; '' where there is none.
        arguments: its options.
        about: the rest of its docstring.
        origin: 'capsmed', or the package of the plugin.
        place: module and class, or the file.
    """

    kind: str
    name: str
    summary: str
    reference: str = ""
    arguments: tuple[Argument, ...] = ()
    about: str = ""
    origin: str = OWN
    place: str = ""


def describe(kind: Kind, name: str, plugins: Iterable[Plugin] = ()) -> Description:
    """Describe the component ``name`` of ``kind``; ``plugins`` tell whose it is."""
    part = kind.components()[name]
    origin = next((p.package for p in plugins if (kind.name, name) in p.components), OWN)
    if isinstance(part, Path):
        return Description(kind.name, name, purpose(part), origin=origin, place=part.name)
    if isinstance(part, Source):
        return Description(kind.name, name, part.title, part.licence, place=part.homepage)
    if isinstance(part, Importer):
        options = tuple(Argument("--" + use.replace("_", "-"), "", "", "") for use in part.uses)
        place = part.read.__module__
        return Description(kind.name, name, part.summary, "", options, "", origin, place)
    return Description(
        kind.name,
        name,
        docstrings.summary(part),
        docstrings.reference(part),
        arguments(part, kind.given),
        docstrings.about(part),
        origin,
        f"{part.__module__}.{getattr(part, '__qualname__', type(part).__qualname__)}",
    )


def arguments(part: Any, given: Iterable[str] = ()) -> tuple[Argument, ...]:
    """The options of a class or function, without those that capsmed sets itself."""
    meanings, types, found = docstrings.arguments(part), _types(part), []
    for parameter in inspect.signature(part).parameters.values():
        if parameter.name in given or parameter.kind in _VARIABLE:
            continue
        default = "" if parameter.default is parameter.empty else _written(parameter.default)
        name = parameter.name
        found.append(Argument(name, default, types.get(name, ""), meanings.get(name, "")))
    return tuple(found)


def _types(part: Any) -> dict[str, str]:
    """The annotations, with names such as ``Gradient`` spelled out where they can be."""
    target = part.__init__ if inspect.isclass(part) else part
    try:
        hints = get_type_hints(target)
    except (NameError, TypeError):  # annotations for type checkers only
        hints = getattr(target, "__annotations__", {})
    return {name: _readable(hint) for name, hint in hints.items()}


def _readable(hint: Any) -> str:
    """An annotation in few words.

    >>> _readable(Literal["last", "full"] | None)
    "'last' | 'full' | None"
    """
    if hint is type(None):
        return "None"
    if get_origin(hint) is Literal:
        return " | ".join(map(repr, get_args(hint)))
    if get_origin(hint) in (Union, UnionType):
        return " | ".join(map(_readable, get_args(hint)))
    text = hint if isinstance(hint, str) else inspect.formatannotation(hint)
    return re.sub(r"\b(?:[a-z_]+\.)+(?=[A-Za-z])", "", text)


def _written(default: Any) -> str:
    """A default as in the YAML, where that differs little from Python."""
    plain = isinstance(default, str | int | float | tuple | list | dict | None)
    return repr(default) if plain else getattr(default, "__name__", type(default).__name__)

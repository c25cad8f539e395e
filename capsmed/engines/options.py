"""Options of components, and of the parts named in them, against constructors' signatures."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError

from capsmed import third_party
from capsmed.config.explain import shown
from capsmed.errors import did_you_mean
from capsmed.networks.blocks.capsule_head import CapsuleHead
from capsmed.networks.nets import BackboneClassifier, CapsuleClassifier
from capsmed.networks.registry import BACKBONES
from capsmed.networks.routing import Routing

Constructor = Callable[..., Any]
Mistakes = list[tuple[str, str]]

WITH_BACKBONE: tuple[Constructor, ...] = (CapsuleClassifier, BackboneClassifier)
_GIVEN = {
    "network": {"spatial_dims", "in_channels", "num_classes", "input_size"},
    "loss": set(),
    "optimizer": {"params"},
    "schedule": {"optimizer", "total_steps"},
    "backbone": {"spatial_dims", "in_channels", "input_size"},
    "head": {"spatial_dims", "in_channels", "num_classes", "input_size"},
    "routing": {"in_capsules", "out_capsules", "in_dim", "out_dim"},
}
_WORDS = {  # one, and several in a list
    int: ("a whole number", "whole numbers"),
    float: ("a number", "numbers"),
    str: ("text", "texts"),
    bool: ("true or false", "flags"),
    type(None): ("null", "nulls"),
}
_VARIABLE = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def check_options(
    kind: str, place: str, constructor: Constructor, options: Mapping[str, Any], found: Mistakes
) -> None:
    """Check names and types of ``options`` against the signature of a component's constructor.

    Args:
        kind: what it is, which decides the arguments that capsmed gives.
        place: the options' key in the configuration.
        constructor: the class or function.
        options: what the configuration says.
        found: mistakes are added here, each as (place, message).
    """
    parameters = dict(inspect.signature(constructor).parameters)
    open_ended = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    own = {
        name: parameter
        for name, parameter in parameters.items()
        if name not in _GIVEN[kind] and parameter.kind not in _VARIABLE
    }
    hints = _hints(constructor)
    for name, value in options.items():
        if name in _GIVEN[kind]:
            found.append((f"{place}.{name}", "expected no value, capsmed sets it; leave it out"))
        elif name not in own and not open_ended:
            found.append((place, unknown(name, own)))
        elif name in hints and not _names_routing(name, value) and not _fits(value, hints[name]):
            expected = f"expected {_readable(hints[name])}, got {shown(value)}"
            found.append((f"{place}.{name}", expected + _nearest(value, hints[name])))
    for name, parameter in own.items():
        if parameter.default is parameter.empty and name not in options:
            found.append((f"{place}.{name}", "expected a value, got none; add it"))


def check_nested(
    place: str, constructor: Constructor, options: Mapping[str, Any], found: Mistakes
) -> None:
    """Check the parts that a network names in its options: routing, backbone, and capsule head."""
    for name, value in options.items():
        if _names_routing(name, value):
            _check_named("routing", f"{place}.{name}", _routings(), value, found)
    if constructor in WITH_BACKBONE and "backbone" in options:
        _check_named("backbone", f"{place}.backbone", BACKBONES, options["backbone"], found)
    head = options.get("head")
    if constructor is CapsuleClassifier and isinstance(head, Mapping):
        check_options("head", f"{place}.head", CapsuleHead, head, found)
        check_nested(f"{place}.head", CapsuleHead, head, found)


def _check_named(
    kind: str, place: str, known: Mapping[str, Constructor], value: Any, found: Mistakes
) -> None:
    """Check a part given as MONAI does: a name, or a list of a name and its options.

    A routing may also be a mapping with the key ``name``, as networks and losses are.
    """
    if isinstance(value, str):
        value = [value]
    if kind == "routing" and isinstance(value, dict) and "name" in value:
        value = [value["name"], {key: each for key, each in value.items() if key != "name"}]
    if not isinstance(value, list) or not 1 <= len(value) <= 2:
        found.append((place, f"expected a name or [name, options], got {shown(value)}"))
        return
    name, options = (*value, {})[:2]
    if kind == "routing":
        name = str(name).lower()  # MONAI's factories take either case
    if not isinstance(name, str) or name not in known:
        found.append((place, unknown(str(name), known) + third_party.failed()))
    elif isinstance(options, dict):
        check_options(kind, place, known[name], options, found)
    else:
        found.append((place, f"expected [name, {{option: value}}], got {shown(value)}"))


def _names_routing(option: str, value: Any) -> bool:
    """Whether the option names a routing; ``x_routing`` of a foreign network may be a number."""
    return option == "routing" or (
        option.endswith("_routing") and isinstance(value, str | list | dict)
    )


def _routings() -> dict[str, Constructor]:
    return {name.lower(): Routing[name] for name in Routing.names}


def _hints(constructor: Constructor) -> dict[str, Any]:
    target = constructor.__init__ if inspect.isclass(constructor) else constructor
    try:
        return get_type_hints(target)
    except (NameError, TypeError):  # annotations for type checkers only cannot be checked here
        return {}


def _fits(value: Any, hint: Any) -> bool:
    """Whether ``value`` may stand for ``hint``.

    A word for a number or a flag may not, nor a fraction for a whole number, not even 3.0: the
    constructor gets the value as it is written.
    """
    try:
        adapter = TypeAdapter(hint, config=ConfigDict(arbitrary_types_allowed=True))
    except Exception:  # pydantic cannot check every annotation of foreign classes
        return True
    try:
        converted = adapter.validate_python(value)
    except ValidationError:
        return False
    return _kept(value, converted)


def _kept(value: Any, converted: Any) -> bool:
    """Whether pydantic has left words, flags and fractions as they were, in lists too."""
    if isinstance(value, list | tuple) and isinstance(converted, list | tuple):
        return all(map(_kept, value, converted))
    if isinstance(value, dict) and isinstance(converted, dict):
        return all(map(_kept, value.values(), converted.values()))
    return type(converted) is type(value) or not isinstance(value, str | bool | float)


def unknown(name: str, known: Collection[str]) -> str:
    """'expected one of ..., got ...; did you mean ...?'."""
    listed = ", ".join(sorted(known)) or "no option"
    return f"expected one of {listed}, got {name!r}{did_you_mean(name, known)}"


def _readable(hint: Any) -> str:
    """An annotation in the words of YAML.

    >>> _readable(Sequence[float] | Literal["balanced"] | None)
    "a list of numbers, 'balanced' or null"
    """
    parts = [_word(part) for part in _alternatives(hint)]
    return " or ".join([", ".join(parts[:-1]), parts[-1]]) if len(parts) > 1 else parts[0]


def _alternatives(hint: Any) -> list[Any]:
    """The members of a union and the words of a Literal, one by one."""
    if get_origin(hint) in (Union, UnionType):
        return [part for member in get_args(hint) for part in _alternatives(member)]
    if get_origin(hint) is Literal:
        return [Literal[word] for word in get_args(hint)]
    return [hint]


def _word(hint: Any) -> str:
    if hint in _WORDS:
        return _WORDS[hint][0]
    inner = get_args(hint)
    if get_origin(hint) is Literal:
        return repr(inner[0])
    if get_origin(hint) in (Sequence, list, tuple) and inner and inner[0] in _WORDS:
        return f"a list of {_WORDS[inner[0]][1]}"
    return re.sub(r"\b(?:[a-z_]+\.)+(?=[A-Za-z])", "", inspect.formatannotation(hint))


def _nearest(value: Any, hint: Any) -> str:
    words = [get_args(part)[0] for part in _alternatives(hint) if get_origin(part) is Literal]
    return did_you_mean(value, map(str, words)) if isinstance(value, str) else ""

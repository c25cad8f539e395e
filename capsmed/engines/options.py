"""Options of components, and of the parts named in them, against constructors' signatures."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, get_type_hints

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
        elif name in hints and not _fits(value, hints[name]):
            expected = _readable(hints[name])
            found.append((f"{place}.{name}", f"expected {expected}, got {shown(value)}"))
    for name, parameter in own.items():
        if parameter.default is parameter.empty and name not in options:
            found.append((f"{place}.{name}", "expected a value, got none; add it"))


def check_nested(
    place: str, constructor: Constructor, options: Mapping[str, Any], found: Mistakes
) -> None:
    """Check the parts that a network names in its options: routing, backbone, and capsule head."""
    if "routing" in options:
        _check_named("routing", f"{place}.routing", _routings(), options["routing"], found)
    if constructor in WITH_BACKBONE and "backbone" in options:
        _check_named("backbone", f"{place}.backbone", BACKBONES, options["backbone"], found)
    head = options.get("head")
    if constructor is CapsuleClassifier and isinstance(head, Mapping):
        check_options("head", f"{place}.head", CapsuleHead, head, found)
        check_nested(f"{place}.head", CapsuleHead, head, found)


def _check_named(
    kind: str, place: str, known: Mapping[str, Constructor], value: Any, found: Mistakes
) -> None:
    """Check a part given as MONAI does: a name, or a list of a name and its options."""
    if isinstance(value, str):
        value = [value]
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


def _routings() -> dict[str, Constructor]:
    return {name.lower(): Routing[name] for name in Routing.names}


def _hints(constructor: Constructor) -> dict[str, Any]:
    target = constructor.__init__ if inspect.isclass(constructor) else constructor
    try:
        return get_type_hints(target)
    except (NameError, TypeError):  # annotations for type checkers only cannot be checked here
        return {}


def _fits(value: Any, hint: Any) -> bool:
    """Whether ``value`` may stand for ``hint``; a word for a number or a flag may not."""
    try:
        adapter = TypeAdapter(hint, config=ConfigDict(arbitrary_types_allowed=True))
    except Exception:  # pydantic cannot check every annotation of foreign classes
        return True
    try:
        converted = adapter.validate_python(value)
    except ValidationError:
        return False
    return type(converted) is type(value) or not isinstance(value, str | bool)


def unknown(name: str, known: Collection[str]) -> str:
    """'expected one of ..., got ...; did you mean ...?'."""
    listed = ", ".join(sorted(known)) or "no option"
    return f"expected one of {listed}, got {name!r}{did_you_mean(name, known)}"


def _readable(hint: Any) -> str:
    text = inspect.formatannotation(hint)
    return re.sub(r"\b(?:[a-z_]+\.)+(?=[A-Za-z])", "", text)

"""Which network, loss, optimiser and schedule a configuration may name, with which options."""

from __future__ import annotations

import importlib
import inspect
import os
import re
import sys
from collections.abc import Callable, Collection, Mapping
from typing import Any, get_type_hints

import torch
from pydantic import ConfigDict, TypeAdapter, ValidationError
from torch import nn

from capsmed.config import Component, Experiment
from capsmed.config.explain import one_message, shown
from capsmed.engines.schedules import SCHEDULES
from capsmed.errors import ConfigError, did_you_mean
from capsmed.losses import LOSSES
from capsmed.networks.nets import NETWORKS
from capsmed.networks.routing import Routing

Constructor = Callable[..., Any]

OPTIMIZERS: dict[str, Constructor] = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "sgd": torch.optim.SGD,
}
REGISTRIES: dict[str, Mapping[str, Constructor]] = {
    "network": NETWORKS,
    "loss": LOSSES,
    "optimizer": OPTIMIZERS,
    "schedule": SCHEDULES,
}
_GIVEN = {
    "network": {"spatial_dims", "in_channels", "num_classes", "input_size"},
    "loss": set(),
    "optimizer": {"params"},
    "schedule": {"optimizer", "total_steps"},
    "routing": {"in_capsules", "out_capsules", "in_dim", "out_dim"},
}
_BASES = {"network": nn.Module, "loss": nn.Module, "optimizer": torch.optim.Optimizer}
_VARIABLE = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
_imported: dict[tuple[str, str], Constructor] = {}


def check_components(experiment: Experiment, allow_import: Collection[str] = ()) -> None:
    """Check every component's name and options before any data are read.

    Options are checked against the constructor's signature: their names, and their types where
    the annotation can be checked. Dotted names are imported here, so that ``resolve`` finds them.

    Args:
        experiment: the configuration.
        allow_import: packages that dotted class names may come from (``--allow-import``).

    Raises:
        ConfigError: every mistake at once, each with the nearest valid name.
    """
    found: list[tuple[str, str]] = []
    for kind in REGISTRIES:
        component: Component = getattr(experiment, kind)
        constructor = _named(kind, component.name, allow_import, found)
        if constructor is not None:
            _check_options(kind, kind, constructor, component.options, found)
    if "routing" in experiment.network.options:
        _check_routing(experiment.network.options["routing"], found)
    if found:
        raise ConfigError(one_message(found, "config"))


def resolve(kind: str, name: str) -> Constructor:
    """Return the constructor of a registered (or allowed and imported) component.

    Raises:
        ConfigError: nothing of this kind has that name.
    """
    found: list[tuple[str, str]] = []
    constructor = _named(kind, name, (), found)
    if constructor is None:
        raise ConfigError(one_message(found, "config"))
    return constructor


def _named(
    kind: str, name: str, allowed: Collection[str], found: list[tuple[str, str]]
) -> Constructor | None:
    known = REGISTRIES[kind]
    if name in known:
        return known[name]
    if (kind, name) in _imported:
        return _imported[kind, name]
    if "." in name:
        return _import(kind, name, allowed, found)
    found.append((kind, _unknown(name, known)))
    return None


def _import(
    kind: str, name: str, allowed: Collection[str], found: list[tuple[str, str]]
) -> Constructor | None:
    package, (module, _, attribute) = name.partition(".")[0], name.rpartition(".")
    if package not in allowed:
        advice = f"allow it with --allow-import {package} if you trust that package"
        found.append((kind, f"expected a registered name, got {name!r}; {advice}"))
        return None
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())  # a module beside the configuration need not be installed
    try:
        part = getattr(importlib.import_module(module), attribute)
    except Exception as error:  # whatever a foreign module raises, its name belongs in the message
        found.append((kind, f"expected an importable class, got {name!r} ({error})"))
        return None
    if not _right_kind(kind, part):
        wanted = f"subclass of {_BASES[kind].__name__}" if kind in _BASES else "function"
        found.append((kind, f"expected a {wanted}, got {name!r}; name another"))
        return None
    _imported[kind, name] = part
    return part


def _right_kind(kind: str, part: Any) -> bool:
    base = _BASES.get(kind)
    if base is None:
        return inspect.isfunction(part)
    return inspect.isclass(part) and issubclass(part, base)


def _check_options(
    kind: str,
    place: str,
    constructor: Constructor,
    options: Mapping[str, Any],
    found: list[tuple[str, str]],
) -> None:
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
            found.append((place, _unknown(name, own)))
        elif name in hints and not _fits(value, hints[name]):
            expected = _readable(hints[name])
            found.append((f"{place}.{name}", f"expected {expected}, got {shown(value)}"))
    for name, parameter in own.items():
        if parameter.default is parameter.empty and name not in options:
            found.append((f"{place}.{name}", "expected a value, got none; add it"))


def _check_routing(value: Any, found: list[tuple[str, str]]) -> None:
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list) or not 1 <= len(value) <= 2:
        found.append(("network.routing", f"expected a name or [name, options], got {shown(value)}"))
        return
    name, options = (*value, {})[:2]
    names = [known.lower() for known in Routing.names]
    if not isinstance(name, str) or name.lower() not in names:
        found.append(("network.routing", _unknown(str(name), names)))
    elif isinstance(options, dict):
        _check_options("routing", "network.routing", Routing[name.lower()], options, found)
    else:
        found.append(("network.routing", f"expected [name, {{option: value}}], got {shown(value)}"))


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


def _unknown(name: str, known: Collection[str]) -> str:
    listed = ", ".join(sorted(known)) or "no option"
    return f"expected one of {listed}, got {name!r}{did_you_mean(name, known)}"


def _readable(hint: Any) -> str:
    text = inspect.formatannotation(hint)
    return re.sub(r"\b(?:[a-z_]+\.)+(?=[A-Za-z])", "", text)

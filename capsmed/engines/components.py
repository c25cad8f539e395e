"""Which network, loss, optimiser and schedule a configuration may name, with which options."""

from __future__ import annotations

import importlib
import inspect
import os
import sys
from collections.abc import Collection, Mapping
from typing import Any

import torch
from torch import nn

from capsmed import third_party
from capsmed.config import Component, Experiment
from capsmed.config.explain import one_message
from capsmed.engines.options import Constructor, check_nested, check_options, unknown
from capsmed.engines.schedules import SCHEDULES
from capsmed.errors import ConfigError
from capsmed.losses import LOSSES
from capsmed.networks.nets import NETWORKS

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
_BASES = {"network": nn.Module, "loss": nn.Module, "optimizer": torch.optim.Optimizer}
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
            check_options(kind, kind, constructor, component.options, found)
        if kind == "network" and constructor is not None:
            check_nested("network", constructor, component.options, found)
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
    found.append((kind, unknown(name, known) + third_party.failed()))
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

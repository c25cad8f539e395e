"""Where routings and networks are known by name; no name is overwritten silently."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Sequence
from typing import Any

from monai.networks.layers.factories import LayerFactory, split_args
from torch import nn

from capsmed import third_party

Routing = LayerFactory(name="Routing", description="How votes become the poses of higher capsules.")
NETWORKS: dict[str, type[nn.Module]] = {}
BACKBONES: dict[str, Callable[..., nn.Module]] = {}


def register(name: str, cls: type) -> None:
    """Make ``cls`` known as a routing called ``name``.

    Args:
        name: an identifier; case does not matter.
        cls: built from ``(in_capsules, out_capsules, in_dim, out_dim, **options)``.

    Raises:
        ValueError: the name belongs to another class.
    """
    add_class(Routing, name, cls)


def build_routing(
    spec: str | Sequence[Any] | type, sizes: tuple[int, int, int, int], bias: bool = False
) -> nn.Module:
    """Build the routing that ``spec`` names.

    Args:
        spec: a name in ``Routing``, a pair of name and options, or a class.
        sizes: number of lower and higher capsules, components of a lower and of a higher one.
        bias: ask the routing for its option ``bias``.

    Raises:
        ValueError: no such routing, an option it does not take, or a value it refuses.
    """
    named, options = (spec, {}) if isinstance(spec, type) else split_args(spec)
    cls = named if isinstance(named, type) else _routing_called(named)
    if bias:
        options = {"bias": True, **options}
    known = list(inspect.signature(cls).parameters)[len(sizes) :]
    foreign = [option for option in options if option not in known]
    if foreign:
        raise ValueError(
            f"{cls.__name__}: expected options of {known or 'none'}, "
            f"got {', '.join(map(repr, foreign))}; leave it out"
        )
    return cls(*sizes, **options)


def _routing_called(name: str) -> type[nn.Module]:
    known = sorted(known.lower() for known in Routing.names)
    if name.lower() not in known:
        near = difflib.get_close_matches(name.lower(), known, 1)
        hint = (f"; did you mean {near[0]!r}?" if near else "") + third_party.failed()
        raise ValueError(f"routing: expected one of {', '.join(known)}, got {name!r}{hint}")
    return Routing[name]


def register_network(name: str, cls: type[nn.Module]) -> None:
    """Make ``cls`` known as a network called ``name``.

    Args:
        name: an identifier.
        cls: built from ``spatial_dims, in_channels, num_classes, input_size`` and options.

    Raises:
        ValueError: the name belongs to another class.
    """
    taken = NETWORKS.setdefault(name, cls)
    if not _is_same_class(taken, cls):
        raise ValueError(_taken("networks", name, taken, cls))


def register_backbone(name: str, build: Callable[..., nn.Module]) -> None:
    """Make ``build`` known as a backbone called ``name``.

    Args:
        name: an identifier.
        build: a class or function of ``spatial_dims, in_channels, input_size`` and options, whose
            module gives a feature map, a list of maps, or tokens; see `CapsuleClassifier`.

    Raises:
        ValueError: the name belongs to another class or function.
    """
    taken = BACKBONES.setdefault(name, build)
    if not _is_same_class(taken, build):
        raise ValueError(_taken("backbones", name, taken, build))


def add_class(factory: LayerFactory, name: str, cls: type) -> None:
    """Add ``cls`` to ``factory`` as ``name`` (upper or lower case alike).

    Adding the same class again is harmless, so that a module may be imported twice.

    Raises:
        ValueError: another class has the name already.
    """
    if name.upper() not in factory.components:
        factory.add_factory_class(name, cls)
    elif not _is_same_class(factory[name], cls):
        raise ValueError(_taken(factory.name, name, factory[name], cls))


def _is_same_class(first: Callable[..., Any], second: Callable[..., Any]) -> bool:
    """True for one class, also when its module was reloaded in between."""
    places = {(cls.__module__, cls.__qualname__) for cls in (first, second)}
    return first is second or len(places) == 1


def _taken(where: str, name: str, taken: Callable[..., Any], cls: Callable[..., Any]) -> str:
    return (
        f"{where}: expected a free name, got {name!r}, which is "
        f"{taken.__module__}.{taken.__qualname__}; "
        f"register {cls.__module__}.{cls.__qualname__} under another name"
    )

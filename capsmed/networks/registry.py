"""Where routings and networks are known by name; no name is overwritten silently."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from monai.networks.layers.factories import LayerFactory, split_args
from torch import nn

from capsmed import third_party
from capsmed.networks.blocks.options import only_known

Routing = LayerFactory(name="Routing", description="How votes become the poses of higher capsules.")
RoutingSpec = str | Sequence[Any] | Mapping[str, Any] | type
_STEPS = ("couplings", "settle")  # of a BaseRouting, whose module imports this one
NETWORKS: dict[str, type[nn.Module]] = {}
BACKBONES: dict[str, Callable[..., nn.Module]] = {}


def register(name: str, cls: type) -> None:
    """Make ``cls`` known as a routing called ``name``.

    Args:
        name: an identifier; case does not matter.
        cls: a `BaseRouting`, built from ``(in_capsules, out_capsules, in_dim, out_dim,
            **options)``.

    Raises:
        ValueError: the name is no identifier or belongs to another class, or ``cls`` is no routing.
    """
    _check_name("routings", name)
    missing = [step for step in _STEPS if not callable(getattr(cls, step, None))]
    if missing or not isinstance(cls, type):
        raise ValueError(
            f"routings: expected a class derived from capsmed.networks.BaseRouting, got {cls!r} "
            f"for {name!r}; derive it, with the methods {' and '.join(_STEPS)}"
        )
    add_class(Routing, name, cls)


def build_routing(
    spec: RoutingSpec, sizes: tuple[int, int, int, int], bias: bool = False
) -> nn.Module:
    """Build the routing that ``spec`` names.

    Args:
        spec: a name in ``Routing``, a pair of name and options, both in one mapping with the key
            ``name``, or a class.
        sizes: number of lower and higher capsules, components of a lower and of a higher one.
        bias: ask the routing for its option ``bias``.

    Raises:
        ValueError: no such routing, an option it does not take, or a value it refuses.
    """
    if isinstance(spec, Mapping):
        spec = _pair(spec)
    named, options = (spec, {}) if isinstance(spec, type) else split_args(spec)
    cls = named if isinstance(named, type) else _routing_called(named)
    if bias:
        options = {"bias": True, **options}
    only_known(cls.__name__, cls, options, len(sizes))
    return cls(*sizes, **options)


def _pair(spec: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    options = dict(spec)
    if "name" not in options:
        raise ValueError(f"routing: expected a key name, got {', '.join(options) or 'none'}")
    return options.pop("name"), options


def _check_name(kind: str, name: str) -> None:
    if not (isinstance(name, str) and name.isidentifier()):
        raise ValueError(f"{kind}: expected an identifier, got {name!r}; rename it")


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
        ValueError: the name is no identifier, or belongs to another class.
    """
    _check_name("networks", name)
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
        ValueError: the name is no identifier, or belongs to another class or function.
    """
    _check_name("backbones", name)
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

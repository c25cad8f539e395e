"""Where routings and networks are known by name; no name is overwritten silently."""

from __future__ import annotations

from monai.networks.layers.factories import LayerFactory
from torch import nn

Routing = LayerFactory(name="Routing", description="How votes become the poses of higher capsules.")
NETWORKS: dict[str, type[nn.Module]] = {}


def register(name: str, cls: type) -> None:
    """Make ``cls`` known as a routing called ``name``.

    Args:
        name: an identifier; case does not matter.
        cls: built from ``(in_capsules, out_capsules, in_dim, out_dim, **options)``.

    Raises:
        ValueError: the name belongs to another class.
    """
    add_class(Routing, name, cls)


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


def _is_same_class(first: type, second: type) -> bool:
    """True for one class, also when its module was reloaded in between."""
    places = {(cls.__module__, cls.__qualname__) for cls in (first, second)}
    return first is second or len(places) == 1


def _taken(where: str, name: str, taken: type, cls: type) -> str:
    return (
        f"{where}: expected a free name, got {name!r}, which is "
        f"{taken.__module__}.{taken.__qualname__}; register {cls.__qualname__} under another name"
    )

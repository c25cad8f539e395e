"""Every kind of component there is, and where the components of a kind are registered."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from capsmed import shipped
from capsmed.data.fetch import SOURCES
from capsmed.data.importers import IMPORTERS
from capsmed.data.readers import READERS
from capsmed.data.whole_sets import DATA_SOURCES
from capsmed.engines.components import OPTIMIZERS
from capsmed.engines.schedules import SCHEDULES
from capsmed.losses import LOSSES
from capsmed.networks import layers
from capsmed.networks.blocks.decoder import DECODERS
from capsmed.networks.registry import BACKBONES, NETWORKS, Routing


@dataclass(frozen=True)
class Kind:
    """A kind of component.

    Attributes:
        name: plural, as ``capsmed list`` shows it.
        components: gives the components by name, as they are now.
        where: the key of the YAML, or the command, that names one.
        given: the arguments that capsmed sets, so that no option of the YAML may.
        open: whether plugins register components of this kind.
    """

    name: str
    components: Callable[[], Mapping[str, Any]]
    where: str
    given: frozenset[str] = field(default=frozenset())
    open: bool = False


def _routings() -> dict[str, Any]:
    return {name.lower(): Routing[name] for name in Routing.names}


def _layers() -> dict[str, Any]:
    named = {name: getattr(layers, name) for name in layers.__all__}
    return {
        name: part
        for name, part in named.items()
        if isinstance(part, type) and issubclass(part, nn.Module)
    }


def _files(kind: shipped.Kind, suffix: str) -> dict[str, Path]:
    return {name: shipped.folder(kind) / f"{name}{suffix}" for name in shipped.names(kind)}


_IMAGE = {"spatial_dims", "in_channels", "input_size"}
_SIZES = frozenset({"in_capsules", "out_capsules", "in_dim", "out_dim"})
_SHAPES = frozenset({"num_classes", "class_dim", "out_channels", "output_size"})

KINDS: tuple[Kind, ...] = (
    Kind("networks", lambda: NETWORKS, "network", frozenset({*_IMAGE, "num_classes"}), open=True),
    Kind("routings", _routings, "network.routing", _SIZES, open=True),
    Kind("backbones", lambda: BACKBONES, "network.backbone", frozenset(_IMAGE), open=True),
    Kind("layers", _layers, "in Python: capsmed.networks"),
    Kind("decoders", lambda: DECODERS, "network.decoder", _SHAPES),
    Kind("losses", lambda: LOSSES, "loss", open=True),
    Kind("optimizers", lambda: OPTIMIZERS, "optimizer", frozenset({"params"})),
    Kind("schedules", lambda: SCHEDULES, "schedule", frozenset({"optimizer", "total_steps"})),
    Kind("data sources", lambda: DATA_SOURCES, "data.cohort", open=True),
    Kind(
        "image files",
        lambda: READERS,
        "in a cohort table",
        frozenset({"path", "series"}),
        open=True,
    ),
    Kind("importers", lambda: IMPORTERS, "capsmed cohort import NAME", open=True),
    Kind("data sets", lambda: SOURCES, "capsmed data get NAME"),
    Kind("pipelines", lambda: _files("pipelines", ".py"), "capsmed run NAME"),
    Kind("configurations", lambda: _files("configs", ".yaml"), "capsmed train --config NAME"),
)


def snapshot() -> dict[tuple[str, str], Any]:
    """Every component that plugins can add, by kind and name."""
    kinds = [kind for kind in KINDS if kind.open]
    return {(kind.name, name): part for kind in kinds for name, part in kind.components().items()}


def restore(before: Mapping[tuple[str, str], Any]) -> list[str]:
    """Put back what was overwritten or removed since ``before``, a `snapshot`.

    The functions that register refuse a name that is taken; this is for what went past them.

    Returns:
        One line for each name that was put back.
    """
    now, told = snapshot(), []
    for (kind, name), old in before.items():
        part = now.get((kind, name))
        if part is None or (old is not part and _place(old) != _place(part)):
            _put(kind, name, old)
            got = "it removed" if part is None else _place(part)
            told.append(
                f"{kind}: expected {name!r} to stay {_place(old)}, got {got}; "
                "register it under another name"
            )
    return told


def forget(components: Iterable[tuple[str, str]]) -> None:
    """Unregister ``components``, each as (kind, name); those that are not there are passed over."""
    for kind, name in components:
        if kind == "routings":
            Routing.components.pop(name.upper(), None)
        else:
            _registry(kind).pop(name, None)


def _put(kind: str, name: str, part: Any) -> None:
    if kind == "routings":
        Routing.components.pop(name.upper(), None)
        Routing.add_factory_class(name, part)
    else:
        _registry(kind)[name] = part


def _registry(kind: str) -> dict[str, Any]:
    """The registry itself, of every kind but routings."""
    (found,) = (each.components() for each in KINDS if each.name == kind)
    return found  # type: ignore[return-value]


def _place(part: Any) -> str:
    return f"{part.__module__}.{getattr(part, '__qualname__', type(part).__qualname__)}"


def kind_called(name: str) -> Kind | None:
    """The kind of that name, in the plural or singular, with spaces or hyphens.

    >>> kind_called("image-file").name
    'image files'
    """
    words = name.lower().replace("-", " ").replace("_", " ")
    return next((kind for kind in KINDS if words in (kind.name, singular(kind.name))), None)


def singular(plural: str) -> str:
    """One component of a kind.

    >>> singular("losses"), singular("data sets")
    ('loss', 'data set')
    """
    return plural[: -2 if plural.endswith("sses") else -1]


def purpose(path: Path) -> str:
    """The first line of a shipped configuration or pipeline: what it is for."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        return (ast.get_docstring(ast.parse(text)) or "").partition("\n")[0]
    return text.partition("\n")[0].lstrip("# ")

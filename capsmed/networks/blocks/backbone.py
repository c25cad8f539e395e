"""Features of somebody else's network: which output or inner layer, found by asking it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from capsmed.errors import did_you_mean
from capsmed.networks.blocks.levels import Level, Wanted, as_levels
from capsmed.networks.blocks.unused import drop_unused
from capsmed.networks.layers.votes import exporting

#: An error names at most so many levels.
LISTED = 8


class _Reached(Exception):
    """The layer that was wanted has run; the rest need not."""


@dataclass(frozen=True)
class Tap:
    """Takes features out of a backbone.

    Attributes:
        layer: dotted name of an inner layer whose output is taken; None for the backbone's.
        index: which one where that is a list; None where it is a tensor.
    """

    layer: str | None = None
    index: int | None = None

    def __call__(self, backbone: nn.Module, image: Tensor, whole: bool = False) -> Tensor:
        """Features of ``image [batch, channels, *size]``.

        An inner layer is listened to, and what comes after it does not run,
        unless ``whole``, or while exporting: an exported graph has no place for leaving early.
        """
        if self.layer is None:
            output = backbone(image)
        else:
            output = _inner(backbone, self.layer, image, whole or exporting())
        return output if self.index is None else as_levels(output)[self.index]


@dataclass(frozen=True)
class Attachment:
    """How a head holds on to a backbone.

    Attributes:
        tap: takes the features.
        shape: of the features, without the batch: ``(channels, *size)`` or ``(tokens, channels)``.
        dropped: names of the backbone's modules that the level does not need; they are gone.
    """

    tap: Tap
    shape: tuple[int, ...]
    dropped: tuple[str, ...]

    @property
    def tokens(self) -> bool:
        """Whether the features are tokens rather than a map."""
        return len(self.shape) == 2

    @property
    def channels(self) -> int:
        """Number of channels of the features."""
        return self.shape[-1] if self.tokens else self.shape[0]

    @property
    def size(self) -> tuple[int, ...]:
        """Spatial size of the map, or the number of tokens."""
        return self.shape[:1] if self.tokens else self.shape[1:]


def attach(
    backbone: nn.Module,
    in_channels: int,
    input_size: Sequence[int],
    level: Level = None,
    least: Sequence[int] | None = None,
    locations: int = 2,
) -> Attachment:
    """Find the features of ``backbone`` by running it on an image, and drop what lies behind them.

    It runs in evaluation mode, so batch statistics do not change, and is put back as it was.
    Layers after an inner ``level`` are removed where a chain of ``nn.Sequential`` leads to it. Of
    other backbones, modules whose parameters have no part in the features are replaced by
    ``nn.Identity`` where it then still runs; otherwise they stay, without gradient.

    Args:
        backbone: gives a feature map ``[batch, channels, *size]``, tokens ``[batch, tokens,
            channels]``, a list of these, a dictionary of these, which counts as the list of its
            values, or a pair of one and a list (last in the order). It is changed, as said.
        in_channels: channels of the image.
        input_size: spatial size of the image.
        level: an index into the list; the dotted name of an inner layer, or, where no layer has
            that name, a key of the dictionary; None for what comes out, of a list the last one
            that is large enough.
        least: smallest usable map; None for one location.
        locations: how many locations a map must have to be taken where ``level`` is None.

    Raises:
        ValueError: no such level, or features that cannot be used, with the shapes of those
            that can; the features are of another type than new layers; or the backbone refuses
            the image.
    """
    wanted = Wanted(len(input_size), tuple(least or [1] * len(input_size)), locations)
    if isinstance(level, bool) or not isinstance(level, (int, str, type(None))):
        raise ValueError(f"level: expected a number, a name or None, got {level!r}")
    layer = level if isinstance(level, str) and _has_layer(backbone, level) else None
    with undisturbed(backbone):
        image = _example(backbone, in_channels, input_size)
        output = _ask(Tap(layer), backbone, image)
        if isinstance(level, str) and layer is None:
            level = _key(backbone, output, level)
        try:
            index = wanted.choose(as_levels(output), level)
        except ValueError as error:
            raise ValueError(f"{error}{_advice(backbone, image, output, wanted)}") from None
        tap = Tap(layer, None if isinstance(output, Tensor) else index)
        features = as_levels(output)[index]
        _check_type(features)
        shape = tuple(features.shape[1:])
        _check_batch(tap, backbone, image, shape)
        if layer is not None and (cut := _cut_chain(backbone, layer)) is not None:
            tap, dropped = Tap(None, tap.index), cut
        else:
            dropped = drop_unused(backbone, tap, image)
    return Attachment(tap, shape, dropped)


class _Listener(nn.Module):
    """Stands in a layer's place, keeps what the layer gives and ends the backbone's forward there.

    A forward hook would see the output before the layer's backward hooks are tied to it, and
    Grad-CAM would find no gradient.
    """

    def __init__(self, layer: nn.Module, reached: list[Any]) -> None:
        super().__init__()
        self.layer = layer
        self.reached = reached

    def forward(self, *arguments: Any, **options: Any) -> None:
        """Run the layer and leave."""
        self.reached.append(self.layer(*arguments, **options))
        raise _Reached


def _inner(backbone: nn.Module, layer: str, image: Tensor, whole: bool) -> Any:
    reached: list[Any] = []
    with _hooked(backbone, layer, reached) if whole else _replaced(backbone, layer, reached):
        backbone(image)
    if not reached:
        raise ValueError(f"level: expected a layer that runs, got {layer!r}; name another")
    return reached[0]


@contextmanager
def _hooked(backbone: nn.Module, layer: str, reached: list[Any]) -> Iterator[None]:
    def listen(_module: nn.Module, _inputs: Any, output: Any) -> None:
        reached.append(output)

    handle = backbone.get_submodule(layer).register_forward_hook(listen)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def _replaced(backbone: nn.Module, layer: str, reached: list[Any]) -> Iterator[None]:
    parent, _, name = layer.rpartition(".")
    modules, inner = backbone.get_submodule(parent)._modules, backbone.get_submodule(layer)
    modules[name] = _Listener(inner, reached)
    try:
        with suppress(_Reached):
            yield
    finally:
        modules[name] = inner


def _has_layer(backbone: nn.Module, name: str) -> bool:
    return name in (known for known, _ in backbone.named_modules() if known)


def _key(backbone: nn.Module, output: Any, name: str) -> int:
    """The place of the dictionary's key ``name``."""
    keys = [str(key) for key in output] if isinstance(output, Mapping) else []
    if name in keys:
        return keys.index(name)
    top = ", ".join(child for child, _ in backbone.named_children()) or "none"
    among = f", or one of its features ({', '.join(keys)})" if keys else ""
    known = [*keys, *(layer for layer, _ in backbone.named_modules() if layer)]
    raise ValueError(
        f"level: expected the name of a layer of the backbone ({top}, or inside one){among}, "
        f"got {name!r}{did_you_mean(name, known)}"
    )


def _check_type(features: Tensor) -> None:
    wanted = torch.get_default_dtype()
    if features.dtype != wanted:
        raise ValueError(
            f"backbone: expected features of {wanted}, as the head's weights, got "
            f"{features.dtype}; convert the backbone with .to({wanted})"
        )


def _check_batch(tap: Tap, backbone: nn.Module, image: Tensor, shape: tuple[int, ...]) -> None:
    """Two images must give the features of two."""
    got = list(_ask(tap, backbone, torch.cat([image, image])).shape)
    if got != [2, *shape]:
        raise ValueError(
            f"backbone: expected features {[2, *shape]} of two images, as of one, got {got}; "
            "keep the batch as their first axis"
        )


@contextmanager
def undisturbed(network: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradient; each module's own mode comes back."""
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, mode in modes:
            module.training = mode


def _example(backbone: nn.Module, in_channels: int, input_size: Sequence[int]) -> Tensor:
    shape = (1, in_channels, *input_size)
    values = torch.linspace(-1, 1, math.prod(shape)).reshape(shape)
    like = next((p for p in backbone.parameters() if p.is_floating_point()), values)
    return values.to(like.device, like.dtype)


def _ask(tap: Tap, backbone: nn.Module, image: Tensor) -> Any:
    try:
        return tap(backbone, image)
    except ValueError as error:
        if str(error).startswith("level: "):
            raise
        raise _refused(image, error) from error
    except Exception as error:  # whatever a foreign module raises, the image's shape belongs to it
        raise _refused(image, error) from error


def _refused(image: Tensor, error: Exception) -> ValueError:
    reason = (str(error).splitlines() or [""])[0]
    return ValueError(
        f"backbone: expected one that takes an image {list(image.shape)}, "
        f"got {type(error).__name__}: {reason}; give another input_size or backbone"
    )


def _cut_chain(backbone: nn.Module, layer: str) -> tuple[str, ...] | None:
    """Remove what runs after ``layer``; None where no chain of ``nn.Sequential`` leads to it."""
    parents, module, path = [], backbone, layer.split(".")
    for part in path:
        if type(module).forward is not nn.Sequential.forward:
            return None
        parents.append(module)
        module = module.get_submodule(part)
    dropped = []
    for depth, (parent, part) in enumerate(zip(parents, path, strict=True)):
        names = list(parent._modules)
        for name in names[names.index(part) + 1 :]:
            delattr(parent, name)
            dropped.append(".".join([*path[:depth], name]))
    return tuple(dropped)


def _advice(backbone: nn.Module, image: Tensor, output: Any, wanted: Wanted) -> str:
    """The levels that could be used instead, with their shapes."""
    found: dict[str, Tensor] = {}
    if isinstance(output, (list, tuple, Mapping)):
        with suppress(ValueError):
            found = {str(k): f for k, f in enumerate(as_levels(output)) if wanted.fits(f)}
    found = found or _inner_levels(backbone, image, wanted)
    found = dict(list(found.items())[:LISTED])
    if not found:
        return "; give a larger input_size or another backbone"
    listed = ", ".join(f"{name} {list(features.shape[1:])}" for name, features in found.items())
    return f"; set level to one of: {listed}"


def _inner_levels(backbone: nn.Module, image: Tensor, wanted: Wanted) -> dict[str, Tensor]:
    """Of the layers that give usable features, the last of each size; deepest sizes first.

    Layers without parameters, such as padding and activations, are left out.
    """
    best: dict[tuple[int, ...], tuple[int, str, Tensor]] = {}

    def listen(name: str) -> Any:
        def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
            if isinstance(output, Tensor) and wanted.fits(output):
                size, depth = tuple(output.shape[2:]), name.count(".")
                if size not in best or depth <= best[size][0]:
                    best[size] = (depth, name, output)

        return hook

    learned = [
        (n, m) for n, m in backbone.named_modules() if n and any(True for _ in m.parameters())
    ]
    handles = [module.register_forward_hook(listen(name)) for name, module in learned]
    try:
        backbone(image)
    finally:
        for handle in handles:
            handle.remove()
    return {name: features for _, name, features in reversed(best.values())}

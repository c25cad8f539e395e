"""Features of somebody else's network: which output or inner layer, found by asking it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from capsmed.errors import did_you_mean
from capsmed.networks.blocks.unused import drop_unused
from capsmed.networks.layers.votes import exporting

#: Which features to take: what comes out, one of a list of outputs, or an inner layer's output.
Level = int | str | None


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

        An inner layer is listened to by a forward hook, and what comes after it does not run,
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
            channels]``, a list of these, or a pair of one and such a list (last in the order).
            It is changed, as said.
        in_channels: channels of the image.
        input_size: spatial size of the image.
        level: an index into the list; or the dotted name of an inner layer; None for what comes
            out, of a list the last one that is large enough.
        least: smallest usable map; None for one location.
        locations: how many locations a map must have to be taken where ``level`` is None.

    Raises:
        ValueError: no such level, or features that cannot be used, with the shapes of those
            that can; or the backbone refuses the image.
    """
    wanted = Wanted(len(input_size), tuple(least or [1] * len(input_size)), locations)
    layer = level if isinstance(level, str) else None
    if layer is not None:
        _check_layer(backbone, layer)
    with _undisturbed(backbone):
        image = _example(backbone, in_channels, input_size)
        output = _ask(Tap(layer), backbone, image)
        try:
            index = wanted.choose(as_levels(output), level)
        except ValueError as error:
            raise ValueError(f"{error}{_advice(backbone, image, output, wanted)}") from None
        tap = Tap(layer, None if isinstance(output, Tensor) else index)
        shape = tuple(as_levels(output)[index].shape[1:])
        if layer is not None and (cut := _cut_chain(backbone, layer)) is not None:
            tap, dropped = Tap(None, tap.index), cut
        else:
            dropped = drop_unused(backbone, tap, image)
    return Attachment(tap, shape, dropped)


@dataclass(frozen=True)
class Wanted:
    """What a head can use.

    Attributes:
        spatial_dims: of the image.
        least: smallest usable map.
        locations: how many locations a map must have to be taken unasked.
    """

    spatial_dims: int
    least: tuple[int, ...]
    locations: int

    def fits(self, features: Tensor, unasked: bool = True) -> bool:
        """Whether ``features`` are a large enough map, or tokens."""
        tokens = features.ndim == 3
        if not tokens and features.ndim != self.spatial_dims + 2:
            return False
        size = features.shape[1:2] if tokens else features.shape[2:]
        enough = math.prod(size) >= (self.locations if unasked else 1)
        return enough and all(n >= m for n, m in zip(size, self.least, strict=False))

    def choose(self, levels: list[Tensor], level: Level) -> int:
        """The index of the features to take.

        Raises:
            ValueError: none can be taken.
        """
        if isinstance(level, int):
            count = len(levels)
            if not -count <= level < count:
                raise ValueError(f"level: expected {-count} to {count - 1}, got {level}")
            candidates = [level % count]
        else:
            candidates = list(range(len(levels)))
        usable = [k for k in candidates if self.fits(levels[k], unasked=level is None)]
        if not usable:
            got = ", ".join(dict.fromkeys(str(list(levels[k].shape)) for k in candidates))
            raise ValueError(f"backbone: expected {self.words(level)}, got {got}")
        return usable[-1]

    def words(self, level: Level) -> str:
        """What is wanted, in words."""
        size = "x".join(map(str, self.least))
        several = f" of at least {self.locations} locations" if level is None else ""
        return (
            f"a feature map [batch, channels, {size} or more]{several}, "
            "or tokens [batch, tokens, channels]"
        )


def as_levels(output: Any) -> list[Tensor]:
    """A backbone's output as a list of features, the deepest last.

    Raises:
        ValueError: it is no tensor, list of tensors, or pair of a tensor and such a list.
    """
    if isinstance(output, Tensor):
        return [output]
    if isinstance(output, (list, tuple)):
        if len(output) == 2 and isinstance(output[1], (list, tuple)):
            output = [*output[1], output[0]]
        if output and all(isinstance(part, Tensor) for part in output):
            return list(output)
    raise ValueError(
        f"backbone: expected a tensor or a list of tensors, got a {type(output).__name__}"
    )


def _inner(backbone: nn.Module, layer: str, image: Tensor, whole: bool) -> Any:
    reached: list[Any] = []

    def listen(_module: nn.Module, _inputs: Any, output: Any) -> None:
        reached.append(output)
        if not whole:
            raise _Reached

    handle = backbone.get_submodule(layer).register_forward_hook(listen)
    try:
        backbone(image)
    except _Reached:
        pass
    finally:
        handle.remove()
    if not reached:
        raise ValueError(f"level: expected a layer that runs, got {layer!r}; name another")
    return reached[0]


def _check_layer(backbone: nn.Module, layer: str) -> None:
    known = [name for name, _ in backbone.named_modules() if name]
    if layer not in known:
        top = ", ".join(name for name, _ in backbone.named_children()) or "none"
        raise ValueError(
            f"level: expected the name of a layer of the backbone ({top}, or inside one), "
            f"got {layer!r}{did_you_mean(layer, known)}"
        )


@contextmanager
def _undisturbed(backbone: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradient; each module's own mode comes back."""
    modes = [(module, module.training) for module in backbone.modules()]
    backbone.eval()
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
    if isinstance(output, (list, tuple)):
        with suppress(ValueError):
            found = {str(k): f for k, f in enumerate(as_levels(output)) if wanted.fits(f)}
    found = found or _inner_levels(backbone, image, wanted)
    if not found:
        return "; give a larger input_size or another backbone"
    listed = ", ".join(f"{name} {list(features.shape[1:])}" for name, features in found.items())
    return f"; set level to one of: {listed}"


def _inner_levels(backbone: nn.Module, image: Tensor, wanted: Wanted) -> dict[str, Tensor]:
    """Of the layers that give usable features, the last of each size, outer ones first."""
    best: dict[tuple[int, ...], tuple[int, str, Tensor]] = {}

    def listen(name: str) -> Any:
        def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
            if isinstance(output, Tensor) and wanted.fits(output):
                size, depth = tuple(output.shape[2:]), name.count(".")
                if size not in best or depth <= best[size][0]:
                    best[size] = (depth, name, output)

        return hook

    handles = [m.register_forward_hook(listen(n)) for n, m in backbone.named_modules() if n]
    try:
        backbone(image)
    finally:
        for handle in handles:
            handle.remove()
    return {name: features for _, name, features in best.values()}

"""What a backbone gives, as a list of features, and which of them a head can use."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

#: Which features to take: what comes out, one of several outputs, or an inner layer's output.
Level = int | str | None


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
        ValueError: it is no tensor, list or dictionary of tensors, or pair of a tensor and a list.
    """
    if isinstance(output, Tensor):
        return [output]
    kind = type(output).__name__
    if isinstance(output, Mapping):
        output = list(output.values())
    if isinstance(output, (list, tuple)):
        if len(output) == 2 and isinstance(output[1], (list, tuple)):
            output = [*output[1], output[0]]
        if output and all(isinstance(part, Tensor) for part in output):
            return list(output)
    raise ValueError(f"backbone: expected a tensor, or a list or dict of tensors, got a {kind}")

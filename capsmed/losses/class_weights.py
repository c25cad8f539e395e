"""How much each class counts in a loss."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

Weights = Sequence[float] | Literal["balanced"] | None


class ClassWeights(nn.Module):
    """One weight a class: given, or from how often the classes are there.

    Weights multiply; they are never divided by their sum in a batch, so a sample's loss does not
    depend on its neighbours and ``reduction="mean"`` is the mean of ``"none"``.

    Args:
        weights: one number of 0 or more a class, not all 0; or ``"balanced"``: number of cases /
            (number of classes x cases of the class), once `count` has told the cases; their mean
            over the cases is one. None weighs nothing.

    Raises:
        ValueError: a weight is negative or not finite, or all are zero.

    >>> weights = ClassWeights("balanced")
    >>> weights.count([30, 10])
    >>> weights(2)
    tensor([0.6667, 2.0000])
    """

    values: Tensor | None

    def __init__(self, weights: Weights = None) -> None:
        super().__init__()
        self.balanced = weights == "balanced"
        given = None if weights is None or self.balanced else torch.tensor(_checked(weights))
        self.register_buffer("values", given, persistent=False)

    def count(self, cases: Sequence[int]) -> None:
        """Take in how many cases each class has where the loss is to be trained.

        Raises:
            ValueError: given weights are of another number of classes, or a class has no case to
                balance.
        """
        if self.balanced:
            if min(cases) < 1:
                raise ValueError(
                    "class_weights: expected cases of every class to balance, "
                    f"got {list(cases)}; give numbers instead"
                )
            shares = [sum(cases) / (len(cases) * number) for number in cases]
            self.values = torch.tensor(shares, device=self._device())
        self(len(cases))

    def forward(self, classes: int) -> Tensor | None:
        """The weights ``[classes]``, or None where nothing is weighed.

        Raises:
            ValueError: there are weights of another number of classes, or none yet to balance.
        """
        if self.values is None and self.balanced:
            raise ValueError(
                "class_weights: expected the number of cases of each class for 'balanced', "
                "got none; call count_classes(loss, cases) first"
            )
        if self.values is not None and len(self.values) != classes:
            raise ValueError(
                f"class_weights: expected {classes} numbers, one a class, got {len(self.values)}"
            )
        return self.values

    def _device(self) -> torch.device | None:
        return None if self.values is None else self.values.device

    def extra_repr(self) -> str:
        """The weights, for ``print(loss)``."""
        return "None" if self.values is None else str(self.values.tolist())


def count_classes(loss: nn.Module, cases: Sequence[int]) -> None:
    """Tell every `ClassWeights` in ``loss`` how many cases each class has in the training part.

    Raises:
        ValueError: as `ClassWeights.count`.
    """
    for module in loss.modules():
        if isinstance(module, ClassWeights):
            module.count(cases)


def of_each_class(true: Tensor, weights: Tensor) -> Tensor:
    """Weights ``[batch, classes]`` of the terms of a sum over classes.

    A true class has its own weight; every other class has the mean weight of the sample's true
    classes, one where it has none. So a sample of one class weighs as its class does.

    Args:
        true: multi-hot rows ``[batch, classes]``.
        weights: ``[classes]``.
    """
    own = true * weights
    number = true.sum(1, keepdim=True)
    others = torch.where(number > 0, own.sum(1, keepdim=True) / number.clamp_min(1), 1.0)
    return torch.where(true > 0, weights, others)


def _checked(weights: Sequence[float] | str) -> list[float]:
    if isinstance(weights, str):
        raise ValueError(f"class_weights: expected numbers or 'balanced', got {weights!r}")
    numbers = [float(weight) for weight in weights]
    wrong = [number for number in numbers if not (math.isfinite(number) and number >= 0)]
    if wrong:
        raise ValueError(f"class_weights: expected numbers of 0 or more, got {wrong[0]}")
    if not any(numbers):
        raise ValueError(f"class_weights: expected one above 0 at least, got {numbers}")
    return numbers

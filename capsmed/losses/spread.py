"""The spread loss of capsule activations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from capsmed.losses.class_weights import ClassWeights, Weights
from capsmed.losses.reduction import REDUCTIONS, check_choice, reduce
from capsmed.losses.targets import multi_hot, scores_of


class SpreadLoss(nn.Module):
    r"""The true class is to be more active than every other one, by a margin that grows.

    .. math:: L = \sum_{i \ne t} \max(0, m - (a_t - a_i))^2

    Hinton, Sabour & Frosst 2018 (Matrix capsules with EM routing), equation 3; the margin m grows
    linearly from 0.2 to 0.9 over the training, so that no class dies early. In training mode m
    follows `progress`, which somebody has to set: ``capsmed train`` does, elsewhere the handler
    ``LossProgress``. In evaluation mode m is ``end``, so that losses of different epochs compare.

    Args:
        reduction: ``mean`` or ``sum`` over the batch, or ``none`` for one value a sample.
        start: margin at progress 0.
        end: margin at progress 1.
        class_weights: see `ClassWeights`; a sample weighs as its true class.

    Attributes:
        progress: share of the training that is done, 0 to 1.

    Raises:
        ValueError: not ``0 < start <= end <= 1``, or a wrong weight.

    >>> import torch
    >>> loss = SpreadLoss()
    >>> loss.set_progress(0.5)  # the margin is now 0.55
    >>> round(loss(torch.tensor([[0.8, 0.3]]), torch.tensor([0])).item(), 6)
    0.0025
    """

    score_kinds = frozenset({"lengths"})  # of networks whose scores it can judge

    def __init__(
        self,
        reduction: Literal["mean", "sum", "none"] = "mean",
        start: float = 0.2,
        end: float = 0.9,
        class_weights: Weights = None,
    ) -> None:
        super().__init__()
        self.reduction = check_choice("reduction", reduction, REDUCTIONS)
        if not 0 < start <= end <= 1:
            raise ValueError(f"start, end: expected 0 < start <= end <= 1, got {start} and {end}")
        self.start, self.end = start, end
        self.progress = 0.0
        self.class_weights = ClassWeights(class_weights)

    def set_progress(self, fraction: float) -> None:
        """Say what share of the training is done, 0 to 1.

        Raises:
            ValueError: it is outside.
        """
        if not 0 <= fraction <= 1:
            raise ValueError(f"progress: expected 0 to 1, got {fraction}")
        self.progress = float(fraction)

    @property
    def margin(self) -> float:
        """The margin m that the next call uses."""
        return self.start + (self.end - self.start) * (self.progress if self.training else 1.0)

    def forward(self, output: Tensor | Mapping[str, Tensor], target: Tensor) -> Tensor:
        """Loss of capsule activations.

        Args:
            output: activations, 0 to 1, ``[batch, classes]``, or a mapping with them as
                ``scores``.
            target: class indices ``[batch]`` or ``[batch, 1]``, or rows ``[batch, classes]``; of
                several true classes in a row each is set against all false ones.

        Raises:
            ValueError: the target's shape or classes, or the number of weights, do not fit.
        """
        active = scores_of(output)
        classes = active.shape[1]
        true = multi_hot(target, classes).to(active.dtype)
        weights = self.class_weights(classes)
        counted = true if weights is None else true * weights
        lead = active.unsqueeze(2) - active.unsqueeze(1)
        violation = (self.margin - lead).clamp_min(0).square()
        per_sample = torch.einsum("bt,bti,bi->b", counted, violation, 1 - true)
        return reduce(per_sample, self.reduction)

    def extra_repr(self) -> str:
        """The settings, for ``print(loss)``."""
        return f"start={self.start}, end={self.end}, progress={self.progress:g}"

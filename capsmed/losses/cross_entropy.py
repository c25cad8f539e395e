"""Cross-entropy for networks whose scores are logits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

from capsmed.losses.reduction import REDUCTIONS, check_choice
from capsmed.losses.targets import scores_of


class ScoresCrossEntropy(nn.Module):
    """Softmax cross-entropy of the ``scores`` that `TrainingWrapper` gave, or of bare scores.

    Args:
        label_smoothing: share of each target spread over all classes.
        reduction: ``mean`` or ``sum`` over the batch, or ``none`` for one value a sample.
    """

    score_kinds = frozenset({"logits"})  # of networks whose scores it can judge

    def __init__(
        self,
        label_smoothing: float = 0.0,
        reduction: Literal["mean", "sum", "none"] = "mean",
    ) -> None:
        super().__init__()
        self.label_smoothing = label_smoothing
        self.reduction = check_choice("reduction", reduction, REDUCTIONS)

    def forward(self, output: Tensor | Mapping[str, Tensor], target: Tensor) -> Tensor:
        """Loss of ``output``, whose scores are logits ``[batch, classes]``.

        Args:
            output: a mapping with ``scores``, or the scores alone.
            target: class indices ``[batch]`` or ``[batch, 1]``, or probabilities
                ``[batch, classes]``.
        """
        scores = scores_of(output)
        rows = target.ndim == 2 and target.shape[1] == scores.shape[1]
        target = target.to(scores.dtype) if rows else target.reshape(-1).long()
        return F.cross_entropy(
            scores, target, reduction=self.reduction, label_smoothing=self.label_smoothing
        )

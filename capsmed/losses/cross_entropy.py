"""Cross-entropy for networks whose scores are logits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

from capsmed.losses.class_weights import ClassWeights, Weights
from capsmed.losses.reduction import REDUCTIONS, check_choice, reduce
from capsmed.losses.targets import scores_of


class ScoresCrossEntropy(nn.Module):
    """Softmax cross-entropy of the ``scores`` that `TrainingWrapper` gave, or of bare scores.

    Args:
        label_smoothing: share of each target spread over all classes.
        reduction: ``mean`` or ``sum`` over the batch, or ``none`` for one value a sample.
        class_weights: see `ClassWeights`. A class's share of the target weighs as in PyTorch's own
            cross-entropy, but ``mean`` divides by the number of samples, not by their weights.

    Raises:
        ValueError: ``reduction`` is another word, or a weight is wrong.
    """

    score_kinds = frozenset({"logits"})  # of networks whose scores it can judge

    def __init__(
        self,
        label_smoothing: float = 0.0,
        reduction: Literal["mean", "sum", "none"] = "mean",
        class_weights: Weights = None,
    ) -> None:
        super().__init__()
        self.label_smoothing = label_smoothing
        self.reduction = check_choice("reduction", reduction, REDUCTIONS)
        self.class_weights = ClassWeights(class_weights)

    def forward(self, output: Tensor | Mapping[str, Tensor], target: Tensor) -> Tensor:
        """Loss of ``output``, whose scores are logits ``[batch, classes]``.

        Args:
            output: a mapping with ``scores``, or the scores alone.
            target: class indices ``[batch]`` or ``[batch, 1]``, or probabilities
                ``[batch, classes]``.

        Raises:
            ValueError: the number of weights does not fit.
        """
        scores = scores_of(output)
        rows = target.ndim == 2 and target.shape[1] == scores.shape[1]
        target = target.to(scores.dtype) if rows else target.reshape(-1).long()
        weights = self.class_weights(scores.shape[1])
        per_sample = F.cross_entropy(
            scores,
            target,
            weight=None if weights is None else weights.to(scores.dtype),
            reduction="none",
            label_smoothing=self.label_smoothing,
        )
        return reduce(per_sample, self.reduction)

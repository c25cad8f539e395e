"""Point values: what a table of class probabilities scores, without any interval."""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata


def auc(positive: np.ndarray, score: np.ndarray) -> float:
    """Area under the ROC curve: the chance that a positive outranks a negative, ties half.

    Args:
        positive: [n] true where the case is of the positive class.
        score: [n] higher means more positive.

    Returns:
        A number in [0, 1]; NaN when one of the two classes is absent.

    >>> auc(np.array([True, True, False]), np.array([0.9, 0.4, 0.4]))
    0.75
    """
    return float(np.mean(placements(positive, score)[positive])) if _both(positive) else np.nan


def placements(positive: np.ndarray, score: np.ndarray) -> np.ndarray:
    """Share of the *other* class that each case is ranked rightly against, ties half.

    The mean over positives and the mean over negatives are both the AUC (DeLong et al. 1988).

    Args:
        positive: [n] true where the case is of the positive class.
        score: [n], or [n, scores] for several at once.

    Returns:
        Shaped as ``score``.
    """
    positive = np.asarray(positive, bool)
    score = np.asarray(score, float)
    below = rankdata(score, axis=0)
    own = np.empty(score.shape)
    own[positive] = rankdata(score[positive], axis=0)
    own[~positive] = rankdata(score[~positive], axis=0)
    share = below - own
    share[positive] /= max((~positive).sum(), 1)
    share[~positive] = 1 - share[~positive] / max(positive.sum(), 1)
    return share


def macro_auc(target: np.ndarray, probabilities: np.ndarray) -> float:
    """Mean over classes of the one-vs-rest AUC; classes without cases are left out.

    Args:
        target: [n] class indices.
        probabilities: [n, classes].
    """
    areas = [auc(target == k, probabilities[:, k]) for k in range(probabilities.shape[1])]
    return float(np.nanmean(areas)) if np.isfinite(areas).any() else np.nan


def decide(
    probabilities: np.ndarray, positive: int, threshold: np.ndarray | float | None = None
) -> np.ndarray:
    """Predicted class of each case; [n].

    Two classes: the positive one where its probability reaches the threshold (default 0.5).
    More: the most probable class, whatever the threshold.

    Args:
        probabilities: [n, classes].
        positive: index of the positive class.
        threshold: one number, or [n] with NaN where none was chosen.
    """
    if probabilities.shape[1] > 2:
        return probabilities.argmax(axis=1)
    limit = np.asarray(0.5 if threshold is None else threshold, float)
    chosen = probabilities[:, positive] >= np.where(np.isnan(limit), 0.5, limit)
    return np.where(chosen, positive, 1 - positive)


def accuracy(target: np.ndarray, predicted: np.ndarray) -> float:
    """Share of cases predicted rightly; NaN without cases."""
    return float(np.mean(target == predicted)) if len(target) else np.nan


def recall(target: np.ndarray, predicted: np.ndarray, label: int) -> float:
    """Share of the cases of class ``label`` predicted as such; NaN without such cases."""
    return accuracy(target[target == label], predicted[target == label])


def balanced_accuracy(target: np.ndarray, predicted: np.ndarray) -> float:
    """Mean of the recalls of the classes that occur."""
    return float(np.mean([recall(target, predicted, k) for k in np.unique(target)]))


def sensitivity(target: np.ndarray, predicted: np.ndarray, positive: int) -> float:
    """Share of positive cases called positive."""
    return recall(target, predicted, positive)


def specificity(target: np.ndarray, predicted: np.ndarray, positive: int) -> float:
    """Share of negative cases called negative."""
    negative = target != positive
    return accuracy(target[negative] == positive, predicted[negative] == positive)


def _both(positive: np.ndarray) -> bool:
    return bool(np.any(positive)) and not bool(np.all(positive))

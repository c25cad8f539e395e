"""When a capsule is dead: the one definition that training and inspection share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

#: How far a live capsule rises above what it answers to no input: the margin loss takes a class
#: whose capsule stays below it for absent (Sabour et al. 2017, equation 4, m-).
DEAD_MARGIN = 0.1

#: A capsule that exceeds this, and the margin, is on, whatever it answers to no input.
ON = 0.5


def dead(
    largest: Sequence[float] | np.ndarray, silent: Sequence[float] | np.ndarray | float = 0.0
) -> np.ndarray:
    """Which capsules never rise by `DEAD_MARGIN` above what they answer to no input.

    A length is 0 without input. A capsule of EM or variational Bayes routing is not: it starts at
    0.12, and may learn to be on without input and off for cases of other classes, so an answer
    above `ON` counts as `ON`.

    Args:
        largest: [capsules] largest activation or length over all cases.
        silent: [capsules] or one number, what they answer to no input.

    Returns:
        [capsules] of bool.

    >>> dead([0.09, 0.15, 0.9], [0.0, 0.12, 0.95]).tolist()
    [True, True, False]
    """
    return np.asarray(largest) < np.minimum(silent, ON) + DEAD_MARGIN

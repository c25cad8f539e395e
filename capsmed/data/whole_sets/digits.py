"""The 1,797 handwritten digits, 8x8 pixels of 0 to 16, that scikit-learn ships (UCI, CC BY 4.0)."""

from __future__ import annotations

import numpy as np

from capsmed.data.whole_sets.whole_set import WholeSet, names


def read() -> WholeSet:
    """The 1,797 handwritten digits of scikit-learn, 8x8 pixels; there is no official split."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    labels = [str(label) for label in digits.target]
    images = digits.images.astype(np.uint8)
    return WholeSet(images, labels, [], names("digit", len(labels)), (0.0, 16.0))

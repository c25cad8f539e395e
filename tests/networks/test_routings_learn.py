"""A small network with each routing learns scikit-learn's digits within seconds."""

import pytest
import torch
from sklearn.datasets import load_digits

from capsmed.losses import MarginLoss
from capsmed.networks import CapsNet

SMALL = {"channels": (32,), "kernel_sizes": 3, "primary_capsules": 8, "primary_kernel": 3}


@pytest.fixture(scope="module")
def digits():
    images, labels = load_digits(return_X_y=True)
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
    pictures = torch.tensor(images, dtype=torch.float32).view(-1, 1, 8, 8)[order] / 16
    return pictures, torch.tensor(labels)[order]


@pytest.mark.parametrize(
    ("routing", "norm"),
    [
        ("consistent", None),
        ("em", None),
        ("em", "batch"),  # longer primary capsules: with a min_variance of 0.001 it stalls
        ("self_attention", None),
        ("self_routing", "batch"),
        ("inverted_attention", None),
        ("variational_bayes", None),
    ],
)
def test_nine_of_ten_unseen_digits_are_right_after_eight_epochs(digits, routing, norm):
    options = {"class_dim": 8, "decoder": None, "routing": routing, "primary_norm": norm}
    network = CapsNet(2, 1, 10, (8, 8), **SMALL, **options)
    optimizer = torch.optim.Adam(network.parameters(), 3e-3)
    (images, unseen), (labels, answers) = (x.split([1200, 597]) for x in digits)
    for _ in range(8):
        for batch in torch.randperm(1200).split(64):
            optimizer.zero_grad()
            MarginLoss()(network(images[batch]), labels[batch]).backward()
            optimizer.step()
    with torch.no_grad():
        right = network.eval()(unseen).argmax(1) == answers
    assert right.float().mean() > 0.9

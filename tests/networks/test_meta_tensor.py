"""MONAI's engines hand over images with metadata; networks give the same for them."""

import pytest
import torch
from monai.data import MetaTensor

from capsmed.networks import CapsNet, CapsuleClassifier
from capsmed.networks.routing import Routing

SMALL = {"channels": (4,), "kernel_sizes": (3,), "primary_capsules": 2, "primary_dim": 4}
SMALL |= {"primary_kernel": 3, "class_dim": 4, "decoder": None}


def networks():
    for name in sorted(known.lower() for known in Routing.names):
        yield pytest.param(lambda n=name: CapsNet(2, 1, 3, (12, 12), routing=n, **SMALL), id=name)
    backbone = torch.nn.Conv2d(1, 5, 3, 2)
    yield pytest.param(lambda: CapsuleClassifier(2, 1, 3, (12, 12), backbone), id="classifier")


@pytest.mark.parametrize("build", list(networks()))
def test_an_image_with_metadata_trains_a_network_like_a_plain_one(build):
    network, image = build(), torch.rand(2, 1, 12, 12)
    scores = [network(given).as_subclass(torch.Tensor) for given in (image, MetaTensor(image))]
    assert torch.equal(scores[0], scores[1])
    sum(part.sum() for part in network.capsules(MetaTensor(image))).backward()
    assert all(parameter.grad is not None for parameter in network.parameters())

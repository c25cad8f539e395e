"""MONAI's engines hand over images with metadata; networks give the same for them."""

import pytest
import torch
from monai.data import MetaTensor

from capsmed.networks import BackboneClassifier, CapsNet
from capsmed.networks.routing import Routing
from tests.networks.test_network_contract import CASES

SMALL = {"channels": (4,), "kernel_sizes": (3,), "primary_capsules": 2, "primary_dim": 4}
SMALL |= {"primary_kernel": 3, "class_dim": 4, "decoder": None}


def check(network, image):
    network.eval()
    scores = [network(given).as_subclass(torch.Tensor) for given in (image, MetaTensor(image))]
    assert torch.equal(scores[0], scores[1])
    results = getattr(network.train(), "capsules", lambda image: [network(image)])
    sum(part.square().sum() for part in results(MetaTensor(image))).backward()
    trained = [p for name, p in network.named_parameters() if not name.startswith("decoder.")]
    assert all(p.grad is not None for p in trained if p.requires_grad)


@pytest.mark.parametrize("routing", sorted(known.lower() for known in Routing.names))
def test_an_image_with_metadata_is_routed_like_a_plain_one(routing):
    check(CapsNet(2, 1, 3, (12, 12), routing=routing, **SMALL), torch.rand(2, 1, 12, 12))


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.name}-{case.kind}")
def test_an_image_with_metadata_trains_every_network_like_a_plain_one(case):
    check(case.network(), case.images(4))


def test_features_of_an_image_with_metadata_are_plain():
    network = BackboneClassifier(2, 1, 3, (12, 12), torch.nn.Conv2d(1, 5, 3, 2))
    assert type(network.features(MetaTensor(torch.rand(2, 1, 12, 12)))) is torch.Tensor

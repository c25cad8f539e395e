"""Every registered network under the contract that plugins' networks are held to."""

import pytest
from torch import nn

from capsmed.networks import NETWORKS
from capsmed.plugins.contracts import network as contract
from capsmed.plugins.contracts.network import Case

ENCODER = {"channels": [4, 6], "kernel_sizes": [5, 3], "strides": [2, 1]}
CAPSULES = {"primary_capsules": 2, "primary_dim": 4, "primary_kernel": 3, "class_dim": 5}
BACKBONE = {"backbone": ["segresnet", {"blocks_down": [1, 1, 1], "norm": "instance"}]}

#: Options of a small network, where the defaults take long; a network may have several.
SMALL = {
    "capsnet": [
        {**ENCODER, **CAPSULES, "decoder_widths": [8]},
        {**ENCODER, **CAPSULES, "norm": "batch", "decoder": None, "routing": "uniform"},
    ],
    "conv_net": [{**ENCODER, "norm": "batch", "dropout": 0.2}],
    "baseline_cnn": [{"channels": [4, 4, 2], "hidden": [7, 5]}],
    "capsule_classifier": [
        BACKBONE,
        {**BACKBONE, "decoder": "conv", "level": 1, "spatial_dims": 2},
    ],
    "backbone_classifier": [{**BACKBONE, "dropout": 0.2, "spatial_dims": 2}],
}
CASES = [
    case
    for name in sorted(NETWORKS)
    for options in SMALL.get(name, [None])
    for case in contract.cases(name, options)
]


class Classless(nn.Module):
    """A network that does not look at its number of classes."""

    def __init__(self, spatial_dims, in_channels, num_classes, input_size):
        super().__init__()


def test_a_network_without_classes_breaks_the_contract(monkeypatch) -> None:
    monkeypatch.setitem(NETWORKS, "classless", Classless)
    with pytest.raises(AssertionError, match="num_classes=0: expected a ValueError"):
        contract.refuses_to_have_no_classes(Case("classless", 2))


@pytest.mark.parametrize("check", contract.CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.name}-{case.kind}")
def test_network_contract(check, case: Case) -> None:
    check(case)

"""Which convolutions may be replaced, and what replacing them leaves alone."""

import pytest
import torch
from torch import nn

from capsmed.networks import tuning
from capsmed.networks.layers.spectral_conv import SpectralConv2d
from capsmed.networks.nets import NETWORKS
from capsmed.networks.tuning import candidates, tune_convolutions, use_convolutions


@pytest.fixture
def network():
    return NETWORKS["capsnet"](
        2,
        1,
        3,
        (17, 17),
        channels=(4, 6),
        kernel_sizes=(3, 5),
        primary_capsules=2,
        primary_kernel=7,
    )


@pytest.fixture
def image():
    return torch.rand(2, 1, 17, 17)


def test_candidates_have_kernels_of_five_and_more(network, image):
    met = candidates(network, image)
    assert {name: tuple(each.shape) for name, each in met.items()} == {
        "encoder.stages.1.0": (2, 4, 15, 15),
        "primary.conv": (2, 6, 11, 11),
    }


def test_only_what_learns_is_timed_and_only_the_gradients_it_needs(network, image):
    network.encoder.requires_grad_(False)
    met = candidates(network, image)
    assert list(met) == ["primary.conv"]
    assert not met["primary.conv"].requires_grad
    network.primary.requires_grad_(False)
    assert candidates(network, image) == {}
    network.encoder.requires_grad_(True)
    assert candidates(network, image)["primary.conv"].requires_grad
    assert set(tune_convolutions(network, image)) == {"encoder.stages.1.0", "primary.conv"}


def test_a_hooked_convolution_is_no_candidate(network, image):
    network.primary.conv.register_forward_hook(lambda *call: None)
    assert list(candidates(network, image)) == ["encoder.stages.1.0"]


def test_a_transform_that_is_too_large_is_no_candidate():
    assert candidates(nn.Sequential(nn.Conv2d(1, 2, 5)), torch.rand(1, 1, 64, 64)) == {}


def test_looking_for_candidates_leaves_modes_and_statistics_alone():
    network = nn.Sequential(nn.BatchNorm2d(1), nn.Dropout(0.5), nn.Conv2d(1, 2, 5))
    network[1].eval()
    before = [each.clone() for each in network.state_dict().values()]
    candidates(network, torch.rand(2, 1, 9, 9))
    torch.testing.assert_close(list(network.state_dict().values()), before)
    assert [module.training for module in network] == [True, False, True]
    assert not network[2]._forward_pre_hooks


@pytest.mark.parametrize(("pays", "way"), [(0.0, "spectral"), (1e9, "direct")])
def test_the_way_is_chosen_by_how_much_faster_it_is(network, image, monkeypatch, pays, way):
    monkeypatch.setattr(tuning, "PAYS", pays)
    names, before = list(network.state_dict()), network(image)
    choice = tune_convolutions(network, image)
    assert set(choice.values()) == {way}
    assert isinstance(network.primary.conv, SpectralConv2d) is (way == "spectral")
    assert list(network.state_dict()) == names
    torch.testing.assert_close(network(image), before, rtol=1e-4, atol=1e-6)


def test_a_recorded_choice_is_applied_and_undone_without_measuring(network, monkeypatch):
    monkeypatch.setattr(tuning, "measure", None)
    use_convolutions(network, {"primary.conv": "spectral"})
    assert isinstance(network.primary.conv, SpectralConv2d)
    use_convolutions(network, {"primary.conv": "direct"})
    assert type(network.primary.conv) is nn.Conv2d


def test_measuring_in_bfloat16_runs_under_autocast():
    conv = nn.Conv2d(2, 3, 5)
    seen = []
    conv.register_forward_hook(lambda *call: seen.append(call[2].dtype))
    tuning.measure({"direct": conv}, torch.rand(2, 2, 9, 9), "bfloat16")
    assert set(seen) == {torch.bfloat16}


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"primary.norm": "direct"}, "expected names of convolutions, got 'primary.norm'"),
        ({"primary.conv": "fast"}, "expected 'spectral' or 'direct', got 'fast'"),
    ],
)
def test_a_choice_that_does_not_fit_is_refused(network, choice, message):
    with pytest.raises(ValueError, match=message):
        use_convolutions(network, choice)


def test_a_wrong_choice_replaces_nothing(network):
    with pytest.raises(ValueError, match="expected names of convolutions, got 'x'"):
        use_convolutions(network, {"primary.conv": "spectral", "x": "direct"})
    assert type(network.primary.conv) is nn.Conv2d


def test_another_precision_is_refused(network, image):
    with pytest.raises(ValueError, match="expected 'float32' or 'bfloat16', got 'int8'"):
        tune_convolutions(network, image, precision="int8")

"""Coupling maps of single cases, checked against routing written out by hand."""

import numpy as np
import pytest
import torch

from capsmed.engines.cuts import keep_cuts
from capsmed.networks import CapsNet, TrainingWrapper
from capsmed.networks.layers.squash import squash


def small_net(routing, size=(9, 9), classes=3):
    """2 types of lower capsules on a grid of 3 x 3 (x 5) places, two pixels apart."""
    network = CapsNet(
        len(size), 1, classes, size, [4], [3], primary_capsules=2, primary_dim=4, primary_kernel=3,
        class_dim=4, routing=routing, decoder=None, init_scale=0.5,
    ).eval()  # fmt: skip
    with torch.no_grad():  # at chance votes are so short that all couplings are alike
        network.primary.conv.weight.mul_(5)
        network.classes.weight.mul_(3)
    return network


def kept(tmp_path, network, size=(9, 9), count=5):
    view = [{"image": torch.rand(1, *size), "label": torch.tensor(k % 3)} for k in range(count)]
    names = np.array([f"case-{k}" for k in range(count)])
    cpu = torch.device("cpu")
    keep_cuts(tmp_path, names, view, np.full(count, 0.5), TrainingWrapper(network), cpu)
    images = torch.stack([item["image"] for item in view])
    return images, dict(np.load(tmp_path / "cuts.npz"))


@torch.no_grad()
def by_hand(network, images, iterations=3):
    """Maps [batch, classes, places] and most active class, by procedure 1 of Sabour et al. 2017."""
    lower = network.primary(network.encoder(images))
    votes = torch.einsum("bid,jedi->bije", lower, network.classes.weight)
    logits = torch.zeros(votes.shape[:3])
    for _ in range(iterations):
        couplings = logits.softmax(2)
        poses = squash(torch.einsum("bij,bije->bje", couplings, votes))
        logits = logits + torch.einsum("bije,bje->bij", votes, poses)
    lengths = lower.norm(dim=2).unflatten(1, (2, -1))
    shares = couplings.unflatten(1, (2, -1))
    maps = torch.einsum("btx,btxj->bjx", lengths, shares) / lengths.sum(1).unsqueeze(1)
    return maps.numpy(), poses.norm(dim=2).argmax(1).numpy()


def test_the_map_is_what_the_routing_gives_for_that_patch(tmp_path):
    network = small_net(("dynamic", {"iterations": 3}))
    images, found = kept(tmp_path, network)
    maps, predicted = by_hand(network, images)
    assert found["coupling_class"].tolist() == [[p, k % 3] for k, p in enumerate(predicted)]
    for k, classes in enumerate(found["coupling_class"]):
        assert found["coupling_image"][k].reshape(2, -1) == pytest.approx(
            maps[k, classes], abs=1e-5
        )
    assert np.ptp(found["coupling_image"].astype(float)) > 0.02  # else all would be alike
    assert found["coupling_equal"] == pytest.approx(1 / 3)


def test_a_volume_is_cut_through_the_place_of_its_middle_voxel(tmp_path):
    network = small_net(("dynamic", {"iterations": 3}), size=(9, 11, 13))
    images, found = kept(tmp_path, network, (9, 11, 13))
    grid = found["coupling_xy"].shape[2:] + found["coupling_xz"].shape[3:]
    maps = by_hand(network, images)[0].reshape(5, 3, *grid)
    x, y, z = (n // 2 for n in grid)
    for k, classes in enumerate(found["coupling_class"]):
        whole = maps[k, classes]
        assert found["coupling_xy"][k] == pytest.approx(whole[..., z], abs=1e-5)
        assert found["coupling_xz"][k] == pytest.approx(whole[:, :, y], abs=1e-5)
        assert found["coupling_yz"][k] == pytest.approx(whole[:, x], abs=1e-5)


def test_each_pixel_has_the_place_whose_field_lies_about_it(tmp_path):
    found = kept(tmp_path, small_net(("dynamic", {"iterations": 3})))[1]
    # kernel 3, then kernel 3 of stride 2: fields of 5 pixels, middles at 2, 4 and 6
    assert found["coupling_at_x"].tolist() == [-1, 0, 0, 1, 1, 2, 2, 2, -1]
    assert found["coupling_at_y"].tolist() == found["coupling_at_x"].tolist()


@pytest.mark.parametrize("routing", ["uniform", ("dynamic", {"iterations": 1})])
def test_of_a_routing_that_shares_alike_by_design_only_that_is_kept(tmp_path, routing):
    found = kept(tmp_path, small_net(routing))[1]
    assert found["coupling_uniform"] and "coupling_image" not in found


def test_one_pass_of_couplings_that_differ_is_not_called_uniform(tmp_path):
    found = kept(tmp_path, small_net("self_routing"))[1]
    assert not found["coupling_uniform"] and found["coupling_image"].shape == (5, 2, 3, 3)


@pytest.mark.parametrize(
    "routing", ["em", "variational_bayes", "self_attention", "inverted_attention"]
)
def test_every_routing_with_couplings_has_maps_that_are_numbers(tmp_path, routing):
    found = kept(tmp_path, small_net(routing))[1]
    assert np.isfinite(found["coupling_image"]).all()

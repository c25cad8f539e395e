import pytest
import torch

from capsmed.engines.memory import peak_bytes
from capsmed.networks import CapsuleLinear, DenseVotes, LinearVotes, PrimaryCapsules, squash
from capsmed.networks.layers import CapsuleConv, MatrixCapsuleClasses


def identity(capsules: PrimaryCapsules) -> PrimaryCapsules:
    """Make the 1x1 convolution pass its channels through."""
    torch.nn.init.dirac_(capsules.conv.weight)
    torch.nn.init.zeros_(capsules.conv.bias)
    return capsules


def test_a_primary_capsule_is_the_channels_at_one_location():
    types, dim, features = 3, 5, torch.randn(2, 15, 4, 7)
    poses = identity(PrimaryCapsules(2, 15, types, dim, kernel_size=1, stride=1))(features)
    kind, row, column = 1, 2, 6
    expected = squash(features[:, kind::types, row, column])
    torch.testing.assert_close(poses[:, kind * 4 * 7 + row * 7 + column], expected)


def test_a_changed_location_changes_its_own_capsules_only():
    capsules, features = (
        PrimaryCapsules(3, 4, 2, 3, kernel_size=1, stride=1),
        torch.randn(1, 4, 3, 5, 2),
    )
    changed = features.clone()
    changed[:, :, 2, 4, 1] += 1
    moved = (capsules(changed) - capsules(features)).abs().amax(dim=(0, 2)).view(2, 3, 5, 2) > 0
    assert moved[:, 2, 4, 1].all() and moved.sum() == 2


@pytest.mark.parametrize("size", [(9, 13), (9, 11, 13)])
def test_primary_capsules_are_as_many_as_types_times_locations(size):
    capsules = PrimaryCapsules(len(size), 2, types=3, dim=5, kernel_size=3, stride=2)
    poses = capsules(torch.randn(2, 2, *size))
    locations = torch.Size(capsules.output_size(size)).numel()
    assert poses.shape == (2, 3 * locations, 5)
    assert (poses.norm(dim=-1) < 1).all()


def test_capsule_linear_names_the_shape_it_expects():
    layer = CapsuleLinear(11, 3, 5, 7)
    with pytest.raises(ValueError, match=r"expected poses \[batch, 11, 5\], got \[2, 5, 11\]"):
        layer(torch.zeros(2, 5, 11))


def test_weights_start_small():
    weight = CapsuleLinear(101, 3, 5, 7, init_scale=0.02).weight
    assert weight.std().item() == pytest.approx(0.02, rel=0.1)


@pytest.mark.parametrize("grad", [True, False])
def test_linear_and_dense_votes_answer_alike(grad):
    with torch.set_grad_enabled(grad):
        linear = LinearVotes(torch.randn(2, 11, 5), torch.randn(3, 7, 5, 11))
        dense = DenseVotes(linear.dense())
        couplings, poses = torch.rand(2, 3, 11), torch.randn(2, 3, 7)
        torch.testing.assert_close(linear.mix(couplings), dense.mix(couplings))
        torch.testing.assert_close(linear.mix(None), dense.mix(None))
        torch.testing.assert_close(linear.agreement(poses), dense.agreement(poses))


@pytest.mark.parametrize(("gradient", "limit"), [("last", 25e6), ("full", 60e6)])
def test_mnist_capsule_layer_needs_at_most_60_mb_at_batch_128(gradient, limit):
    layer = CapsuleLinear(1152, 10, 8, 16, routing=("dynamic", {"gradient": gradient}))
    poses = torch.randn(128, 1152, 8, requires_grad=True)
    peak = peak_bytes(lambda: layer(poses)[1].sum().backward())
    assert 5e6 < peak - poses.grad.nbytes - layer.weight.grad.nbytes <= limit


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: CapsuleLinear(4, 0, 2, 3), "out_capsules: expected 1 or more, got 0"),
        (lambda: CapsuleLinear(0, 4, 2, 3), "in_capsules: expected 1 or more, got 0"),
        (lambda: MatrixCapsuleClasses(2, 0, 4, (3, 3)), "out_capsules: expected 1 or more, got 0"),
        (lambda: CapsuleConv(2, 3, 0, 4, 4), "out_types: expected 1 or more, got 0"),
    ],
)
def test_layers_of_no_capsules_are_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()

import pytest
import torch

from capsmed.networks import CapsuleConv, DenseVotes, LinearVotes, MatrixCapsuleClasses
from capsmed.networks.layers.matrix_votes import MatrixVotes, pose_rows

HIGHER, SIDE = 3, 2
GRIDS = {2: ((3, 4), (2, 3), (1, 2)), 3: ((2, 3, 3), (2, 2, 1), (1, 1, 2))}
ROUTINGS = ["dynamic", "em", "variational_bayes"]
both = pytest.mark.parametrize("dims", [2, 3])


def conv(dims, competition="location", routing="em"):
    grid, kernel, stride = GRIDS[dims]
    layer = CapsuleConv(
        dims, 2, HIGHER, 4, 4, kernel, stride, routing=routing, competition=competition,
        transform="matrix", init_scale=0.5,
    )  # fmt: skip
    lower = 2 * torch.Size(grid).numel()
    return layer, torch.randn(2, lower, 4), torch.rand(2, lower)


def classes(dims, routing="em", **options):
    grid = GRIDS[dims][0]
    layer = MatrixCapsuleClasses(2, HIGHER, 9, grid, routing, init_scale=0.5, **options)
    lower = 2 * torch.Size(grid).numel()
    return layer, torch.randn(2, lower, 9), torch.rand(2, lower)


def test_a_vote_is_the_pose_matrix_times_the_transform():
    poses, transforms = torch.randn(2, 5, SIDE, SIDE), torch.randn(5, HIGHER, SIDE, SIDE)
    weight = transforms.permute(1, 3, 2, 0)
    votes = MatrixVotes(LinearVotes(pose_rows(poses.flatten(2), SIDE), weight), SIDE)
    expected = (poses.unsqueeze(2) @ transforms).flatten(3)
    torch.testing.assert_close(votes.dense(), expected)
    torch.testing.assert_close(votes.poses, poses.flatten(2))


@both
@pytest.mark.parametrize("competition", ["location", "map"])
def test_convolutional_matrix_votes_mix_and_agree_as_the_formed_votes(dims, competition):
    layer, poses, active = conv(dims, competition)
    votes = layer.votes(poses, active, grid=GRIDS[dims][0])
    formed = DenseVotes(votes.dense(), votes.poses, votes.activations)
    couplings = torch.rand(len(votes.poses), HIGHER, votes.poses.shape[1])
    higher = torch.randn(len(votes.poses), HIGHER, 4)
    torch.testing.assert_close(votes.mix(couplings), formed.mix(couplings))
    torch.testing.assert_close(votes.agreement(higher), formed.agreement(higher))
    uniform = votes.share(torch.zeros_like(couplings))
    torch.testing.assert_close(votes.mix(None), formed.mix(uniform))


@both
def test_a_convolutional_matrix_vote_is_the_pose_matrix_times_the_transform(dims):
    layer, poses, active = conv(dims)
    grid, kernel, _ = GRIDS[dims]
    votes = layer.votes(poses, active, grid=grid).dense().unflatten(0, (2, -1))
    first = poses.view(2, 2, *grid, SIDE, SIDE)[(slice(None), 1, *[0] * dims)]
    place = torch.Size(kernel).numel()  # the second type at the first location of the window
    transforms = layer.weight[..., place].mT
    expected = first.unsqueeze(1) @ transforms
    torch.testing.assert_close(votes[:, 0, place], expected.flatten(2))


@both
def test_class_capsules_share_a_types_transform_and_add_the_place(dims):
    layer, poses, active = classes(dims)
    votes = layer.votes(poses, active).dense().view(2, 2, -1, HIGHER, 3, 3)
    matrices = poses.view(2, 2, -1, 1, 3, 3)
    transforms = layer.weight.permute(3, 0, 2, 1).unsqueeze(1)
    added = layer.added.view(2, -1, 1, 3, 3)
    torch.testing.assert_close(votes, matrices @ transforms + added)
    assert added.abs().sum() > 0


def test_class_capsules_can_do_without_coordinates():
    layer, poses, active = classes(2, coordinate_addition=False)
    assert isinstance(layer.votes(poses, active), MatrixVotes)


@both
@pytest.mark.parametrize("routing", ROUTINGS)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of TorchScript
def test_both_layers_export_with_any_batch_and_trace(dims, routing):
    layer, poses, _ = classes(dims, routing)
    shapes = ({0: torch.export.Dim("batch")},)
    exported = torch.export.export(layer.eval(), (poses,), dynamic_shapes=shapes).module()
    unseen = torch.randn(5, *poses.shape[1:])
    torch.testing.assert_close(exported(unseen), layer(unseen), atol=1e-5, rtol=1e-5)
    traced = torch.jit.trace(layer, poses)
    torch.testing.assert_close(traced(unseen), layer(unseen), atol=1e-5, rtol=1e-5)


@both
@pytest.mark.parametrize("competition", ["location", "map"])
def test_gradients_through_matrix_convolutions_are_those_of_formed_votes(dims, competition):
    layer, poses, active = (x.double() for x in conv(dims, competition))
    first, votes = (layer.votes(poses, active, grid=GRIDS[dims][0]) for _ in range(2))
    lean = torch.autograd.grad(layer.routing(first)[1].square().sum(), layer.weight)[0]
    formed = DenseVotes(votes.dense(), votes.poses, votes.activations)
    formed.share = votes.share
    dense = torch.autograd.grad(layer.routing(formed)[1].square().sum(), layer.weight)[0]
    torch.testing.assert_close(lean, dense, atol=1e-10, rtol=1e-8)


def test_a_window_of_matrix_capsules_has_a_transform_of_side_squared_numbers_each():
    layer, _, _ = conv(2)
    assert layer.weight.numel() == HIGHER * 2 * 2 * 3 * SIDE * SIDE
    assert MatrixCapsuleClasses(32, 5, 16, (5, 5)).weight.numel() == 32 * 5 * 16


def test_refuses_poses_that_are_no_square_matrices():
    message = "pose dimension: expected a square such as 16, got 8; .* use 4 or 9"
    with pytest.raises(ValueError, match=message):
        MatrixCapsuleClasses(2, 3, 8, (4, 4))
    with pytest.raises(ValueError, match=message):
        CapsuleConv(2, 2, 3, 8, 8, transform="matrix")


def test_refuses_poses_of_another_size():
    layer, poses, active = classes(2)
    message = r"matrix votes: expected poses \[batch, in, 9\], got \[2, 24, 8\]"
    with pytest.raises(ValueError, match=message):
        layer(poses[:, :, :8], active)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"out_dim": 9}, "out_dim: expected 4, the in_dim, with matrix transforms, got 9"),
        ({"transform": "affine"}, "transform: expected 'linear' or 'matrix', got 'affine'"),
    ],
)
def test_a_convolution_refuses_what_matrices_cannot_be(options, message):
    with pytest.raises(ValueError, match=message):
        CapsuleConv(2, **{"in_types": 2, "out_types": 3, "in_dim": 4, "out_dim": 4,
                          "transform": "matrix", **options})  # fmt: skip

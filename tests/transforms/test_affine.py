import numpy as np
import pytest
import torch
from scipy import ndimage

from capsmed.transforms.affine import affine, margin, rotations

ONES = (1.0, 1.0, 1.0)


def turned(images, degrees, size, spacing=ONES):
    axes = len(size)
    angles = np.deg2rad(np.broadcast_to(degrees, (len(images), 1 if axes == 2 else 3)))
    return affine(images, rotations(angles, axes), size, spacing[:axes])


@pytest.mark.parametrize("size", [(5, 7), (5, 7, 3)])
def test_no_rotation_is_the_centre_unchanged(size):
    images = torch.rand(2, 3, *(n + 4 for n in size))
    box = (slice(2, -2),) * len(size)
    assert torch.allclose(turned(images, 0.0, size), images[(..., *box)], atol=1e-5)


def test_a_quarter_turn_in_the_plane_turns_the_picture():
    images = torch.rand(1, 1, 7, 7)
    assert torch.allclose(turned(images, 90.0, (7, 7)), images.rot90(-1, (2, 3)), atol=1e-5)


@pytest.mark.parametrize(("axis", "plane"), [(0, (3, 4)), (1, (4, 2)), (2, (2, 3))])
def test_a_quarter_turn_about_one_axis_turns_the_plane_of_the_others(axis, plane):
    images = torch.rand(1, 1, 5, 5, 5)
    angles = [90.0 if i == axis else 0.0 for i in range(3)]
    assert torch.allclose(turned(images, angles, (5,) * 3), images.rot90(-1, plane), atol=1e-5)


def test_the_result_is_scipys():
    images = torch.rand(1, 1, 21, 19, 17)
    matrix = rotations(np.array([[0.3, -0.2, 0.5]]), 3) * 1.1
    size, shape = np.array([7, 5, 9]), np.array(images.shape[2:])
    offset = (shape - 1) / 2 - matrix[0] @ ((size - 1) / 2)
    expected = ndimage.affine_transform(
        images[0, 0].numpy(), matrix[0], offset, output_shape=tuple(size), order=1, mode="nearest"
    )
    assert np.allclose(affine(images, matrix, tuple(size), ONES)[0, 0], expected, atol=1e-5)


def test_each_image_has_its_own_matrix_whatever_its_batch():
    images = torch.rand(3, 1, 9, 9)
    matrices = rotations(np.array([[0.1], [0.7], [2.0]]), 2)
    together = affine(images, matrices, (5, 5), (1.0, 1.0))
    alone = [affine(images[i : i + 1], matrices[i : i + 1], (5, 5), (1.0, 1.0)) for i in range(3)]
    assert torch.equal(together, torch.cat(alone))


def test_rotations_are_in_mm_when_voxels_are_not_square():
    images = torch.zeros(1, 1, 13, 7)
    images[0, 0, 10, 3] = 1.0  # 4 voxels of 1 mm along x
    found = turned(images, 90.0, (13, 7), spacing=(1.0, 2.0, 1.0))
    assert torch.nonzero(found[0, 0] > 0.9).tolist() == [[6, 1]]  # 2 voxels of 2 mm along y


def test_rotations_are_proper_and_undone_by_their_transpose():
    matrices = rotations(np.random.default_rng(0).uniform(-3, 3, (5, 3)), 3)
    assert np.allclose(matrices @ matrices.transpose(0, 2, 1), np.eye(3))
    assert np.allclose(np.linalg.det(matrices), 1)


def test_the_margin_is_what_a_turned_corner_needs():
    assert margin((21, 21), (1.0, 1.0), 0, 0) == (0, 0)
    assert margin((21, 21), (1.0, 1.0), 45, 0) == (5, 5)  # 10 * sqrt(2) - 10 = 4.1
    assert margin((21, 21), (1.0, 1.0), 0, 0.2) == (2, 2)
    assert margin((21, 11), (1.0, 2.0), 90, 0) == (5, 3)  # 14.1 mm at 45 degrees

"""Linear maps from the painter's grid to voxels."""

import numpy as np
import pytest

from capsmed.data.demo.grid import Grid, linear, sampling, separable, smooth_field

GRID = Grid((-3.0, -5.0, -7.0), 0.5, (13, 17, 23))


def test_separable_maps_equal_one_einsum() -> None:
    rng = np.random.default_rng(0)
    volume = rng.random((5, 7, 11))
    maps = [rng.random(shape) for shape in ((3, 5), (13, 7), (2, 11))]
    expected = np.einsum("xyz,ax,by,cz->abc", volume, *maps)
    assert separable(volume, maps) == pytest.approx(expected)


def test_sampling_keeps_a_constant_and_halves_an_edge_through_a_voxel() -> None:
    fine = np.arange(-40, 41) * 0.25
    weights = sampling(fine, np.array([-4.0, 0.0, 4.0]), width=2.0, blur=0.3)
    step = np.where(fine > 0, 1.0, np.where(fine < 0, 0.0, 0.5))
    assert weights.sum(axis=1) == pytest.approx([1, 1, 1])
    assert weights @ step == pytest.approx([0, 0.5, 1])


def test_linear_interpolation_is_numpys() -> None:
    source, target = np.array([1.0, 3.0, 5.0]), np.array([0.0, 1.5, 3.0, 4.9, 9.0])
    values = np.array([2.0, -1.0, 7.0])
    assert linear(source, target) @ values == pytest.approx(np.interp(target, source, values))


def test_smooth_noise_has_unit_variance_and_neighbours_alike() -> None:
    field = smooth_field(np.random.default_rng(3), GRID, 4.0)
    assert field.shape == GRID.shape and np.mean(field**2) == pytest.approx(1)
    assert np.abs(np.diff(field, axis=2)).max() < 0.6


def test_a_box_is_cut_at_the_ends_of_the_grid() -> None:
    box = GRID.box(np.array([-9.0, -5.0, 0.0]), np.array([-2.0, 0.0, 99.0]))
    assert box == (slice(0, 3), slice(0, 11), slice(14, 23))

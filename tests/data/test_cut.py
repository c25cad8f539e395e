import numpy as np
import pytest
from PIL import Image

from capsmed import config
from capsmed.data.cut import cut, padded_share
from capsmed.data.readers import open_volume
from capsmed.data.resample import Grid, resample
from capsmed.errors import ConfigError, DataError

AFFINES = {
    "as stored": np.eye(4),
    "turned and mirrored": np.array([[0, 0, -1.0, 9], [-1, 0, 0, 8], [0, 1, 0, -7], [0, 0, 0, 1]]),
    "coarse": np.diag([2.0, 0.5, 3.0, 1.0]),
    "oblique": np.array([[0.8, -0.6, 0, 1], [0.6, 0.8, 0, 2], [0, 0, 1, 3], [0, 0, 0, 1.0]]),
}


def patch(size=(3, 5, 7), spacing=1.0, window=(0.0, 1000.0), **options):
    options = {"spatial_dims": len(size), **options}
    return config.Patch(size=size, spacing=spacing, window=window, **options)


@pytest.fixture
def ramp(nifti):
    """A volume whose value at RAS (x, y, z) mm is 500 + 10 x + 3 y - 7 z."""

    def make(affine, shape=(23, 29, 19)):
        index = np.stack(np.meshgrid(*map(np.arange, shape), [1], indexing="ij"))[..., 0]
        x, y, z, _ = np.einsum("ij,jabc->iabc", affine, index)
        return open_volume(nifti("ramp.nii.gz", 500 + 10 * x + 3 * y - 7 * z, affine))

    return make


@pytest.mark.parametrize("affine", AFFINES.values(), ids=AFFINES)
def test_the_grid_lies_along_the_patients_axes_whatever_the_files(ramp, affine):
    volume = ramp(affine)
    x, y, z = volume.centre
    found = 1000 * cut(volume, None, patch())[0]
    offsets = [np.arange(n) - (n - 1) / 2 for n in (3, 5, 7)]
    i, j, k = np.meshgrid(*offsets, indexing="ij")
    assert np.allclose(found, 500 + 10 * (x + i) + 3 * (y + j) - 7 * (z + k), atol=0.05)


def one_by_one(values, grid, outside):
    """Trilinear interpolation, a loop over points and their eight neighbours."""
    found = np.zeros(grid.size)
    for point in np.ndindex(grid.size):
        place = grid.matrix @ point + grid.origin
        for corner in np.ndindex(2, 2, 2):
            voxel = np.floor(place).astype(int) + corner
            inside = (voxel >= 0).all() and (voxel < values.shape).all()
            weight = np.prod(1 - np.abs(place - voxel))
            found[point] += weight * (values[tuple(voxel)] if inside else outside)
    return found


MATRICES = {
    "along the axes": np.diag([0.7, -0.3, 0.9]),
    "axes exchanged": np.array([[0, 0.5, 0], [0, 0, -0.8], [0.4, 0, 0]]),
    "oblique": np.array([[0.5, -0.4, 0.1], [0.4, 0.5, 0], [0, 0.2, -0.9]]),
}


@pytest.mark.parametrize("matrix", MATRICES.values(), ids=MATRICES)
@pytest.mark.parametrize("origin", [(2.3, 5.0, 4.6), (-1.4, 7.9, -0.5)], ids=["inside", "beyond"])
def test_values_between_voxels_are_those_of_the_plain_loop(matrix, origin):
    values = np.random.default_rng(0).uniform(-1000, 400, (7, 11, 5)).astype(np.float32)
    grid = Grid(matrix, np.array(origin), (5, 3, 4))
    assert np.allclose(
        resample(values, grid, -1000.0), one_by_one(values, grid, -1000.0), atol=1e-3
    )


def test_the_way_along_the_axes_smooths_like_the_general_one(ramp):
    values = np.random.default_rng(0).normal(size=(17, 19, 13)).astype(np.float32)
    straight = np.array([[0, 2.6, 0], [-3.1, 0, 0], [0, 0, 1.2]])
    tilted = straight + 1e-5  # enough to count as oblique, too little to change a value
    found = [
        resample(values, Grid(m, np.array([3.0, 17, 2]), (5, 3, 7)), 0.0)
        for m in (straight, tilted)
    ]
    assert np.allclose(*found, atol=1e-3) and np.abs(found[0]).max() > 0.1


def test_one_number_an_axis_gives_anisotropic_spacing(ramp):
    volume = ramp(np.eye(4))
    found = 1000 * cut(volume, volume.centre, patch(spacing=(0.5, 1.0, 1.0)))[0]
    assert np.allclose(np.diff(found, axis=0), 5, atol=0.05)
    assert np.allclose(np.diff(found, axis=2), -7, atol=0.05)


def test_the_patch_follows_the_point(ramp):
    volume = ramp(np.eye(4))
    moved = cut(volume, volume.centre + [2, 0, 0], patch())
    assert np.allclose(moved - cut(volume, volume.centre, patch()), 0.02, atol=1e-4)


def test_what_lies_outside_the_volume_is_the_lowest_value(ramp):
    found = cut(ramp(np.eye(4)), np.zeros(3), patch(size=(5, 5, 5)))[0]
    assert (found[:2] == 0).all() and (found[:, :, :2] == 0).all() and (found[2:, 2:, 2:] > 0).all()


@pytest.mark.parametrize("spacing", [1.0, None])
@pytest.mark.parametrize(
    ("affine", "point", "share"),
    [
        (np.eye(4), (11, 14, 9), 0),
        (np.eye(4), (0, 14, 9), 2 / 5),
        (np.diag([-1.0, 1, 1, 1]), (0, 14, 9), 2 / 5),
        (np.eye(4), (0, 0, 9), 1 - 9 / 25),
        (np.eye(4), (22.4, 14, 9), 2 / 5),
    ],
)
def test_the_share_beyond_the_border_is_recorded(ramp, affine, point, share, spacing):
    found = padded_share(ramp(affine), np.array(point), patch(size=(5, 5, 3), spacing=spacing))
    assert np.isclose(found, share)


def test_the_share_counts_the_patchs_voxels_not_the_files(ramp):
    found = padded_share(ramp(AFFINES["coarse"]), np.array([44.9, 7, 27]), patch(size=(5, 5, 3)))
    assert np.isclose(found, 2 / 5)


def test_the_share_of_an_oblique_patch_is_what_a_count_gives(ramp):
    volume = ramp(AFFINES["oblique"])
    corner = volume.affine @ [22, 28, 9, 1]
    asked = patch(size=(7, 9, 3))
    index = [np.arange(n) - (n - 1) / 2 for n in asked.size]
    points = np.stack([*np.meshgrid(*index, indexing="ij"), np.ones(asked.size)], axis=-1) + [
        *corner[:3],
        0,
    ]
    places = (points @ np.linalg.inv(volume.affine).T)[..., :3]
    inside = ((places > -0.5) & (places < np.array(volume.shape) - 0.5)).all(axis=-1)
    assert np.isclose(padded_share(volume, corner[:3], asked), 1 - inside.mean())


def test_values_beyond_the_window_are_clipped(nifti):
    volume = open_volume(nifti(values=np.array([-3000.0, -1000, -300, 400, 3000]).reshape(5, 1, 1)))
    found = cut(volume, None, patch(size=(5, 1, 1), window=(-1000.0, 400.0)))
    assert found.ravel().tolist() == [0, 0, 0.5, 1, 1]


def test_a_margin_adds_voxels_without_moving_the_patch(ramp):
    volume = ramp(np.diag([0.7, 0.8, 0.9, 1]))
    wide = cut(volume, volume.centre, patch(), margin=(2, 1, 3))
    assert wide.shape == (1, 7, 7, 13)
    assert np.allclose(wide[:, 2:-2, 1:-1, 3:-3], cut(volume, volume.centre, patch()), atol=1e-5)


def test_coarsening_smooths_first_so_that_fine_stripes_vanish(nifti):
    stripes = np.zeros((41, 9, 9))  # the patch's voxels lie on stripes alone
    stripes[::2] = 1000
    volume = open_volume(nifti(values=stripes))
    found = cut(volume, None, patch(size=(5, 3, 3), spacing=(4.0, 1.0, 1.0)))
    assert np.allclose(found, 0.5, atol=0.01)


def test_without_spacing_the_voxels_are_the_files_own(ramp):
    volume = ramp(AFFINES["turned and mirrored"])
    found = 1000 * cut(volume, None, patch(spacing=None))[0]
    expected = volume.read(None)[10:13, 12:17, 6:13]
    assert np.allclose(found, expected, atol=0.05)


def test_two_dimensions_take_the_axial_plane_of_the_point(ramp):
    volume = ramp(AFFINES["turned and mirrored"])
    plane = cut(volume, volume.centre, patch(size=(3, 5)))
    assert plane.shape == (1, 3, 5)
    assert np.allclose(plane, cut(volume, volume.centre, patch(size=(3, 5, 1)))[..., 0], atol=1e-4)


def test_a_point_outside_the_volume_is_an_error(ramp):
    with pytest.raises(DataError, match=r"outside the volume: voxel \[-9.0, 2.0, 3.0\] of \[23"):
        cut(ramp(np.eye(4)), np.array([-9.0, 2, 3]), patch())


def test_a_voxel_that_is_no_number_is_an_error(nifti):
    values = np.ones((7, 5, 3))
    values[3, 2, 1] = np.nan
    with pytest.raises(DataError, match="1 voxels of the patch are NaN or infinite"):
        cut(open_volume(nifti(values=values)), None, patch(size=(3, 3, 3)))


@pytest.fixture
def picture(tmp_path):
    """A grey picture of 6 columns and 4 rows."""
    Image.fromarray(np.arange(0, 240, 10, dtype=np.uint8).reshape(4, 6)).save(tmp_path / "a.png")
    return open_volume(tmp_path / "a.png")


def test_a_smaller_picture_is_padded_and_a_larger_one_cropped_around_its_centre(picture):
    found = 255 * cut(picture, None, patch(size=(4, 6), spacing=None, window=None))[0]
    assert np.allclose(found[:, 1:5], picture.read(None)[1:5]) and (found[:, [0, 5]] == 0).all()


def test_a_point_of_a_picture_is_column_and_row(picture):
    one = patch(size=(1, 1), spacing=None, window=None)
    assert np.isclose(255 * cut(picture, np.array([4.0, 1, 0]), one).item(), 100)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"spacing": 1.0, "window": None}, "patch.spacing: expected null, as a picture image"),
        ({"window": (-1000, 400)}, "these are grey values, not HU; set patch.window: null"),
        ({"window": None, "size": (2, 2, 2)}, "patch.spatial_dims: expected 2, as the image is"),
        ({"window": None, "channels": 3}, "patch.channels: expected 1, as the image has, got 3"),
    ],
)
def test_a_patch_that_does_not_suit_a_picture_is_a_config_error(picture, options, message):
    with pytest.raises(ConfigError, match=message):
        cut(picture, None, patch(**{"size": (4, 4), "spacing": None, **options}))


def test_ct_needs_a_window(nifti):
    with pytest.raises(ConfigError, match=r"patch.window: expected \[low, high\]"):
        cut(open_volume(nifti()), None, patch(window=None))


def test_a_real_patch_at_its_own_spacing_is_the_file_turned_to_ras(real_data):
    volume = open_volume(real_data / "lidc_3d" / "images" / "lidc3d_001.nii.gz")
    found = cut(volume, None, patch(size=(51, 51, 51), window=(-1200.0, 400.0)))[0]
    assert np.allclose(found, (volume.read(None)[::-1, ::-1] + 1200) / 1600, atol=1e-5)

"""A small bright marker is where its point says, whatever the file's format and geometry."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from capsmed import config
from capsmed.data.cohort import Cohort
from capsmed.data.cut import cut
from capsmed.data.patches import PatchSet
from capsmed.data.readers import open_volume
from tests.data.scan_writers import WRITERS, write_scan

SHAPE = (41, 37, 23)
SIZE = (15, 13, 11)
MARKER = np.array([18.3, 19.6, 10.8])  # in voxels, on none of them
SD_MM = 1.5
CLOSE = 0.1  # voxels of the patch; a mistake of half a voxel would show at every spacing
SPACINGS = [1.0, (0.6, 0.8, 1.5), 2.7]


def placed(steps, origin=(31.0, -47.0, -213.0)):
    """The affine of three steps, columns in mm; exact in the 32 bits that NIfTI keeps."""
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = steps, origin
    return affine.astype(np.float32).astype(float)


def turned(degrees, axis, spacing):
    axis = np.array(axis) / np.linalg.norm(axis)
    return placed(Rotation.from_rotvec(np.deg2rad(degrees) * axis).as_matrix() @ np.diag(spacing))


AFFINES = {
    "as a scanner stores it": placed(np.diag([-0.7, -0.7, 1.5])),
    "anisotropic": placed(np.diag([0.6, 0.9, 2.5])),
    "x flipped, so left-handed": placed(np.diag([-0.7, 0.8, 1.25])),
    "all flipped, stacked downwards": placed(np.diag([-0.7, -0.8, -2.0])),
    "sagittal slices": placed([[0, 0, 2.0], [-0.7, 0, 0], [0, -0.8, 0]]),
    "coronal slices, z flipped": placed([[0.7, 0, 0], [0, 0, -1.75], [0, 0.8, 0]]),
    "oblique": turned(25, (1, 2, 3), (0.7, 0.8, 2.0)),
    "oblique and left-handed": turned(-40, (3, 1, 2), (0.8, 0.7, -1.5)),
    "gantry tilted": placed([[-0.7, 0, 0], [0, -0.8, 0.5], [0, 0, 2.0]]),
}
every_affine = pytest.mark.parametrize("affine", AFFINES.values(), ids=AFFINES)


def scan(affine):
    """Air with one Gaussian spot, int16 HU [x, y, z], and the spot's centre, RAS mm [3]."""
    point = (affine @ [*MARKER, 1])[:3]
    index = np.stack(np.meshgrid(*map(np.arange, SHAPE), indexing="ij"))
    places = np.einsum("ij,jabc->iabc", affine[:3, :3], index) + affine[:3, 3, None, None, None]
    square = ((places - point[:, None, None, None]) ** 2).sum(0)
    return np.round(2000 * np.exp(-square / (2 * SD_MM**2)) - 1000).astype(np.int16), point


def patch_of(path, point, spacing):
    wanted = config.Patch(size=SIZE, spacing=spacing, window=(-1000.0, 1000.0))
    return cut(open_volume(path), point, wanted)[0]


def off_centre(patch):
    """How far the spot's centre of mass lies from the middle of the patch, voxels [3]."""
    grids = np.meshgrid(*[np.arange(n) - (n - 1) / 2 for n in patch.shape], indexing="ij")
    return np.array([(patch * grid).sum() for grid in grids]) / patch.sum()


@every_affine
@pytest.mark.parametrize("name", WRITERS)
def test_the_marker_is_in_the_middle_of_the_patch(tmp_path, name, affine):
    hu, point = scan(affine)
    path = write_scan(tmp_path, name, hu, affine)
    for spacing in SPACINGS:
        assert np.abs(off_centre(patch_of(path, point, spacing))).max() < CLOSE


@every_affine
@pytest.mark.parametrize("name", WRITERS)
def test_one_bright_voxel_is_the_brightest_and_central_one_of_the_patch(tmp_path, name, affine):
    hu = np.full(SHAPE, -1000, np.int16)
    hu[18, 20, 11] = 1000
    path = write_scan(tmp_path, name, hu, affine)
    for spacing in [None, *SPACINGS]:
        patch = patch_of(path, (affine @ [18, 20, 11, 1])[:3], spacing)
        assert np.unravel_index(patch.argmax(), SIZE) == tuple(n // 2 for n in SIZE)


@every_affine
@pytest.mark.parametrize("name", WRITERS)
def test_without_resampling_the_marker_is_within_half_of_the_files_own_voxels(
    tmp_path, name, affine
):
    hu, point = scan(affine)
    patch = patch_of(write_scan(tmp_path, name, hu, affine), point, None)
    assert np.abs(off_centre(patch)).max() < 0.5


@every_affine
@pytest.mark.parametrize("spacing", SPACINGS, ids=str)
def test_all_formats_give_the_same_patch(tmp_path, affine, spacing):
    hu, point = scan(affine)
    patches = [patch_of(write_scan(tmp_path, n, hu, affine), point, spacing) for n in WRITERS]
    assert max(np.abs(patch - patches[0]).max() for patch in patches[1:]) < 1e-5


@pytest.mark.parametrize("affine", [AFFINES["oblique"], AFFINES["gantry tilted"]])
@pytest.mark.parametrize(("frame", "signs"), [("RAS", [1, 1, 1]), ("LPS", [-1, -1, 1])])
def test_a_table_of_points_in_either_frame_finds_it(tmp_path, affine, frame, signs):
    hu, point = scan(affine)
    cell = ",".join(map(repr, (point * signs).tolist()))
    rows = [f"c{i},p{i},{name},{i % 2},{cell}" for i, name in enumerate(WRITERS)]
    for name in WRITERS:
        write_scan(tmp_path, name, hu, affine)
    text = "\n".join(["case_id,patient_id,image,label,x,y,z", *rows])
    (tmp_path / "cohort.csv").write_text(text)
    cohort = Cohort.read(config.Data(cohort="cohort.csv", frame=frame), tmp_path)
    wanted = config.Patch(size=SIZE, spacing=1.0, window=(-1000.0, 1000.0))
    found = PatchSet.load(cohort, cohort.included, wanted, config.Augmentation())
    assert all(np.abs(off_centre(item["image"][0].numpy())).max() < CLOSE for item in found)

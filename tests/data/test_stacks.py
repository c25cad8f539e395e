import numpy as np
import pytest

from capsmed import config
from capsmed.data.cohort import Cohort
from capsmed.data.patches import PatchSet
from capsmed.errors import DataError

HEAD = "case_id,patient_id,image,label,index"


@pytest.fixture
def stack(tmp_path):
    """Write an array and a table over it; give the cohort."""

    def make(values, rows, head=HEAD, **options):
        np.save(tmp_path / "all.npy", values)
        (tmp_path / "cohort.csv").write_text("\n".join([head, *rows]))
        return Cohort.read(config.Data(cohort="cohort.csv", **options), tmp_path)

    return make


def pictures(dtype=np.uint8):
    return np.random.default_rng(0).integers(0, 200, (5, 7, 9)).astype(dtype)


ROWS = ["a,,all.npy,b,3", "b,,all.npy,m,0"]


def test_rows_of_one_array_are_its_cases_by_index(stack):
    values = pictures()
    cohort = stack(values, ROWS)
    assert isinstance(cohort.images, np.memmap) and cohort.value_range == (0.0, 255.0)
    assert np.array_equal(cohort.volume(cohort.table.iloc[0]).read(None), values[3].T)
    assert not cohort.patients_known and cohort.source == "arrays"


def test_patches_of_an_array_follow_the_rows_not_the_array(stack):
    values = pictures()
    cohort = stack(values, ROWS)
    patch = config.Patch(spatial_dims=2, size=(9, 7), spacing=None, window=None)
    images = PatchSet.load(cohort, cohort.included, patch, config.Augmentation()).images
    assert np.allclose(images[:, 0].numpy() * 255, values[[3, 0]].swapaxes(1, 2), atol=1e-3)


def test_an_array_of_ct_numbers_has_no_range_of_its_own(stack):
    assert stack(pictures(np.int16), ROWS).value_range is None


def test_an_array_whose_patients_are_known_is_split_by_them(stack):
    cohort = stack(pictures(), ["a,7,all.npy,b,3", "b,8,all.npy,m,0"])
    assert cohort.patients_known
    with pytest.raises(DataError, match="row 3 .*patient_id is empty"):
        stack(pictures(), ["a,7,all.npy,b,3", "b,,all.npy,m,0"])


@pytest.mark.parametrize("index", ["5", "-1", "1.5", "", "x"])
def test_an_index_that_is_not_in_the_array_is_a_bad_row(stack, index):
    with pytest.raises(DataError, match=f"row 3 .*whole number from 0 to 4, got '{index}'"):
        stack(pictures(), [ROWS[0], f"b,,all.npy,m,{index}"])


def test_points_in_an_array_are_refused(stack):
    with pytest.raises(DataError, match="all.npy: expected no points, .* got the columns x, y"):
        stack(pictures(), ["a,,all.npy,b,3,1,2", "b,,all.npy,m,0,1,2"], head=f"{HEAD},x,y")


@pytest.mark.parametrize("values", [np.zeros((5, 7)), np.zeros((0, 7, 7)), np.array([["a"]])])
def test_an_array_of_another_shape_or_kind_is_refused(stack, values):
    with pytest.raises(DataError, match=r"all.npy: expected numbers as \[case, row, column\]"):
        stack(values, ROWS)


def test_a_damaged_array_is_refused(stack, tmp_path):
    stack(pictures(), ROWS)
    (tmp_path / "all.npy").write_bytes((tmp_path / "all.npy").read_bytes()[:200])
    with pytest.raises(DataError, match="all.npy: cannot be read as a NumPy array"):
        Cohort.read(config.Data(cohort="cohort.csv"), tmp_path)


def test_an_index_beside_files_of_their_own_is_any_other_column(stack, tmp_path):
    np.save(tmp_path / "one.npy", np.zeros((4, 4)))
    cohort = stack(np.zeros((4, 4)), ["a,1,one.npy,b,0", "b,2,all.npy,m,1"])
    assert cohort.images is None and cohort.patients_known

import gzip

import numpy as np
import pytest

from capsmed import config
from capsmed.data.cohort import Cohort
from capsmed.errors import DataError

PARTS = ("train", "val", "test")


@pytest.fixture
def npz(tmp_path):
    """Write a MedMNIST-layout file of 6 + 4 + 4 cases; give the arrays too."""

    def write(shape=(5, 7), dtype=np.uint8, **changes):
        rng = np.random.default_rng(0)
        arrays = {}
        for part, n in zip(PARTS, (6, 4, 4), strict=True):
            arrays[f"{part}_images"] = rng.integers(0, 256, (n, *shape)).astype(dtype)
            arrays[f"{part}_labels"] = np.arange(n)[:, None] % 2
        arrays.update(changes)
        arrays = {name: values for name, values in arrays.items() if values is not None}
        np.savez(tmp_path / "set.npz", **arrays)
        return arrays

    return write


@pytest.fixture
def whole(tmp_path):
    """Read a whole-set file of the test's folder."""
    return lambda name="set.npz", **options: Cohort.read(
        config.Data(cohort=name, **options), tmp_path
    )


def test_a_whole_set_has_parts_but_no_patients(npz, whole):
    npz()
    cohort = whole()
    assert (cohort.source, cohort.patients_known, cohort.classes) == ("arrays", False, ("0", "1"))
    assert (cohort.table["patient_id"] == "").all()
    assert cohort.table["split"].value_counts().to_dict() == {"train": 6, "val": 4, "test": 4}
    assert list(cohort.table["case_id"][[0, 6, 13]]) == ["train-00000", "val-00000", "test-00003"]


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 3), (5, 7, 4)])
def test_a_row_opens_its_own_image(npz, whole, shape):
    images, cohort = npz(shape)["test_images"], None
    cohort = whole()
    found = cohort.volume(cohort.table.iloc[12]).read(None)
    picture = shape != (5, 7, 4)
    assert np.array_equal(found, images[2].swapaxes(0, 1) if picture else images[2])


def test_other_labels_of_a_whole_set_are_left_out(npz, whole):
    npz(train_labels=np.array([0, 1, 2, 0, 1, 2])[:, None])
    cohort = whole(classes=("0", "1"))
    assert (cohort.table["excluded"] == "label '2' not listed").sum() == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"val_labels": None, "x": np.zeros(2)}, r"got .*, x; missing: val_labels"),
        ({"val_labels": np.zeros((3, 1))}, "val: got 4 images but 3 labels"),
        ({"val_labels": np.zeros((4, 14))}, "several labels a case are not supported"),
        ({"val_images": np.zeros((4, 9, 9))}, r"all parts alike, got shape \[4, 9, 9\]"),
        ({"val_images": np.full((4, 5, 7), np.nan)}, "val_images: expected numbers, got NaN"),
    ],
)
def test_an_npz_of_another_layout_is_refused(npz, whole, changes, message):
    npz(**changes)
    with pytest.raises(DataError, match=message):
        whole()


def test_a_truncated_npz_is_named(npz, whole, tmp_path):
    npz()
    path = tmp_path / "set.npz"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(DataError, match=r"set.npz: cannot be read as .npz \(truncated or not one"):
        whole()


def idx(values: np.ndarray) -> bytes:
    shape = np.array(values.shape, ">u4").tobytes()
    return bytes((0, 0, 8, values.ndim)) + shape + values.astype(np.uint8).tobytes()


@pytest.fixture
def mnist(tmp_path):
    """A folder of IDX files, 12 training and 4 test pictures, some gzipped, some not."""
    images = np.arange(16 * 6).reshape(16, 2, 3)
    labels = np.arange(16) % 2
    for stem, part in (("train", slice(0, 12)), ("t10k", slice(12, 16))):
        packed = gzip.compress(idx(images[part]))
        (tmp_path / f"{stem}-images-idx3-ubyte.gz").write_bytes(packed)
        (tmp_path / f"{stem}-labels-idx1-ubyte").write_bytes(idx(labels[part]))
    return images


def test_the_last_training_images_of_idx_are_its_val_part(mnist, whole):
    table = whole(".").table
    assert table["split"].tolist() == ["train"] * 10 + ["val"] * 2 + ["test"] * 4
    assert table["case_id"][11] == "train-00011" and table["case_id"][12] == "test-00000"
    assert table["label"].tolist() == ["0", "1"] * 8


def test_an_idx_picture_is_read_with_x_along_its_columns(mnist, whole):
    cohort = whole(".")
    assert np.array_equal(cohort.volume(cohort.table.iloc[13]).read(None), mnist[13].T)


def test_a_truncated_gz_is_named(mnist, whole, tmp_path):
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match="train-images-idx3-ubyte.gz: cannot be unpacked"):
        whole(".")


def test_a_truncated_idx_names_the_bytes(mnist, whole, tmp_path):
    path = tmp_path / "t10k-labels-idx1-ubyte"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match=r"expected 12 bytes for \[4\], got 11; fetch it again"):
        whole(".")


def test_an_incomplete_folder_names_the_file_and_the_command(mnist, whole, tmp_path):
    (tmp_path / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(DataError, match="expected t10k-labels-idx1-ubyte.*capsmed data get mnist"):
        whole(".")


def test_a_file_that_is_not_idx_is_refused(mnist, whole, tmp_path):
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(b"label\n1\n2\n")
    with pytest.raises(DataError, match="expected an IDX file of bytes with 1 axes"):
        whole(".")


def test_the_digits_come_with_scikit_learn(whole):
    cohort = whole("digits")
    assert len(cohort.table) == 1797 and len(cohort.classes) == 10 and "split" not in cohort.table
    assert cohort.value_range == (0, 16)


def test_the_real_mnist_is_60000_and_10000_in_official_order(real_data):
    table = Cohort.read(config.Data(cohort="mnist"), real_data).table
    counts = {"train": 50000, "val": 10000, "test": 10000}
    assert table["split"].value_counts().to_dict() == counts
    assert "".join(table["label"][:10]) == "5041921314"
    assert "".join(table["label"][60000:60010]) == "7210414959"

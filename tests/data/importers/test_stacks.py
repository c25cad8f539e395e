"""MNIST, MedMNIST and affNIST: one array, a table that points into it, and generated digits."""

from pathlib import Path

import numpy as np
import pytest

from capsmed import config
from capsmed.data import importers
from capsmed.data.cohort import Cohort
from capsmed.data.importers import Options, affnist
from capsmed.errors import DataError


@pytest.fixture
def npz(tmp_path: Path):
    """Write a MedMNIST-layout file of 4 + 2 + 2 cases; labels run through ``classes``."""

    def write(shape=(5, 7), name="set.npz", classes=2) -> Path:
        arrays = {}
        for part, n in (("train", 4), ("val", 2), ("test", 2)):
            values = np.arange(n * np.prod(shape)) % 251
            arrays[f"{part}_images"] = values.reshape(n, *shape).astype(np.uint8)
            arrays[f"{part}_labels"] = np.arange(n)[:, None] % classes
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        np.savez(tmp_path / name, **arrays)
        return tmp_path / name

    return write


@pytest.mark.parametrize("kind", ["mnist", "affnist"])
def test_digits_become_one_array_and_a_table(kind, idx, tmp_path: Path, rows) -> None:
    found = importers.read(kind, idx(), tmp_path / "out")
    table = rows(found.table)
    assert table[0] == {
        **{"case_id": "train-00000", "patient_id": "", "image": "images.npy"},
        **{"label": "0", "index": "0", "split": "train"},
    }
    assert [row["index"] for row in table] == [str(number) for number in range(22)]
    assert [row["split"] for row in table] == ["train"] * 10 + ["val"] * 2 + ["test"] * 10
    side = 28 if kind == "mnist" else 40
    assert np.load(tmp_path / "out" / "images.npy").shape == (22, side, side)


def test_patients_are_said_to_be_unknown(idx, tmp_path: Path) -> None:
    assert "patients are unknown" in importers.read("mnist", idx(), tmp_path / "out").notes[0]


@pytest.mark.parametrize("kind", ["mnist", "affnist"])
def test_a_folder_without_the_files_says_how_to_get_them(kind, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="MNIST is fetched by: capsmed data get mnist"):
        importers.read(kind, tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 3), (5, 7, 4)])
def test_an_npz_is_the_same_set_in_its_file_and_imported(shape, npz, tmp_path: Path) -> None:
    path = npz(shape)
    found = importers.read("medmnist", path, tmp_path / "out")
    direct = Cohort.read(config.Data(cohort=str(path)), Path())
    imported = Cohort.read(config.Data(cohort=str(found.table)), Path())
    for cohort in (direct, imported):
        assert (cohort.patients_known, cohort.classes) == (False, ("0", "1"))
    for (_, one), (_, other) in zip(
        direct.included.iterrows(), imported.included.iterrows(), strict=True
    ):
        first, second = direct.volume(one), imported.volume(other)
        assert np.array_equal(first.read(None), second.read(None))
        assert first.value_range == second.value_range


@pytest.mark.parametrize("place", ["nodulemnist3d.npz", "nodulemnist3d/nodulemnist3d.npz"])
def test_a_set_is_found_by_its_name(place, npz, tmp_path: Path, monkeypatch) -> None:
    npz((4, 5, 6), place)
    monkeypatch.setenv("CAPSMED_DATA", str(tmp_path))
    found = importers.read("medmnist", "nodulemnist3d", tmp_path / "out")
    assert (found.rows, found.config) == (8, "nodulemnist3d")
    assert found.settings == {"patch.size": "[4, 5, 6]"}
    assert found.notes[1].startswith("label 0 is benign, 1 malignant")


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("nodulemnist3d", "fetch it with: capsmed data get nodulemnist3d"),
        ("pneumoniamnist", "the sets are at https://medmnist.com"),
        ("lost/set.npz", "expected a .npz file or the name of a set that is here"),
    ],
)
def test_a_set_that_is_not_here_says_where_it_is_had(name, advice, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("CAPSMED_DATA", str(tmp_path))
    with pytest.raises(DataError, match=advice):
        importers.read("medmnist", name, tmp_path / "out")


def test_pictures_of_more_classes_begin_with_another_configuration(npz, tmp_path: Path) -> None:
    found = importers.read("medmnist", npz(classes=3), tmp_path / "out")
    assert found.config == "luna16"
    assert found.settings == {"patch.size": "[7, 5]", "data.positive": "null"}


def test_training_digits_are_placed_whole_and_test_digits_are_transformed(idx, tmp_path) -> None:
    found = importers.read("affnist", idx(), tmp_path / "out")
    images = np.load(found.table.parent / "images.npy")
    assert set(np.unique(images[:12])) == {0, 200}
    assert len(np.unique(images[12:])) > 20
    assert [image.sum() // 800 for image in images[:5]] == [8, 7, 6, 5, 4]


def test_the_seed_decides_every_digit(idx, tmp_path: Path) -> None:
    source, images = idx(), []
    for name, seed in (("a", None), ("b", 0), ("c", 1)):
        out = tmp_path / name
        importers.read("affnist", source, out, Options(seed=seed))
        images.append(np.load(out / "images.npy"))
    assert np.array_equal(images[0], images[1])
    for part in (slice(None, 12), slice(12, None)):
        assert not np.array_equal(images[0][part], images[2][part])


def test_placed_digits_reach_every_place(tmp_path: Path) -> None:
    digits = np.full((400, 37, 28), 7, np.uint8)
    images = affnist.placed(digits, np.random.default_rng(0))
    assert (images.sum((1, 2)) == 7 * 37 * 28).all()
    assert set((images > 0).any(2).argmax(1)) == set(range(4))
    assert set((images > 0).any(1).argmax(1)) == set(range(13))


def test_transforms_fill_the_published_ranges() -> None:
    matrices, shifts = affnist.transforms(4000, np.random.default_rng(0))
    scale_column = np.linalg.norm(matrices[:, :, 1], axis=1)
    angle = np.rad2deg(np.arctan2(-matrices[:, 0, 1], matrices[:, 1, 1]))
    scale_row = np.linalg.det(matrices) / scale_column
    turned = np.einsum("nji,nj->ni", matrices, matrices[:, :, 1] / scale_column[:, None])
    shear = turned[:, 0] / scale_column
    limits = ((angle, 20), (shear, 0.2), (scale_row - 1, 0.2), (scale_column - 1, 0.2))
    for values, limit in (*limits, (shifts[:, 0], 8), (shifts[:, 1], 8)):
        assert np.abs(values).max() <= limit * (1 + 1e-9)
        assert values.min() < -0.98 * limit
        assert values.max() > 0.98 * limit


def test_no_transform_puts_the_digit_in_the_middle_unchanged() -> None:
    digit = np.random.default_rng(0).integers(0, 256, (1, 28, 28)).astype(np.uint8)
    image = affnist.transformed(digit, np.eye(2)[None], np.zeros((1, 2)))
    assert np.array_equal(image[0], np.pad(digit[0], 6))


def test_a_transform_moves_a_dot_where_its_matrix_says() -> None:
    digit = np.zeros((1, 29, 29), np.uint8)  # odd in 40: the middle is between pixels
    digit[0, 14 - 3, 14 + 5] = 255
    matrix = np.array([[[0.0, -1.0], [1.0, 0.0]]])  # a quarter turn takes (-3, 5) to (-5, -3)
    image = affnist.transformed(digit, matrix, np.array([[2.5, -1.5]]))
    assert image[0, 19 + 1 + 2 - 5, 19 - 1 - 3] == 255
    assert image.sum() == 255


def test_a_digit_moved_beyond_the_border_is_cut_off() -> None:
    digit = np.full((1, 28, 28), 100, np.uint8)
    image = affnist.transformed(digit, np.eye(2)[None], np.array([[8.0, 0.0]]))
    assert np.array_equal(np.flatnonzero(image[0].any(1)), np.arange(14, 40))


def test_digits_larger_than_the_image_are_refused(idx, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected digits of at most 40 x 40 pixels, got 41 x 41"):
        importers.read("affnist", idx(41), tmp_path / "out")


def test_hardly_any_ink_of_real_test_digits_is_lost(real_data: Path) -> None:
    from capsmed.data.whole_sets import idx

    digits = idx.read(real_data / "mnist").images[-1000:]
    matrices, shifts = affnist.transforms(1000, np.random.default_rng(0))
    images = affnist.transformed(digits, matrices, shifts)
    kept = images.sum((1, 2)) / (digits.sum((1, 2)) * np.linalg.det(matrices))
    assert kept.mean() == pytest.approx(0.9993, abs=1e-3)
    assert kept.min() > 0.8

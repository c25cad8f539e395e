"""Small sources in each layout, written into the test's own folder."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image

from capsmed.data.table import read_table


@pytest.fixture
def pictures(tmp_path: Path) -> Callable[..., Path]:
    """Write a 6 x 4 grey picture for each path below the folder 'source'; give the folder."""

    def write(*names: str) -> Path:
        for number, name in enumerate(names):
            path = tmp_path / "source" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((4, 6), number, np.uint8)).save(path)
        return tmp_path / "source"

    return write


@pytest.fixture
def scan(tmp_path: Path, slice_of) -> Callable[..., Path]:
    """Write a series of three slices into a folder below 'source'; give 'source'."""

    def write(
        folder: str, uid: str = "1.2.3", patient: str = "007", modality: str = "CT", **tags: object
    ) -> Path:
        place = tmp_path / "source" / folder
        place.mkdir(parents=True, exist_ok=True)
        for number in range(3):
            ds = slice_of(2.0 * number, series=uid)
            ds.PatientID, ds.Modality, ds.InstanceNumber = patient, modality, number + 1
            for name, value in tags.items():
                setattr(ds, name, value)
            pydicom.dcmwrite(place / f"{uid}-{number}.dcm", ds, enforce_file_format=True)
        return tmp_path / "source"

    return write


@pytest.fixture
def idx(tmp_path: Path) -> Callable[..., Path]:
    """Write an IDX folder of 12 + 10 digits, each a bright square at its own place."""

    def write(size: int = 28) -> Path:
        folder = tmp_path / "idx"
        folder.mkdir()
        for stem, count in (("train", 12), ("t10k", 10)):
            images = np.zeros((count, size, size), np.uint8)
            for number, image in enumerate(images):
                image[8 + number % 5 : 16, 10:14] = 200
            labels = np.arange(count, dtype=np.uint8) % 2
            _dump(folder / f"{stem}-images-idx3-ubyte", images)
            _dump(folder / f"{stem}-labels-idx1-ubyte", labels)
        return folder

    return write


def _dump(path: Path, values: np.ndarray) -> None:
    header = bytes((0, 0, 8, values.ndim)) + np.array(values.shape, ">u4").tobytes()
    path.write_bytes(header + values.tobytes())


@pytest.fixture
def rows() -> Callable[[Path], list[dict[str, str]]]:
    """The rows of an imported table."""
    return lambda table: list(read_table(table).rows)

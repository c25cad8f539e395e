"""Small cohorts, images and DICOM series, written into the test's own folder."""

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from capsmed import config
from capsmed.data.cohort import Cohort

RAS_AT_ORIGIN = np.diag([1.0, 1.0, 1.0, 1.0])


@pytest.fixture
def nifti(tmp_path: Path) -> Callable[..., Path]:
    """Write voxels (or a small ramp) as NIfTI; give the path."""

    def write(name: str = "a.nii.gz", values=None, affine=RAS_AT_ORIGIN) -> Path:
        values = np.arange(7 * 5 * 3).reshape(7, 5, 3) if values is None else values
        path = tmp_path / name
        nib.save(nib.Nifti1Image(np.asarray(values, np.float32), affine), path)
        return path

    return write


@pytest.fixture
def table(tmp_path: Path, nifti) -> Callable[..., config.Data]:
    """Write a table and every .nii.gz image it names; give the config's section for it."""

    def write(text: str, name: str = "cohort.csv", images: bool = True, **options) -> config.Data:
        (tmp_path / name).write_text(text, encoding="utf-8")
        for cell in text.replace(",", " ").replace(";", " ").split():
            if images and cell.endswith(".nii.gz") and not cell.startswith("lost"):
                nifti(cell)
        return config.Data(cohort=name, **options)

    return write


@pytest.fixture
def read(tmp_path: Path) -> Callable[[config.Data], Cohort]:
    """Read the cohort of a config's section from the test's folder."""
    return lambda data: Cohort.read(data, tmp_path)


@pytest.fixture
def cases(table, read) -> Callable[..., Cohort]:
    """A cohort of n cases, two lesions a patient, a third of them malignant, one shared image."""

    def make(count: int = 24, extra: str = "", cell=lambda i: "", **options) -> Cohort:
        lines = [f"case_id,patient_id,image,label{extra}"]
        for i in range(count):
            label = "malignant" if (i // 2) % 3 == 0 else "benign"
            lines.append(f"c{i:02d},p{i // 2:02d},a.nii.gz,{label}{cell(i)}")
        return read(table("\n".join(lines), **options))

    return make


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a cache that is switched on."""
    monkeypatch.setenv("CAPSMED_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("CAPSMED_CACHE_GB", "1")
    return tmp_path / "cache" / "patches"


@pytest.fixture
def slice_of() -> Callable[..., Dataset]:
    """One CT slice, 4 rows by 5 columns, every pixel 10 z + its own rescale."""

    def make(z: float, series: str = "1.2.3", intercept: float = -1024.0, slope: float = 1.0):
        ds = Dataset()
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = CTImageStorage
        ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = generate_uid()
        ds.PatientID, ds.StudyInstanceUID, ds.SeriesInstanceUID = "007", "1.2", series
        ds.ImagePositionPatient = [-10.0, -20.0, z]
        ds.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        ds.PixelSpacing, ds.SliceThickness = [0.5, 0.75], 2.0
        ds.Rows, ds.Columns = 4, 5
        ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
        ds.BitsAllocated = ds.BitsStored = 16
        ds.HighBit, ds.PixelRepresentation = 15, 0
        ds.RescaleSlope, ds.RescaleIntercept = slope, intercept
        pixels = np.arange(20, dtype=np.uint16).reshape(4, 5) + np.uint16(100 * z)
        ds.PixelData = pixels.tobytes()
        return ds

    return make


@pytest.fixture
def series(tmp_path: Path) -> Callable[[list[Dataset]], Path]:
    """Write slices into one folder, file names in the order given."""

    def write(slices: list[Dataset]) -> Path:
        folder = tmp_path / "series"
        folder.mkdir()
        for number, ds in enumerate(slices):
            pydicom.dcmwrite(folder / f"{number}.dcm", ds, enforce_file_format=True)
        return folder

    return write

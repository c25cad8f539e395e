"""ScanReader inside MONAI's own pipelines."""

import nibabel as nib
import numpy as np
import pytest
from monai.data.utils import list_data_collate
from monai.transforms import Compose, LoadImage, LoadImaged, Orientationd, Spacingd

from capsmed.data.readers import open_volume
from capsmed.data.readers.monai_reader import ScanReader
from capsmed.errors import CheckFailed, DataError

# of MONAI's own default readers, which LoadImage sets up beside ours
pytestmark = pytest.mark.filterwarnings("ignore:NvImgCodecPydicomReader")


def test_loadimaged_gives_hu_and_the_ras_affine(series, slice_of):
    folder = series([slice_of(z) for z in (4, 0, 2)])
    load = LoadImaged("image", reader=ScanReader, ensure_channel_first=True)
    image = load({"image": folder})["image"]
    volume = open_volume(folder)
    assert np.array_equal(image[0].numpy(), volume.read(None))
    assert np.allclose(image.affine, volume.affine)
    assert (image.meta["patient_id"], image.meta["findings"]) == ("007", "")


def test_a_pipeline_resamples_and_turns_it(series, slice_of):
    pipeline = Compose(
        [
            LoadImaged("image", reader=ScanReader, ensure_channel_first=True),
            Orientationd("image", "RAS", labels=None),
            Spacingd("image", (0.75, 0.5, 1.0)),
        ]
    )
    image = pipeline({"image": series([slice_of(z) for z in (0, 2, 4)])})["image"]
    assert image.shape == (1, 5, 4, 5)
    assert np.allclose(image[0, -1, -1], [-1024, -924, -824, -724, -624], atol=1e-2)


def test_nifti_and_dicom_come_alike(series, slice_of, tmp_path):
    volume = open_volume(series([slice_of(z) for z in (0, 2, 4)]))
    nib.save(nib.Nifti1Image(volume.read(None), volume.affine), tmp_path / "same.nii.gz")
    load = LoadImage(reader=ScanReader())
    one, other = load(tmp_path / "series"), load(tmp_path / "same.nii.gz")
    assert np.array_equal(one, other) and np.allclose(one.affine, other.affine)


def test_the_reader_is_chosen_by_what_a_path_holds(series, slice_of, nifti, tmp_path):
    folder = series([slice_of(0)])
    (folder / "0.dcm").rename(folder / "IM0")
    (tmp_path / "notes.txt").write_text("free")
    reader = ScanReader()
    assert all(reader.verify_suffix(path) for path in (folder, folder / "IM0", nifti()))
    assert not reader.verify_suffix([folder, tmp_path / "notes.txt"])


def test_policies_and_series_are_options(series, slice_of):
    folder = series([slice_of(0), slice_of(2), slice_of(2), slice_of(0, series="9.9")])
    with pytest.raises(CheckFailed, match="several slices lie at one position"):
        ScanReader(series="1.2.3").get_data([folder])
    reader = ScanReader(checks={"duplicate_slices": "warn"}, series="1.2.3")
    values, meta = reader.get_data(reader.read(folder))
    assert values.shape == (5, 4, 2) and meta["findings"] == "duplicate_slices"


def test_several_files_become_channels(nifti):
    image = LoadImage(reader=ScanReader(), ensure_channel_first=True)(
        [nifti("a.nii"), nifti("b.nii")]
    )
    assert image.shape == (2, 7, 5, 3)
    with pytest.raises(DataError, match="expected the shape and affine of the first image"):
        other = nifti("c.nii", affine=np.diag([2.0, 1, 1, 1]))
        ScanReader().get_data(ScanReader().read([nifti("a.nii"), other]))


def test_metadata_of_different_cases_can_be_batched(series, slice_of):
    folder = series([slice_of(0), slice_of(2)])
    load = LoadImaged("image", reader=ScanReader, ensure_channel_first=True)
    batch = list_data_collate([load({"image": folder}), load({"image": folder})])
    assert batch["image"].shape == (2, 1, 5, 4, 2)


@pytest.mark.parametrize("policy", ["error", "skip"])
def test_monai_does_not_fall_back_on_a_reader_without_checks(series, slice_of, policy):
    folder = series([slice_of(z) for z in (0, 2, 6, 8)])
    reader = ScanReader(checks={"missing_slices": policy})
    for load in (LoadImaged("image", reader=reader), LoadImaged("image", reader=ScanReader)):
        with pytest.raises(CheckFailed, match="data.checks.missing_slices"):
            load({"image": folder})


def test_a_path_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DataError, match="nix: not found"):
        LoadImage(reader=ScanReader)(tmp_path / "nix")

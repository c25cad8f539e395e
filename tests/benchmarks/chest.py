"""A chest CT as scanners send it, drawn: 512 x 512 pixels, 300 slices, some fifty tags each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

PIXELS = 512
SPACING = 0.7
_TEXT = {
    "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
    "StudyDate": "20200101",
    "SeriesDate": "20200101",
    "AcquisitionDate": "20200101",
    "ContentDate": "20200101",
    "StudyTime": "101010",
    "SeriesTime": "101010",
    "AcquisitionTime": "101010",
    "ContentTime": "101010",
    "AccessionNumber": "1",
    "Modality": "CT",
    "Manufacturer": "NONE",
    "InstitutionName": "NONE",
    "ReferringPhysicianName": "",
    "StationName": "CT1",
    "StudyDescription": "CHEST",
    "SeriesDescription": "CHEST 1.0 B31f",
    "ManufacturerModelName": "DRAWN",
    "PatientName": "DRAWN",
    "PatientID": "DRAWN",
    "PatientBirthDate": "",
    "PatientSex": "O",
    "PatientAge": "060Y",
    "BodyPartExamined": "CHEST",
    "ScanOptions": "HELIX",
    "SliceThickness": "1.0",
    "KVP": "120",
    "DataCollectionDiameter": "500",
    "SoftwareVersions": "1",
    "ProtocolName": "CHEST",
    "ReconstructionDiameter": "358.4",
    "DistanceSourceToDetector": "1040",
    "DistanceSourceToPatient": "570",
    "GantryDetectorTilt": "0",
    "TableHeight": "160",
    "RotationDirection": "CW",
    "ExposureTime": "500",
    "XRayTubeCurrent": "200",
    "Exposure": "100",
    "FilterType": "0",
    "ConvolutionKernel": "B31f",
    "PatientPosition": "HFS",
    "StudyID": "1",
    "SeriesNumber": "2",
    "AcquisitionNumber": "1",
    "PositionReferenceIndicator": "",
    "WindowCenter": "-500",
    "WindowWidth": "1500",
}


def write_chest(folder: Path, slices: int) -> None:
    """Write the series into a new folder; its first pixel lies at LPS (-180, -180, 0) mm."""
    folder.mkdir()
    study, series, frame = generate_uid(), generate_uid(), generate_uid()
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 30, (PIXELS, PIXELS)).astype(np.float32)
    for number in range(slices):
        ds = _slice(number, _drawn(number, noise))
        ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = study, series, frame
        path = folder / f"{number + 1:04d}.dcm"
        pydicom.dcmwrite(path, ds, enforce_file_format=True)


def _drawn(number: int, noise: np.ndarray) -> np.ndarray:
    """Stored values of one slice: air, body, two lungs, balls of 6 mm every 20 mm."""
    y, x = np.mgrid[:PIXELS, :PIXELS] * SPACING - 180
    hu = np.where((x / 160) ** 2 + (y / 120) ** 2 < 1, 40.0, -1000.0)
    hu[((np.abs(x) - 70) / 50) ** 2 + (y / 80) ** 2 < 1] = -850
    near = [(axis + 10) % 20 - 10 for axis in (x, y, np.float64(number))]
    hu[sum(axis**2 for axis in near) < 9] = 30
    return np.clip(hu + np.roll(noise, 37 * number, axis=1) + 1024, 0, 4095).astype(np.uint16)


def _slice(number: int, stored: np.ndarray) -> Dataset:
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = CTImageStorage
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = generate_uid()
    for name, value in _TEXT.items():
        setattr(ds, name, value)
    ds.InstanceNumber = number + 1
    ds.ImagePositionPatient = [-180, -180, number]
    ds.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    ds.SliceLocation = number
    ds.PixelSpacing = [SPACING, SPACING]
    ds.Rows, ds.Columns = stored.shape
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
    ds.RescaleSlope, ds.RescaleIntercept, ds.RescaleType = 1, -1024, "HU"
    ds.PixelData = stored.tobytes()
    return ds

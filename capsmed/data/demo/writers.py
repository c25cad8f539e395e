"""Write a rendered block as a DICOM series or as a NIfTI file."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from capsmed.data.demo.render import THINNEST_MM, Block
from capsmed.data.demo.scene import Scene

if TYPE_CHECKING:
    from pydicom import Dataset
    from pydicom.uid import UID

DESCRIPTION = "capsmed demo: synthetic pixels, real outlines"


def write_nifti(block: Block, scene: Scene, path: Path) -> None:
    """Write int16 HU as ``path`` (.nii) with the axes that ``scene.stored`` names."""
    import nibabel

    voxels, affine = flipped(block, scene.stored)
    image = nibabel.Nifti1Image(voxels, affine)
    image.set_sform(affine, code=1)
    image.set_qform(affine, code=1)
    image.header.set_xyzt_units("mm")
    image.header["descrip"] = DESCRIPTION.encode()
    path.write_bytes(image.to_bytes())


def flipped(block: Block, axes: str) -> tuple[np.ndarray, np.ndarray]:
    """Return voxels and affine of the same scan with axes such as ``LPS`` instead of ``RAS``."""
    voxels, affine = block.hu, block.affine.copy()
    for number, (now, wanted) in enumerate(zip("RAS", axes, strict=True)):
        if now != wanted:
            voxels = np.flip(voxels, number)
            affine[:3, 3] += affine[:3, number] * (voxels.shape[number] - 1)
            affine[:3, number] *= -1
    return np.ascontiguousarray(voxels), affine


def write_dicom(block: Block, scene: Scene, patient_id: str, folder: Path) -> None:
    """Write one CT slice a file into ``folder``: explicit VR little endian, LPS as DICOM has it.

    ``scene.stored`` says whether InstanceNumber 1 is nearest the head or the feet. Every other
    series is unsigned with intercept -1024, the rest signed with intercept 0.
    """
    folder.mkdir(parents=True)
    voxels, affine = flipped(block, "LPS")
    intercept = -1024 if scene.index % 2 else 0
    pixels = (voxels.astype(np.int32) - intercept).astype(np.uint16 if intercept else np.int16)
    dataset = _header(scene, patient_id, pixels.shape, intercept)
    order = range(pixels.shape[2])
    for number, k in enumerate(reversed(order) if scene.stored == "head" else order, start=1):
        x, y, z = affine[:3, 3] + k * affine[:3, 2]
        uid = _uid("image", scene.index, k)
        dataset.SOPInstanceUID = uid
        dataset.file_meta.MediaStorageSOPInstanceUID = uid
        dataset.InstanceNumber = number
        dataset.ImagePositionPatient = [f"{v:.4f}" for v in (-x, -y, z)]
        dataset.SliceLocation = f"{z:.4f}"
        dataset.PixelData = np.ascontiguousarray(pixels[:, :, k].T).tobytes()
        dataset.save_as(folder / f"{number:04d}.dcm", enforce_file_format=True)


def _header(scene: Scene, patient_id: str, shape: tuple[int, ...], intercept: int) -> Dataset:
    import pydicom
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

    dataset = pydicom.Dataset()
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = CTImageStorage
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.ImplementationClassUID = _uid("implementation")
    dataset.SOPClassUID = CTImageStorage
    for keyword, value in (_identity(scene, patient_id) | _pixels(scene, shape, intercept)).items():
        setattr(dataset, keyword, value)
    return dataset


def _identity(scene: Scene, patient_id: str) -> dict[str, object]:
    return {
        "ImageType": ["DERIVED", "SECONDARY", "AXIAL"],
        "Modality": "CT",
        "Manufacturer": "capsmed demo renderer",
        "StudyDescription": "LIDC-IDRI outlines (Armato 2011), CC BY 3.0",
        "SeriesDescription": DESCRIPTION,
        "PatientID": patient_id,
        "PatientName": patient_id,
        "PatientBirthDate": "",
        "PatientSex": "",
        "PatientIdentityRemoved": "YES",
        "DeidentificationMethod": "as published in LIDC-IDRI",
        "BodyPartExamined": "CHEST",
        "StudyInstanceUID": _uid("study", scene.index),
        "SeriesInstanceUID": _uid("series", scene.index),
        "FrameOfReferenceUID": _uid("frame", scene.index),
        "PositionReferenceIndicator": "",
        "StudyDate": "",
        "StudyTime": "",
        "StudyID": str(scene.index),
        "SeriesNumber": 1,
        "AccessionNumber": "",
        "ReferringPhysicianName": "",
        "AcquisitionNumber": 1,
    }


def _pixels(scene: Scene, shape: tuple[int, ...], intercept: int) -> dict[str, object]:
    return {
        "PatientPosition": "HFS",
        "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
        "PixelSpacing": [scene.pixel_spacing, scene.pixel_spacing],
        "SliceThickness": max(scene.slice_spacing, THINNEST_MM),
        "SpacingBetweenSlices": scene.slice_spacing,
        "KVP": 120,
        "Columns": shape[0],
        "Rows": shape[1],
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "BitsAllocated": 16,
        "BitsStored": 16,
        "HighBit": 15,
        "PixelRepresentation": 0 if intercept else 1,
        "RescaleSlope": 1,
        "RescaleIntercept": intercept,
        "RescaleType": "HU",
        "WindowCenter": -600,
        "WindowWidth": 1500,
    }


def _uid(*words: object) -> UID:
    """Return the same UID for the same words, under ISO's root for UUIDs."""
    from pydicom.uid import UID

    text = "/".join(("capsmed demo", *map(str, words)))
    return UID(f"2.25.{uuid.uuid5(uuid.NAMESPACE_URL, text).int}")

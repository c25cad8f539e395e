"""One synthetic scan written as every format that capsmed reads, each by plain means."""

import gzip
import zlib
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def write_dicom(folder: Path, hu: np.ndarray, affine: np.ndarray, **tags) -> Path:
    """One file a slice, named against their order; x and y must be at right angles.

    Args:
        folder: to write into.
        hu: int16 [x, y, z].
        affine: index to RAS+ mm; a z step against the slices' normal is no matter.
        **tags: DICOM keywords that every slice gets besides.
    """
    folder.mkdir(parents=True)
    for z in range(hu.shape[2]):
        ds = ct_slice(hu, affine, z)
        for keyword, value in tags.items():
            setattr(ds, keyword, value)
        pydicom.dcmwrite(folder / f"{hu.shape[2] - z:03d}.dcm", ds, enforce_file_format=True)
    return folder


def ct_slice(hu: np.ndarray, affine: np.ndarray, z: int) -> Dataset:
    """Slice ``z`` of a scan as a CT image, stored unsigned with intercept -1024."""
    lps = LPS @ affine
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = CTImageStorage
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = f"1.2.3.4.{z + 1}"
    ds.PatientID, ds.StudyInstanceUID, ds.SeriesInstanceUID = "p1", "1.2.3", "1.2.3.4"
    ds.Modality, ds.InstanceNumber = "CT", z + 1
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.ImagePositionPatient = _decimals((lps @ [0, 0, z, 1])[:3])
    ds.ImageOrientationPatient = _decimals((lps[:3, :2] / spacing[:2]).T.ravel())
    ds.PixelSpacing = _decimals(spacing[[1, 0]])
    ds.SliceThickness = _decimals(spacing[2:])[0]
    ds.Columns, ds.Rows = hu.shape[:2]
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 0
    ds.RescaleSlope, ds.RescaleIntercept = 1, -1024
    ds.PixelData = (hu[:, :, z].T.astype(np.int32) + 1024).astype("<u2").tobytes()
    return ds


def write_nifti(path: Path, hu: np.ndarray, affine: np.ndarray, **forms) -> Path:
    """As .nii or .nii.gz; ``sform`` and ``qform`` give (affine, code) instead of the sform."""
    image = nib.Nifti1Image(hu, affine)
    if forms:
        image.set_sform(*forms.get("sform", (None, 0)))
        image.set_qform(*forms.get("qform", (None, 0)))
    nib.save(image, path)
    return path


def write_nrrd(path: Path, hu: np.ndarray, affine: np.ndarray, **fields) -> Path:
    """As .nrrd, in LPS, voxels gzipped; ``fields`` change the header's (None leaves one out)."""
    lps = LPS @ affine
    known = {
        "type": "short",
        "dimension": 3,
        "space": "left-posterior-superior",
        "sizes": _words(hu.shape),
        "space directions": " ".join(f"({_words(column, ',')})" for column in lps[:3, :3].T),
        "kinds": "domain domain domain",
        "endian": "little",
        "encoding": "gzip",
        "space origin": f"({_words(lps[:3, 3], ',')})",
    }
    known |= {name.replace("_", " "): value for name, value in fields.items()}
    lines = [f"{name}: {value}" for name, value in known.items() if value is not None]
    order = ">" if known["endian"] == "big" else "<"
    data = hu.astype(hu.dtype.newbyteorder(order)).tobytes(order="F")
    data = gzip.compress(data) if known["encoding"] == "gzip" else data
    path.write_bytes("\n".join(["NRRD0004", "# by hand", *lines, "", ""]).encode() + data)
    return path


def write_metaimage(path: Path, hu: np.ndarray, affine: np.ndarray, **fields) -> Path:
    """As .mha, or as .mhd with the voxels beside it; ``fields`` as of ``write_nrrd``."""
    lps = LPS @ affine
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    known = {
        "ObjectType": "Image",
        "NDims": 3,
        "BinaryData": "True",
        "BinaryDataByteOrderMSB": "False",
        "CompressedData": str(path.suffix == ".mha"),
        "TransformMatrix": _words((lps[:3, :3] / spacing).T.ravel()),
        "Offset": _words(lps[:3, 3]),
        "CenterOfRotation": "0 0 0",
        "AnatomicalOrientation": "RAI",
        "ElementSpacing": _words(spacing),
        "DimSize": _words(hu.shape),
        "ElementType": "MET_SHORT",
    }
    known |= fields
    order = ">" if known["BinaryDataByteOrderMSB"] == "True" else "<"
    packed = hu.astype(hu.dtype.newbyteorder(order)).tobytes(order="F")
    if known["CompressedData"] == "True":
        packed = zlib.compress(packed)
        known.setdefault("CompressedDataSize", len(packed))
    local = path.suffix == ".mha"
    known["ElementDataFile"] = known.pop("ElementDataFile", "LOCAL" if local else "scan.raw")
    lines = [f"{name} = {value}\n" for name, value in known.items() if value is not None]
    path.write_bytes("".join(lines).encode() + packed * local)
    if not local:
        (path.parent / "scan.raw").write_bytes(packed)
    return path


WRITERS: dict[str, Callable[..., Path]] = {
    "dicom": write_dicom,
    "scan.nii.gz": write_nifti,
    "scan.nii": write_nifti,
    "scan.nrrd": write_nrrd,
    "scan.mhd": write_metaimage,
    "scan.mha": write_metaimage,
}


def write_scan(folder: Path, name: str, hu: np.ndarray, affine: np.ndarray) -> Path:
    """The scan in the format that ``name``, a key of ``WRITERS``, stands for; its path."""
    return WRITERS[name](folder / name, hu, affine)


def _decimals(numbers: np.ndarray) -> list[str]:
    """As DICOM's decimal strings: 16 characters at most."""
    return [
        next(text for n in range(17, 0, -1) if len(text := f"{x:.{n}g}") <= 16) for x in numbers
    ]


def _words(numbers: object, between: str = " ") -> str:
    return between.join(f"{number:.17g}" for number in np.asarray(numbers).tolist())

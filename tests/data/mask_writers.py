"""One lesion written as every kind of mask that capsmed reads, each by plain means."""

from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, RTStructureSetStorage, SegmentationStorage

LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
SERIES, FRAME = "1.2.3.4", "1.2.3.5"  # SERIES is what scan_writers gives its slices


def ball(shape, affine, centre, radius: float) -> np.ndarray:
    """Voxels whose centre lies within a ball, bool [x, y, z]."""
    index = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    places = index @ affine[:3, :3].T + affine[:3, 3]
    return np.linalg.norm(places - np.asarray(centre), axis=-1) <= radius


def circles(affine, depth: int, centre, radius: float, corners: int = 200) -> list[np.ndarray]:
    """A ball's outlines on the slices of a grid, RAS mm, each [corners, 3]."""
    turn = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    found = []
    for z in range(depth):
        height = (affine @ [0, 0, z, 1])[2]
        rest = radius**2 - (height - centre[2]) ** 2
        if rest > 0:
            x, y = centre[0] + rest**0.5 * np.cos(turn), centre[1] + rest**0.5 * np.sin(turn)
            found.append(np.stack([x, y, np.full(corners, height)], axis=1))
    return found


def write_rtstruct(path: Path, rois, series=SERIES, frame=FRAME, form="CLOSED_PLANAR") -> Path:
    """``rois``: name to outlines in RAS mm."""
    ds = _dataset(RTStructureSetStorage, "RTSTRUCT")
    series_item = _item(SeriesInstanceUID=series)
    study = _item(RTReferencedSeriesSequence=Sequence([series_item]))
    ds.ReferencedFrameOfReferenceSequence = Sequence(
        [_item(FrameOfReferenceUID=frame, RTReferencedStudySequence=Sequence([study]))]
    )
    ds.StructureSetROISequence, ds.ROIContourSequence = Sequence(), Sequence()
    for number, (name, outlines) in enumerate(rois.items(), start=11):
        roi = _item(ROINumber=number, ROIName=name, ReferencedFrameOfReferenceUID=frame)
        ds.StructureSetROISequence.append(roi)
        contours = [_contour(corners, form) for corners in outlines]
        item = _item(ReferencedROINumber=number, ContourSequence=Sequence(contours))
        ds.ROIContourSequence.append(item)
    pydicom.dcmwrite(path, ds, enforce_file_format=True)
    return path


def write_seg(path: Path, segments, affine, kind="BINARY", series=SERIES, frame=FRAME, gap=True):
    """``segments``: name to bool [x, y, z]; frames without voxels are left out.

    Args:
        gap: whether the file says how far its planes are apart.
    """
    ds = _dataset(SegmentationStorage, "SEG")
    ds.SegmentationType, ds.MaximumFractionalValue = kind, 200
    ds.FrameOfReferenceUID = frame
    ds.ReferencedSeriesSequence = Sequence([_item(SeriesInstanceUID=series)])
    numbered = list(enumerate(segments, start=1))
    ds.SegmentSequence = Sequence(_item(SegmentNumber=n, SegmentLabel=s) for n, s in numbered)
    ds.SharedFunctionalGroupsSequence = Sequence([_geometry(affine, gap)])
    arrays, places = [], []
    for z in range(next(iter(segments.values())).shape[2]):
        planes = [(n, np.asarray(segments[name])[:, :, z].T) for n, name in numbered]
        for number, plane in _merged(planes) if kind == "LABELMAP" else planes:
            if plane.any():
                arrays.append(plane)
                places.append(_frame_item(affine, z, number))
    ds.PerFrameFunctionalGroupsSequence = Sequence(places)
    _set_pixels(ds, np.stack(arrays), kind)
    pydicom.dcmwrite(path, ds, enforce_file_format=True)
    return path


def write_seg_nrrd(path: Path, labels, affine, segments) -> Path:
    """``labels``: integers [x, y, z] or [layer, x, y, z]; ``segments``: (name, value, layer)."""
    lps = LPS @ affine
    vectors = " ".join(f"({','.join(map(repr, column))})" for column in lps[:3, :3].T.tolist())
    layered = labels.ndim == 4
    lines = ["NRRD0004", "type: uint8", f"dimension: {labels.ndim}", "encoding: raw"]
    lines += ["space: left-posterior-superior", f"sizes: {' '.join(map(str, labels.shape))}"]
    lines += [f"space directions: {'none ' if layered else ''}{vectors}"]
    lines += [f"kinds: {'list ' if layered else ''}domain domain domain"]
    lines += [f"space origin: ({','.join(map(repr, lps[:3, 3].tolist()))})"]
    for n, (name, value, layer) in enumerate(segments):
        lines += [f"Segment{n}_ID:=S{n}", f"Segment{n}_Name:={name}"]
        lines += [f"Segment{n}_LabelValue:={value}", f"Segment{n}_Layer:={layer}"]
    data = np.asarray(labels, np.uint8).ravel(order="F").tobytes()
    path.write_bytes("\n".join([*lines, "", ""]).encode() + data)
    return path


def _dataset(sop_class, modality: str) -> Dataset:
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = sop_class
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = "1.2.3.9"
    ds.Modality, ds.SeriesInstanceUID, ds.StudyInstanceUID = modality, "1.2.3.8", "1.2.3"
    return ds


def _item(**values) -> Dataset:
    ds = Dataset()
    for keyword, value in values.items():
        setattr(ds, keyword, value)
    return ds


def _contour(corners: np.ndarray, form: str) -> Dataset:
    numbers = (np.asarray(corners) * [-1, -1, 1]).ravel()
    data = [f"{number:.6f}" for number in numbers]
    return _item(ContourGeometricType=form, NumberOfContourPoints=len(corners), ContourData=data)


def _geometry(affine: np.ndarray, gap: bool) -> Dataset:
    lps = LPS @ affine
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    measures = _item(PixelSpacing=_texts(spacing[[1, 0]]), SliceThickness="0.5")
    if gap:
        measures.SpacingBetweenSlices = _texts(spacing[2:])[0]
    direction = _item(ImageOrientationPatient=_texts((lps[:3, :2] / spacing[:2]).T.ravel()))
    return _item(
        PixelMeasuresSequence=Sequence([measures]), PlaneOrientationSequence=Sequence([direction])
    )


def _frame_item(affine: np.ndarray, z: int, number: int) -> Dataset:
    place = _item(ImagePositionPatient=_texts((LPS @ affine @ [0, 0, z, 1])[:3]))
    item = _item(PlanePositionSequence=Sequence([place]))
    if number:
        which = _item(ReferencedSegmentNumber=number)
        item.SegmentIdentificationSequence = Sequence([which])
    return item


def _merged(planes) -> list[tuple[int, np.ndarray]]:
    return [(0, sum(number * plane.astype(np.uint8) for number, plane in planes))]


def _set_pixels(ds: Dataset, frames: np.ndarray, kind: str) -> None:
    ds.NumberOfFrames, ds.Rows, ds.Columns = frames.shape
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PixelRepresentation = 1, "MONOCHROME2", 0
    bits = 1 if kind == "BINARY" else 8
    ds.BitsAllocated = ds.BitsStored = bits
    ds.HighBit = bits - 1
    values = frames.astype(np.uint8) * (200 if kind == "FRACTIONAL" else 1)
    data = np.packbits(values.ravel(), bitorder="little") if bits == 1 else values
    ds.PixelData = data.tobytes() + b"\0" * (data.size % 2)


def _texts(numbers) -> list[str]:
    return [f"{number:.9g}" for number in numbers]

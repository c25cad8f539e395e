"""Masks of lesions in every form they come in, opened as voxels in the patient's space."""

from __future__ import annotations

from pathlib import Path

from capsmed import config
from capsmed.data import readers
from capsmed.data.masks import dicom_object, dicom_seg, label_map, rtstruct, seg_nrrd
from capsmed.data.masks.mask import Mask
from capsmed.data.volume import Volume
from capsmed.errors import DataError

__all__ = ["Mask", "open_mask"]


def open_mask(
    path: Path,
    segment: str = "",
    reference: Volume | None = None,
    checks: config.Checks | None = None,
) -> Mask:
    """Open a mask: DICOM SEG or RTSTRUCT, Slicer's .seg.nrrd, or an image of labels.

    Args:
        path: a file, or a folder with one SEG or RTSTRUCT or with a DICOM series.
        segment: name or number of a segment or ROI; the label in an image. '' takes the only
            segment, and in an image everything above 0.5.
        reference: the scan that the mask belongs to. A RTSTRUCT is filled on its grid; a SEG or
            RTSTRUCT that names another series or frame of reference is refused.
        checks: what happens when an image of labels is odd; default: the policies of the schema.

    Raises:
        CheckFailed: an image fails a check whose policy is not 'warn'.
        DataError: missing, unreadable, no such segment, or drawn on another scan. An empty mask
            is none: `Mask.centroid` and `Mask.diameter_mm` say so.
    """
    path = Path(path)
    if not path.exists():
        raise DataError(f"{path}: not found")
    found = dicom_object.find(path)
    if found is not None:
        file, kind = found
        read = rtstruct.read if kind == dicom_object.RTSTRUCT else dicom_seg.read
        try:
            return read(file, segment, reference)
        except DataError:
            raise
        except Exception as error:  # missing or damaged elements fail in many ways
            raise DataError(f"{file.name}: cannot be read as a mask ({error})") from error
    if path.name.lower().endswith(".nrrd"):
        return seg_nrrd.read(path, segment, checks or config.Checks())
    return label_map.read(readers.open_volume(path, checks), segment)

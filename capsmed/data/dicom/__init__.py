"""DICOM: an index of series, and each series as a lazy Volume in RAS+ mm."""

from capsmed.data.dicom.indexing import Series, damaged_below, find, index, series_of
from capsmed.data.dicom.opening import open_volume
from capsmed.data.dicom.parsing import looks_like_dicom
from capsmed.data.dicom.series import describe, open_series

__all__ = [
    "Series",
    "damaged_below",
    "describe",
    "find",
    "index",
    "looks_like_dicom",
    "open_series",
    "open_volume",
    "series_of",
]

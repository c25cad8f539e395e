"""What the stored values of a series mean: whether they are HU, or can become so."""

from __future__ import annotations

from capsmed.data.dicom.frames import Plane
from capsmed.data.volume import Finding
from capsmed.errors import CheckFailed

_HU_TYPES = {"", "HU", "US"}  # US: unspecified
_GREY = {"MONOCHROME2", ""}
_LARGEST = 1e9  # of a rescale; times a stored word it stays far inside a float32
_LOSSY = {
    "1.2.840.10008.1.2.4.50": "JPEG baseline",
    "1.2.840.10008.1.2.4.51": "JPEG extended",
    "1.2.840.10008.1.2.4.81": "JPEG-LS near-lossless",
    "1.2.840.10008.1.2.4.91": "JPEG 2000, which may be lossy",
    "1.2.840.10008.1.2.4.203": "HTJ2K, which may be lossy",
}


def check_values(found: list[Plane], findings: list[Finding]) -> None:
    """Check the kind of image, its rescale, its colours and its compression.

    Raises:
        CheckFailed: the values cannot become HU in any right way.
    """
    header = found[0].header
    _check_rescale(found, findings)
    if header.modality != "CT":
        findings.append(Finding("not_ct", f"expected Modality CT, got '{header.modality}'"))
    else:
        units = {plane.rescale_type for plane in found} - _HU_TYPES
        if units:
            findings.append(Finding("not_ct", f"expected HU, got values of type {min(units)}"))
    _check_grey(found, findings)
    lossy = [_LOSSY.get(p.header.syntax, "") or "marked" for p in found if _is_lossy(p)]
    if lossy:
        findings.append(
            Finding("lossy", f"{len(lossy)} of {len(found)} slices: lossy compression ({lossy[0]})")
        )


def _is_lossy(plane: Plane) -> bool:
    return plane.header.lossy or plane.header.syntax in _LOSSY


def _check_grey(found: list[Plane], findings: list[Finding]) -> None:
    odd = [p for p in found if p.header.photometric not in _GREY or p.header.samples != 1]
    if not odd:
        return
    kind = odd[0].header.photometric
    if odd[0].header.samples != 1 or not kind.startswith("MONOCHROME"):
        raise CheckFailed(
            "photometric", f"{odd[0].name}: expected grey pixels, got colours ({kind})"
        )
    findings.append(Finding("photometric", f"{odd[0].short}: expected MONOCHROME2, got {kind}"))


def _check_rescale(found: list[Plane], findings: list[Finding]) -> None:
    """Every slice must say how its stored values become HU, or none.

    Raises:
        CheckFailed: a slope of 0, a lookup table, or a rescale in some slices only.
    """
    without = []
    for plane in found:
        if plane.header.modality_lut:
            raise CheckFailed(
                "missing_rescale",
                f"{plane.name}: expected a rescale slope and intercept, got a lookup table",
            )
        if plane.slope is None or plane.intercept is None:
            without.append(plane)
        elif not (0 < abs(plane.slope) < _LARGEST and abs(plane.intercept) < _LARGEST):
            raise CheckFailed(
                "missing_rescale",
                f"{plane.name}: expected a finite rescale slope other than 0, got slope "
                f"{plane.slope:g} and intercept {plane.intercept:g}",
            )
    if not without:
        return
    first = without[0]
    tags = [
        tag
        for tag, value in (("RescaleSlope", first.slope), ("RescaleIntercept", first.intercept))
        if value is None
    ]
    text = f": expected the DICOM tags {', '.join(tags)}, got none"
    if len(without) < len(found) or any(p.slope is not None for p in found):
        raise CheckFailed("missing_rescale", f"{first.name}{text}, while other slices have them")
    findings.append(Finding("missing_rescale", f"{first.short}{text}"))

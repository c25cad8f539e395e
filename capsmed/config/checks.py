"""The part of the schema that says which failed checks of an image are errors."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from capsmed.config.fields import Section

Policy = Literal["error", "warn", "skip"]
Refusal = Literal["error", "skip"]


class Checks(Section):
    """What happens when an image fails a check: error, warn (and go on), or skip the case.

    A check whose failure leaves no right way to go on cannot be a warning.
    """

    several_series: Policy = Field(
        "error", description="several DICOM series in one place; warn: the one of most slices"
    )
    mixed_patients: Refusal = Field("error", description="slices of several patients or studies")
    mixed_orientation: Policy = Field(
        "error", description="slices of several directions; warn: the largest group"
    )
    mixed_shape: Policy = Field(
        "error", description="slices of several sizes or pixel spacings; warn: the largest group"
    )
    duplicate_slices: Policy = Field(
        "error", description="two slices at one position; warn: the first of them"
    )
    missing_slices: Policy = Field(
        "error", description="gaps of whole slices; warn: interpolated from the neighbours"
    )
    unequal_spacing: Policy = Field(
        "error", description="uneven steps between slices; warn: interpolated to even ones"
    )
    gantry_tilt: Policy = Field("warn", description="slices sheared; warn: the shear is kept")
    localizer: Policy = Field("warn", description="scout images among slices; warn: left out")
    missing_position: Refusal = Field(
        "error", description="no position, orientation or pixel spacing"
    )
    missing_rescale: Policy = Field(
        "error", description="no rescale slope and intercept; warn: stored values are taken as HU"
    )
    not_ct: Policy = Field("error", description="another modality than CT; warn: taken as it is")
    photometric: Policy = Field(
        "error", description="DICOM pixels other than MONOCHROME2; warn: stored values are taken"
    )
    lossy: Policy = Field("warn", description="lossy compression; warn: taken as it is")
    single_slice: Policy = Field(
        "warn", description="one slice only; warn: its thickness is the third step"
    )
    missing_geometry: Policy = Field(
        "error",
        description="a file that knows no place in the patient (NIfTI without sform and qform, "
        "NRRD without space); warn: its axes are taken as RAS",
    )
    form_conflict: Policy = Field(
        "error", description="NIfTI sform and qform that differ; warn: the sform"
    )

"""Which series a row of a table of points belongs to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from capsmed.data.dicom import Series

Row = Mapping[str, str]

NO_LABEL = "row without a label"
NO_KEY = "row without series_uid and patient_id"
NO_SERIES = "row whose series or patient is not in the source"
NO_CT = "row whose patient or study has no CT series"
AMBIGUOUS = "row whose patient or study has several CT series: name its series_uid"
CONTRADICTION = "row whose patient_id or study_uid is not that of its series_uid"
NO_PATIENT = "row of which neither the table nor the series names a patient"
NO_ROW = "CT series without a row"
NOT_CT = "series that is no CT scan, without a row"


def join(
    rows: Sequence[Row], series: Sequence[Series], left_out: Counter[str]
) -> list[tuple[Row, Series]]:
    """Each row with its series; rows and series that find no partner are counted.

    A row's series is the one of its ``series_uid``, else the only CT series of its ``patient_id``
    and ``study_uid``. What a row says beside its ``series_uid`` must not contradict the headers.
    """
    joined = []
    for row in rows:
        found = _match(row, series)
        if isinstance(found, str):
            left_out[found] += 1
        else:
            joined.append((row, found))
    used = {one.uid for _, one in joined}
    for one in series:
        if one.uid not in used:
            left_out[NO_ROW if is_ct(one) else NOT_CT] += 1
    return joined


def is_ct(series: Series) -> bool:
    """Whether the series is a CT scan: no scout image; one of unknown modality may be."""
    return series.modality in ("CT", "") and not series.localizer


def _match(row: Row, series: Sequence[Series]) -> Series | str:
    """The row's series, or why it has none."""
    if not row["label"]:
        return NO_LABEL
    uid, patient, study = (row.get(key, "") for key in ("series_uid", "patient_id", "study_uid"))
    if not uid and not patient:
        return NO_KEY
    found = [
        one
        for one in series
        if (one.uid == uid if uid else one.patient_id == patient)
        and (uid or not study or one.study_uid == study)
    ]
    if not found:
        return NO_SERIES
    if not uid:
        found = [one for one in found if is_ct(one)]
        if len(found) != 1:
            return AMBIGUOUS if found else NO_CT
    return _agreed(found[0], patient, study)


def _agreed(series: Series, patient: str, study: str) -> Series | str:
    if not patient and not series.patient_id:
        return NO_PATIENT
    if patient and series.patient_id and patient != series.patient_id:
        return CONTRADICTION
    return series if study in ("", series.study_uid) else CONTRADICTION

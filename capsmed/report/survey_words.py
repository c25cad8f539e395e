"""What a look at a cohort comes to, in sentences."""

from __future__ import annotations

from capsmed.data.survey import FrameTest, Survey

_MEANT = "ask where the table comes from: DICOM, ITK and LUNA16 give LPS, NIfTI gives RAS"


def frame_sentence(test: FrameTest) -> str:
    """Which frame fits, and what is to be done about it."""
    if test.verdict == "untested":
        return "No point is given in x, y, z: there is no frame to test."
    if test.verdict == "unclear":
        told = (
            "The images do not tell whether the points are RAS or LPS "
            f"({test.for_given:,} of {test.tested:,} points fit {test.frame} better, "
            f"{test.for_mirrored:,} {test.other})"
        )
        if test.named:
            return f"{told}; {test.frame} is taken, as named."
        return f"{told}. Name the frame all the same (data.frame); {_MEANT}."
    many = f"{max(test.for_given, test.for_mirrored):,} of {test.tested:,} points fit it better"
    less = f"{min(test.for_given, test.for_mirrored):,} fit {_loser(test)}"
    if not test.named:
        return f"The points fit {test.best}: {many}, {less}. Name it: data.frame: {test.best}."
    if test.verdict == "given":
        return f"The points fit the frame they are given in, {test.frame}: {many}, {less}."
    return (
        f"The other frame fits better: the points are named {test.frame}, but read as "
        f"{test.other} {many}, {less}. Set data.frame: {test.other}."
    )


def conclusion(survey: Survey) -> str:
    """What keeps the cohort from being trained on, in one line; '' when nothing does."""
    test, parts = survey.frame, []
    if test.verdict == "mirrored" and test.named:
        parts.append(f"the points fit {test.other} better than {test.frame}")
    if test.tested and not test.named:
        fits = f" (they fit {test.best})" if test.best else ""
        parts.append(f"the frame of its points must be named{fits}: --frame, data.frame")
    parts += [note.what for note in survey.notes if note.level == "mend"]
    bad = sum(case.bad for case in survey.cases)
    if bad:
        parts.append(_count(bad, "bad row"))
    related = sum(relation.level == "mend" for relation in survey.relations)
    if related:
        parts.append(_count(related, "group of cases", "groups of cases") + " to mend")
    return "; ".join(parts)


def summary(survey: Survey) -> str:
    """The cohort in one sentence."""
    cases = survey.cases
    patients = {case.patient_id for case in cases if case.patient_id}
    who = _count(len(patients), "patient") if survey.patients_known else "unknown patients"
    mend = {case.case_id for case in cases if case.bad}
    look = {case.case_id for case in cases if case.notes}
    for relation in survey.relations:
        (mend if relation.level == "mend" else look).update(relation.cases)
    bad, looked = len(mend), len(look - mend)
    return (
        f"{_count(len(cases), 'case')} of {who}: {bad:,} to mend, {looked:,} to look at, "
        f"{len(cases) - bad - looked:,} without a finding."
    )


def _loser(test: FrameTest) -> str:
    return test.other if test.best == test.frame else test.frame


def _count(count: int, one: str, many: str = "") -> str:
    return f"{count:,} {one if count == 1 else many or one + 's'}"

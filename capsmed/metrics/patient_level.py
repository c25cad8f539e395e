"""From cases to patients: one score and one label each."""

from __future__ import annotations

import pandas as pd

from capsmed.metrics.runs import RUN

RULE = "a patient's score is the highest of the cases', the label positive where any case is"


def of_patients(
    predictions: pd.DataFrame, cohort: pd.DataFrame, classes: tuple[str, ...], positive: str
) -> tuple[pd.DataFrame, pd.DataFrame] | None:
    """Predictions and cohort with a patient in the place of a case.

    The highest of a patient's scores brings its threshold, so that a patient is called positive
    where a case is.

    Args:
        predictions: rows of one model.
        cohort: case_id and patient.
        classes: in order.
        positive: the positive class.

    Returns:
        None where there is nothing new: no patient has several cases, one is unknown, or there
        are other than two classes.
    """
    if len(classes) != 2:
        return None
    patients = cohort.drop_duplicates("case_id").set_index("case_id")["patient"]
    owner = predictions["case_id"].map(patients).fillna("").astype(str)
    cases = predictions["case_id"].nunique()
    if (owner == "").any() or owner.nunique() == cases:
        return None
    rows = predictions.assign(case_id=owner, positive=predictions["label"] == positive)
    keys = [*RUN, "case_id"]
    any_positive = rows.groupby(keys)["positive"].transform("any")
    other = next(name for name in classes if name != positive)
    rows["label"] = any_positive.map({True: positive, False: other})
    highest = rows.groupby(keys)[f"prob_{positive}"].idxmax()
    found = rows.loc[highest].drop(columns="positive").reset_index(drop=True)
    names = found["case_id"].unique()
    return found, pd.DataFrame({"case_id": names, "patient": names})

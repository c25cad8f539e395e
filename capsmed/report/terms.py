"""What each metric says, in a sentence for readers who meet it for the first time."""

from __future__ import annotations

EXPLAINED = {
    "auc": (
        "The chance that a case of the positive class gets a higher score than one of the "
        "other class: 0.5 is guessing, 1 is perfect."
    ),
    "auc_of_classes": (
        "The mean over classes of the chance that a case of the class gets a higher score for"
        " it than a case of another: 0.5 is guessing, 1 is perfect."
    ),
    "accuracy": (
        "The share of cases that are called rightly at the threshold; calling all cases the "
        "most frequent class may already make it high."
    ),
    "error": "The share of cases that are called wrongly.",
    "balanced_accuracy": (
        "The mean of the shares of each class that are called rightly, so that a rare class "
        "counts as much as a frequent one."
    ),
    "sensitivity": "The share of positive cases that are called positive.",
    "specificity": "The share of negative cases that are called negative.",
    "average_precision": (
        "The area under the precision-recall curve; a score that says nothing reaches the "
        "share of positive cases."
    ),
    "ppv": (
        "The share of cases called positive that are; it falls where the class is rarer than here."
    ),
    "npv": (
        "The share of cases called negative that are; it falls where positive cases are more "
        "frequent than here."
    ),
    "f1": (
        "The harmonic mean of sensitivity and positive predictive value; with more than two "
        "classes its mean over classes."
    ),
    "mcc": (
        "The correlation of what is called with what is: 0 is guessing, 1 is perfect, and "
        "frequent classes bring no advantage."
    ),
    "brier": (
        "The mean squared distance of the probability from what happened (0 or 1): 0 is "
        "perfect, 0.25 is saying one half of every case of two classes."
    ),
    "log_loss": (
        "Minus the mean logarithm of the probability given to the true class: 0 is perfect, "
        "0.69 is saying one half of every case of two classes."
    ),
    "calibration_slope": (
        "1 where probabilities are as extreme as they should be; below 1 where they are too "
        "near to 0 and 1."
    ),
    "calibration_intercept": (
        "0 where probabilities are right on the whole; above 0 where they are too low, below "
        "0 where too high, as log odds."
    ),
    "calibration_error": (
        "The mean distance of the probabilities from the share of positive cases among cases "
        "of like probability; never negative, so above 0 on few cases even if all is well."
    ),
    "auc_of_a_class": (
        "The chance that a case of the class gets a higher score for it than a case of another:"
        " 0.5 is guessing, 1 is perfect."
    ),
    "one_vs_rest": (
        "Each class in turn is the positive one and all others together are the negative one."
    ),
    "macro": (
        "The mean over the classes that have a value: a rare class counts as much as a frequent"
        " one."
    ),
    "micro": (
        "Every case counts once for each class, as one of it or not, and all of these are ranked"
        " together: frequent classes count more, and scores are compared across classes."
    ),
    "auc_delong": "Another interval of the AUC, computed from ranks without resampling.",
    "auc_mean_of_folds": (
        "The mean of the AUCs within each fold. The pooled AUC above also compares cases of "
        "different folds, whose networks may score on different scales."
    ),
    "auc_difference": (
        "How much higher the network's AUC is, on the same cases; if the interval holds 0, "
        "these data do not tell the two apart."
    ),
    "patient_level": (
        "Of a patient with several cases only the highest score counts; the patient is "
        "positive where any case is."
    ),
    "operating_points": (
        "In each fold the largest threshold at which the inner part, not the test part, reaches the"
        " wanted sensitivity; what the test parts then show."
    ),
    "tuned": (
        "Values that a search has chosen in each fold, without a look at its test part; the "
        "inner score of the best of many trials is too high, the results above are not."
    ),
    "recalibrated": (
        "In each fold one number (temperature) or two (Platt) fitted to the inner part and applied"
        " to the test part's probabilities. It shows whether a correction would help; nothing else"
        " on this page uses it."
    ),
    "subgroups": (
        "The same network on parts of the cohort. With many parts some look good or bad by chance;"
        " nothing is adjusted for that."
    ),
}


def explained(key: str, classes: int) -> str:
    """The sentence of a metric, by its key in metrics.json.

    Args:
        key: of the metric.
        classes: number of classes.
    """
    return EXPLAINED["auc_of_classes" if key == "auc" and classes > 2 else key]

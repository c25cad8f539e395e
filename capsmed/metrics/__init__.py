"""Scores and how sure they are: NumPy, SciPy, pandas and scikit-learn only."""

from capsmed.metrics.intervals import bca, newcombe, percentile, wilson
from capsmed.metrics.paired import auc_difference
from capsmed.metrics.scores import (
    accuracy,
    auc,
    balanced_accuracy,
    decide,
    macro_auc,
    sensitivity,
    specificity,
)
from capsmed.metrics.size_only import size_only
from capsmed.metrics.summary import metrics_json, summarise
from capsmed.metrics.tables import read_table

__all__ = [
    "accuracy",
    "auc",
    "auc_difference",
    "balanced_accuracy",
    "bca",
    "decide",
    "macro_auc",
    "metrics_json",
    "newcombe",
    "percentile",
    "read_table",
    "sensitivity",
    "size_only",
    "specificity",
    "summarise",
    "wilson",
]

"""The configuration of an experiment: its schema, and how a YAML file becomes one."""

from capsmed.config.checks import Checks, Policy
from capsmed.config.dump import dump, is_of, json_schema
from capsmed.config.fields import Component, Section
from capsmed.config.load import Loaded, load, load_run
from capsmed.config.overrides import changed
from capsmed.config.paths import cohort_folder, shareable, weights_folder
from capsmed.config.schema import (
    Augmentation,
    Data,
    Evaluation,
    Experiment,
    Patch,
    Tracking,
    Training,
    Weights,
)
from capsmed.config.split import HeldOut, Split
from capsmed.config.tuning import Range, Tuning

__all__ = [
    "changed",
    "cohort_folder",
    "Augmentation",
    "Checks",
    "Component",
    "Data",
    "Evaluation",
    "Experiment",
    "HeldOut",
    "Loaded",
    "Patch",
    "Policy",
    "Range",
    "Section",
    "Split",
    "Tracking",
    "Training",
    "Tuning",
    "Weights",
    "dump",
    "is_of",
    "json_schema",
    "load",
    "load_run",
    "shareable",
    "weights_folder",
]

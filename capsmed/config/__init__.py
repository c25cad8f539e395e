"""The configuration of an experiment: its schema, and how a YAML file becomes one."""

from capsmed.config.dump import dump, is_of, json_schema
from capsmed.config.load import Loaded, load, load_run
from capsmed.config.overrides import changed
from capsmed.config.paths import cohort_folder, shareable, weights_folder
from capsmed.config.schema import (
    Augmentation,
    Checks,
    Data,
    Evaluation,
    Experiment,
    Patch,
    Policy,
    Split,
    Training,
    Weights,
)
from capsmed.config.tuning import Range, Tuning
from capsmed.config.values import Component, Section

__all__ = [
    "changed",
    "cohort_folder",
    "Augmentation",
    "Checks",
    "Component",
    "Data",
    "Evaluation",
    "Experiment",
    "Loaded",
    "Patch",
    "Policy",
    "Range",
    "Section",
    "Split",
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

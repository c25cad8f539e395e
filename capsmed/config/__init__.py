"""The configuration of an experiment: its schema, and how a YAML file becomes one."""

from capsmed.config.dump import dump, is_of, json_schema
from capsmed.config.load import Loaded, load, load_run
from capsmed.config.paths import cohort_folder, shareable, weights_folder
from capsmed.config.schema import (
    Augmentation,
    Checks,
    Component,
    Data,
    Evaluation,
    Experiment,
    Patch,
    Policy,
    Section,
    Training,
    Weights,
)
from capsmed.config.split import HeldOut, Split

__all__ = [
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
    "Section",
    "Split",
    "Training",
    "Weights",
    "dump",
    "is_of",
    "json_schema",
    "load",
    "load_run",
    "shareable",
    "weights_folder",
]

"""Handlers for MONAI's engines: only what MONAI lacks."""

from capsmed.handlers.checkpoint import EpochCheckpoint
from capsmed.handlers.epoch_seed import EpochSeed
from capsmed.handlers.finite import FiniteCheck
from capsmed.handlers.gradient_clip import GradientClip
from capsmed.handlers.history import History
from capsmed.handlers.loss_progress import LossProgress
from capsmed.handlers.prediction_collector import PredictionCollector

__all__ = [
    "EpochCheckpoint",
    "EpochSeed",
    "FiniteCheck",
    "GradientClip",
    "History",
    "LossProgress",
    "PredictionCollector",
]

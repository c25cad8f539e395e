"""Networks that everybody knows, MONAI's, trained beside the configured one."""

from __future__ import annotations

from typing import Any

from capsmed.config import Component, Experiment
from capsmed.engines.fits import DENSENET, RESNET
from capsmed.errors import ConfigError

#: Side that is left one voxel wide by DenseNet's five halvings.
LEAST_DENSENET = 29
#: Side below which ResNet does without the pooling after its first convolution, as is usual for
#: small images: of 16 voxels its last two stages would else see one location and padding.
LEAST_POOLED = 32


def network_of(experiment: Experiment, model: str) -> Component:
    """The network that ``model``, one of `MONAI` in fits.py, is for the experiment's patches.

    Raises:
        ConfigError: the patches are too small for it, or a step has one case only.
    """
    size, options = experiment.patch.size, {}
    if model == DENSENET and min(size) < LEAST_DENSENET:
        raise ConfigError(
            f"baselines.models: expected patches of {LEAST_DENSENET} or more along each axis for "
            f"{DENSENET}, which halves them five times, got {list(size)}; take larger ones of a "
            f"finer patch.spacing, or {RESNET}"
        )
    if experiment.training.batch_size < 2:
        raise ConfigError(
            f"training.batch_size: expected 2 or more with {model}, whose batch norms end in one "
            f"location, got {experiment.training.batch_size}; raise it, or leave {model} out of "
            "baselines.models"
        )
    if model == RESNET and min(size) < LEAST_POOLED:
        options = {"max_pool": False}
    backbone: Any = [model, options] if options else model
    return Component(name="backbone_classifier", backbone=backbone)

"""From names in the configuration to objects: network, loss, optimiser, schedule."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import nn
from torch.optim.lr_scheduler import LRScheduler

from capsmed.config import Component, Experiment
from capsmed.engines import components
from capsmed.engines.fits import ORDINARY_HEAD
from capsmed.errors import ConfigError


def specification(experiment: Experiment, model: str) -> tuple[Component, Component]:
    """Return the network and loss that ``model`` means in this experiment.

    ``ordinary_head`` is the same encoder (every option that ``conv_net`` shares with the
    configured network) with a flatten + linear head, trained with cross-entropy; any other model
    is the configured network and loss.
    """
    if model != ORDINARY_HEAD:
        return experiment.network, experiment.loss
    accepted = inspect.signature(components.resolve("network", "conv_net")).parameters
    shared = {key: value for key, value in experiment.network.options.items() if key in accepted}
    return Component(name="conv_net", **shared), Component(name="cross_entropy")


def check_fit(experiment: Experiment) -> None:
    """Build every network of the experiment once, before any data are read.

    Raises:
        ConfigError: a network does not fit the patches, or its loss does not fit its scores.
    """
    models = [experiment.network.name]
    if ORDINARY_HEAD in experiment.evaluation.baselines:
        models.append(ORDINARY_HEAD)
    for model in models:
        component, loss = specification(experiment, model)
        kind = getattr(build_network(component, experiment, 2), "score_kind", None)
        accepted = getattr(build_loss(loss), "score_kinds", None)
        if kind is None:
            raise ConfigError(
                f"network ({component.name}): expected an attribute score_kind, got none; "
                "let the class say logits, lengths or multilabel"
            )
        if accepted is not None and kind not in accepted:
            raise ConfigError(
                f"loss: expected one for scores that are {kind}, as {component.name} gives, got "
                f"{loss.name}; use {'cross_entropy' if kind == 'logits' else 'capsule'}"
            )


def build_network(component: Component, experiment: Experiment, num_classes: int) -> nn.Module:
    """Build a network for the experiment's patches.

    Raises:
        ConfigError: the options do not fit the patch size or each other.
    """
    patch = experiment.patch
    constructor = components.resolve("network", component.name)
    try:
        return constructor(
            spatial_dims=patch.spatial_dims,
            in_channels=patch.channels,
            num_classes=num_classes,
            input_size=patch.size,
            **component.options,
        )
    except (ValueError, TypeError, KeyError, RuntimeError, ArithmeticError) as error:
        raise ConfigError(f"network ({component.name}): {error}") from error


def build_loss(component: Component) -> nn.Module:
    """Build the loss ``component``, called with the training wrapper's output and the labels."""
    return _construct("loss", component)


def build_optimizer(component: Component, network: nn.Module) -> torch.optim.Optimizer:
    """Build the optimiser; biases and norms are not decayed when a weight decay is given."""
    decayed = [p for p in network.parameters() if p.requires_grad and p.ndim > 1]
    others = [p for p in network.parameters() if p.requires_grad and p.ndim <= 1]
    groups: list[dict[str, Any]] = [
        {"params": decayed},
        {"params": others, "weight_decay": 0.0},
    ]
    return _construct("optimizer", component, [group for group in groups if group["params"]])


def build_schedule(
    component: Component, optimizer: torch.optim.Optimizer, total_steps: int
) -> LRScheduler:
    """Build the learning-rate schedule over ``total_steps`` optimiser steps."""
    return _construct("schedule", component, optimizer, total_steps)


def _construct(kind: str, component: Component, *arguments: Any) -> Any:
    constructor = components.resolve(kind, component.name)
    try:
        return constructor(*arguments, **component.options)
    except (ValueError, TypeError) as error:
        raise ConfigError(f"{kind} ({component.name}): {error}") from error

"""From names in the configuration to objects: network, loss, optimiser, schedule."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim.lr_scheduler import LRScheduler

from capsmed.config import Component, Experiment
from capsmed.engines import acceleration, components, monai_baselines, weights
from capsmed.engines.fits import AVERAGE_HEAD, MONAI, TRAINED, trained
from capsmed.engines.shortage import one_line
from capsmed.engines.weights import Taken
from capsmed.errors import CheckpointError, ConfigError
from capsmed.losses import count_classes
from capsmed.metrics.tables import BASELINES
from capsmed.networks import NETWORKS, TrainingWrapper, parts
from capsmed.networks.blocks.encoder import ConvEncoder

# The ordinary network of each kind of features, and the options by which that kind is known.
ORDINARY = {
    "backbone_classifier": {"backbone"},
    "conv_net": set(inspect.signature(ConvEncoder).parameters),
}
#: Of a network whose `ConvEncoder` follows from the image: gives that encoder's options.
DERIVED = "encoder_options"

FUSED_DEVICES = {"cpu", "cuda"}
_WAYS = {"fused", "foreach", "differentiable", "capturable"}  # of computing an optimiser's step


def specification(experiment: Experiment, model: str) -> tuple[Component, Component]:
    """Return the network and loss that ``model`` means in this experiment.

    ``ordinary_head`` is the configured network with an ordinary head, trained with cross-entropy:
    of ``capsule_classifier`` it is ``backbone_classifier`` on the whole backbone, whatever level
    the capsules are on; of networks built on `ConvEncoder` it is ``conv_net``; each with every
    other option that both have, and the loss's class weights. A network whose encoder follows from
    the image says its options by a static method ``encoder_options``. ``average_head`` is the same
    with the mean over all locations in the place of all of them, of ``conv_net`` only; of a
    backbone the ordinary head averages already. ``densenet121`` and ``resnet18`` are MONAI's,
    whatever the network, with cross-entropy (`monai_baselines`). Any other model is the configured
    network and loss.

    Raises:
        ConfigError: the configured network shares its features with no ordinary one, or there is
            no other way to average; or the patches do not fit one of MONAI's.
    """
    if model not in TRAINED:
        return experiment.network, experiment.loss
    if model in MONAI:
        return monai_baselines.network_of(experiment, model), _cross_entropy(experiment.loss)
    head = {"head": "average"} if model == AVERAGE_HEAD else {}
    configured, options = _parameters(experiment.network.name), experiment.network.options
    derived = getattr(components.resolve("network", experiment.network.name), DERIVED, None)
    if derived is not None:
        kept = {
            n: value for n, value in options.items() if n in inspect.signature(derived).parameters
        }
        encoder = derived(experiment.patch.spatial_dims, experiment.patch.size, **kept)
        return Component(name="conv_net", **encoder, **head), _cross_entropy(experiment.loss)
    for ordinary, features in ORDINARY.items():
        if features <= configured.keys():
            if head and "head" not in _parameters(ordinary):
                raise ConfigError(
                    "baselines.models: expected no average_head with "
                    f"{experiment.network.name}, whose ordinary head averages; leave it out"
                )
            shared = _shared(configured, _parameters(ordinary), options) | head
            return Component(name=ordinary, **shared), _cross_entropy(experiment.loss)
    having = [name for name in NETWORKS if _has_ordinary_head(name)]
    raise ConfigError(
        f"baselines.models: expected a network that has an ordinary head "
        f"({', '.join(sorted(having))}) for {model}, got {experiment.network.name}; "
        f"leave {model} out"
    )


def _has_ordinary_head(name: str) -> bool:
    features = any(f <= _parameters(name).keys() for f in ORDINARY.values())
    return features or hasattr(NETWORKS[name], DERIVED)


def _cross_entropy(loss: Component) -> Component:
    """Cross-entropy with the class weights of ``loss``."""
    kept = {name: value for name, value in loss.options.items() if name == "class_weights"}
    return Component(name="cross_entropy", **kept)


def _parameters(network: str) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(components.resolve("network", network)).parameters


def _shared(
    configured: Mapping[str, inspect.Parameter],
    ordinary: Mapping[str, inspect.Parameter],
    options: Mapping[str, Any],
) -> dict[str, Any]:
    """Options that both networks have, and the configured one's defaults where these differ."""
    defaults = {
        name: parameter.default
        for name, parameter in configured.items()
        if name in ordinary and parameter.default != ordinary[name].default
    }
    shared = defaults | {name: value for name, value in options.items() if name in ordinary}
    shared.pop("level", None)
    return shared


def check_fit(experiment: Experiment, base: Path) -> None:
    """Build every network of the experiment once, before any data are read.

    Args:
        experiment: the configuration.
        base: folder that a relative path of its weights is relative to.

    Raises:
        ConfigError: a network does not fit the patches, its loss does not fit its scores, it has no
            part of a name in ``training.freeze``, ``training.lr_scale`` or ``weights``, or no
            convolution of the kind that ``training.convolutions`` wants.
        CheckpointError: the weights' file cannot be used.
    """
    _check_balance(experiment)
    if experiment.network.name in BASELINES:
        raise ConfigError(
            f"network: expected a name that no baseline has, got {experiment.network.name!r}; "
            "register it under another"
        )
    for model in (experiment.network.name, *trained(experiment)):
        component, loss = specification(experiment, model)
        wrapper, _ = build_wrapper(experiment, model, 2, base)
        kind = getattr(wrapper.network, "score_kind", None)
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
        if model == experiment.network.name:
            patch = experiment.patch
            shape = (patch.channels, *patch.size)
            acceleration.check_convolutions(experiment.training, wrapper.network, shape)


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
        raise ConfigError(f"network ({component.name}): {one_line(error)}") from error


def build_wrapper(
    experiment: Experiment, model: str, num_classes: int, base: Path
) -> tuple[TrainingWrapper, Taken | None]:
    """Build what is trained: the network with its first weights, and with its frozen parts.

    ``ordinary_head`` starts from the same weights and freezes the same parts, those of the
    capsules left out, which it has not. MONAI's networks start from chance and learn whole:
    weights and parts are named for the configured network.

    Args:
        experiment: the configuration.
        model: the network's name, or that of a baseline that is trained.
        num_classes: number of classes.
        base: folder that a relative path of the weights is relative to.

    Returns:
        The wrapper, and what the weights' file gave, None where there is none.

    Raises:
        ConfigError: the network does not fit the patches, or has no part of a given name.
        CheckpointError: the weights' file cannot be used, or does not fill what ``ordinary_head``
            freezes.
    """
    component, _ = specification(experiment, model)
    network = build_network(component, experiment, num_classes)
    if model in MONAI:
        return TrainingWrapper(network), None
    try:
        taken = weights.load(network, experiment.weights, base)
        frozen, scaled = experiment.training.freeze, experiment.training.lr_scale
        if model in TRAINED:
            frozen = tuple(sorted(set(frozen) & parts.names(network)))
            weights.check_frozen(taken, network, frozen)
        else:
            parts.check(network, scaled, "lr_scale")
        return TrainingWrapper(network, frozen), taken
    except (ConfigError, CheckpointError) as error:
        raise type(error)(f"{model}: {error}") from error
    except ValueError as error:
        raise ConfigError(f"{model}: training.{error}") from error


def build_loss(component: Component, cases: Sequence[int] | None = None) -> nn.Module:
    """Build the loss ``component``, called with the training wrapper's output and the labels.

    Args:
        component: the configured loss.
        cases: how many each class has in the training part, for class weights; None where the
            loss is not used.

    Raises:
        ConfigError: an option is wrong, or class weights do not fit the classes.
    """
    loss = _construct("loss", component)
    try:
        if cases is not None:
            count_classes(loss, cases)
    except ValueError as error:
        raise ConfigError(f"loss ({component.name}): {error}") from error
    return loss


def _check_balance(experiment: Experiment) -> None:
    weights = experiment.loss.options.get("class_weights")
    if weights == experiment.training.sampling == "balanced":
        raise ConfigError(
            "loss.class_weights: expected 'balanced' only with training.sampling natural, got "
            "balanced sampling, which evens the classes out already; set training.sampling to "
            "natural, or leave class_weights out"
        )


def build_optimizer(
    component: Component, network: nn.Module, lr_scale: Mapping[str, float] | None = None
) -> torch.optim.Optimizer:
    """Build the optimiser; biases and norms are not decayed when a weight decay is given.

    Torch's own are fused into one kernel unless the configuration chooses another way. A
    checkpoint brings the way it was made with, so an older training goes on as it began.

    Args:
        component: the configured optimiser.
        network: whose parameters that need a gradient are fitted.
        lr_scale: factor on the learning rate of parts by name; the longest name wins. A group's
            factor is kept in it as ``lr_scale``, for schedules that name a learning rate.
    """
    scales = lr_scale or {}
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            part = parts.longest(name, scales)
            scale = 1.0 if part is None else scales[part]
            groups.setdefault((scale, parameter.ndim > 1), []).append(parameter)
    ordered = sorted(groups.items(), key=lambda group: (group[0][0], not group[0][1]))
    undecayed = {"weight_decay": 0.0}
    optimizer = _construct(
        "optimizer",
        _fused(component, network),
        [
            {"params": members, "lr_scale": scale} | ({} if decayed else undecayed)
            for (scale, decayed), members in ordered
        ],
    )
    for group in optimizer.param_groups:
        group["lr"] *= group["lr_scale"]
    return optimizer


def _fused(component: Component, network: nn.Module) -> Component:
    own = component.name in components.OPTIMIZERS and not _WAYS & component.options.keys()
    devices = {parameter.device.type for parameter in network.parameters()}
    if not own or not devices <= FUSED_DEVICES:
        return component
    return component.model_copy(update={"fused": True})


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

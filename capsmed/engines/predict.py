"""Class probabilities of a network for every case of a dataset."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from itertools import zip_longest

import ignite.distributed as idist
import numpy as np
import torch
from monai.engines import SupervisedEvaluator
from monai.engines.utils import PrepareBatchExtraInput

from capsmed.data.patches import PatchView
from capsmed.engines.loaders import build_loader
from capsmed.engines.precision import PrecisionInferer
from capsmed.handlers import PredictionCollector
from capsmed.networks import TrainingWrapper, probabilities


def collect(
    wrapper: TrainingWrapper,
    dataset: PatchView,
    *,
    batch_size: int,
    device: torch.device,
    precision: str = "float32",
    loss_function: Callable | None = None,
) -> PredictionCollector:
    """Run MONAI's evaluator over ``dataset`` and return the gathered scores of all ranks.

    Args:
        wrapper: a :class:`~capsmed.networks.TrainingWrapper`, called with image and label so
            that a loss can be computed; scores do not depend on the label.
        dataset: items with ``image``, ``label`` and ``index``.
        batch_size: cases at a time.
        device: where to compute.
        precision: ``float32`` or ``bfloat16``.
        loss_function: also average this loss.
    """
    mine = range(idist.get_rank(), len(dataset), idist.get_world_size()) or range(1)
    collector = PredictionCollector(loss_function)
    evaluator = SupervisedEvaluator(
        device=device,
        val_data_loader=build_loader(dataset, list(mine), batch_size),
        network=wrapper,
        prepare_batch=PrepareBatchExtraInput(extra_keys="label"),
        inferer=PrecisionInferer(precision),
        val_handlers=[collector],
        decollate=False,
    )
    evaluator.logger.setLevel(logging.CRITICAL)  # it would print an error that is raised anyway
    evaluator.run()
    return collector


def predict(
    wrapper: TrainingWrapper,
    dataset: PatchView,
    *,
    batch_size: int,
    device: torch.device,
    precision: str = "float32",
) -> np.ndarray:
    """Return probabilities, float64 [cases, classes], in the dataset's order."""
    collector = collect(wrapper, dataset, batch_size=batch_size, device=device, precision=precision)
    values = probabilities(collector.scores.double(), wrapper.score_kind)
    return values.numpy()


def choose_examples(targets: Sequence[int], count: int = 8) -> list[int]:
    """Return positions of up to ``count`` cases, the classes in turn, in their order."""
    by_class: dict[int, list[int]] = {}
    for position, target in enumerate(targets):
        by_class.setdefault(target, []).append(position)
    turns = zip_longest(*(by_class[target] for target in sorted(by_class)))
    return [case for turn in turns for case in turn if case is not None][:count]


@torch.no_grad()
def reconstruct(
    wrapper: TrainingWrapper, images: torch.Tensor, device: torch.device
) -> np.ndarray | None:
    """Return what the decoder makes of the longest capsule, shaped as ``images``, or None."""
    wrapper.eval()
    output = wrapper(images.to(device))
    reconstruction = output.get("reconstruction")
    return None if reconstruction is None else reconstruction.float().cpu().numpy()

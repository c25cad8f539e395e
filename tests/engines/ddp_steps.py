"""Two optimiser steps of a CapsNet with reconstruction, on this rank's share of each batch.

Run by torchrun: each rank writes its weights and its last gradient to OUT/rank<r>.pt.
"""

import sys
from pathlib import Path

import ignite.distributed as idist
import torch

from capsmed.losses import CapsuleLoss
from capsmed.networks import CapsNet, TrainingWrapper


def steps(rank: int, world: int) -> dict[str, torch.Tensor]:
    """Train on every ``world``-th case from ``rank`` on; return weights and last gradients."""
    torch.manual_seed(0)
    network = CapsNet(
        spatial_dims=2, in_channels=1, num_classes=3, input_size=(12, 12), channels=(5,),
        kernel_sizes=(3,), primary_capsules=2, primary_dim=4, primary_kernel=3, class_dim=7,
        decoder_widths=(11, 13),
    )  # fmt: skip
    wrapper = idist.auto_model(TrainingWrapper(network))
    optimizer = torch.optim.SGD(wrapper.parameters(), lr=0.01)
    loss_function = CapsuleLoss(reconstruction_weight=1.0)  # gradients far above the tolerance
    torch.manual_seed(1)
    images, labels = torch.rand(2, 8, 1, 12, 12), torch.arange(16).reshape(2, 8) % 3
    for image, label in zip(images[:, rank::world], labels[:, rank::world], strict=True):
        optimizer.zero_grad()
        loss_function(wrapper(image, label), label).backward()
        optimizer.step()
    found = {f"weight {name}": p.detach().clone() for name, p in network.named_parameters()}
    return found | {f"gradient {name}": p.grad.clone() for name, p in network.named_parameters()}


def work(local_rank: int, out: Path) -> None:
    rank = idist.get_rank()
    torch.save(steps(rank, idist.get_world_size()), out / f"rank{rank}.pt")


if __name__ == "__main__":
    with idist.Parallel(backend="gloo") as parallel:
        parallel.run(work, Path(sys.argv[1]))

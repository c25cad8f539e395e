"""How many numbers a network learns, and whether it learns at all."""

import torch

from capsmed.losses import MarginLoss


def numbers(network: torch.nn.Module) -> int:
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


def falls(
    network: torch.nn.Module, size: tuple[int, ...], steps: int = 30, rate: float = 1e-2
) -> bool:
    """Whether the loss more than halves: bright images against dark ones, with noise."""
    labels = torch.arange(8) % 2
    images = 0.2 * torch.rand(8, 1, *size) + labels.view(-1, 1, *(1,) * len(size)) * 0.5
    optimizer, losses = torch.optim.Adam(network.parameters(), rate), []
    for _ in range(steps):
        loss = MarginLoss()(network.train()(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses[-1] < losses[0] / 2

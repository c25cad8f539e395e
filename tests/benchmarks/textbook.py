"""A CapsNet written from the paper as public PyTorch code writes it (arXiv 1710.09829).

W is copied for every sample of the batch, every vote is a tensor, autograd keeps all three passes,
and Adam loops over the parameters. One convolution makes the primary capsules, which is kinder than
the eight that many write. The numbers are those of capsmed with ``gradient="full"``.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from capsmed.networks import CapsNet
from capsmed.networks.layers import CapsuleLinear

PASSES = 3


def squash(vectors: Tensor) -> Tensor:
    """Equation 1, along the last axis, with a small number that keeps zero vectors finite."""
    squared = (vectors**2).sum(dim=-1, keepdim=True)
    return torch.sqrt(squared + 1e-8) / (1 + squared) * vectors


class TextbookCapsules(nn.Module):
    """Fully connected capsules with dynamic routing (procedure 1).

    Args:
        in_capsules: number of lower capsules.
        out_capsules: number of higher capsules.
        in_dim: components of a lower capsule.
        out_dim: components of a higher capsule.
        last: hold the couplings constant for the gradient; to compare results, not time.
    """

    def __init__(
        self, in_capsules: int, out_capsules: int, in_dim: int, out_dim: int, last: bool = False
    ) -> None:
        super().__init__()
        self.last = last
        self.W = nn.Parameter(0.05 * torch.randn(1, in_capsules, out_capsules, out_dim, in_dim))

    def take(self, layer: CapsuleLinear) -> None:
        """Copy the weights of capsmed's layer, ``[out, out_dim, in_dim, in]``."""
        with torch.no_grad():
            self.W.copy_(layer.weight.permute(3, 0, 1, 2).unsqueeze(0))

    def gradient(self) -> Tensor:
        """The gradient of W in the axis order of capsmed's weight."""
        assert self.W.grad is not None
        return self.W.grad[0].permute(1, 2, 3, 0)

    def forward(self, x: Tensor) -> Tensor:
        """Poses ``[batch, out, out_dim]`` of lower capsules ``[batch, in, in_dim]``."""
        batch, in_capsules, _ = x.shape
        out_capsules = self.W.shape[2]
        W = torch.cat([self.W] * batch, dim=0)
        x = torch.stack([x] * out_capsules, dim=2).unsqueeze(4)
        u_hat = torch.matmul(W, x).squeeze(4)  # [batch, in, out, out_dim]
        routed = u_hat.detach() if self.last else u_hat
        b = torch.zeros(batch, in_capsules, out_capsules, 1)
        for number in range(PASSES):
            c = F.softmax(b, dim=2)
            votes = routed if number < PASSES - 1 else u_hat
            v = squash((c * votes).sum(dim=1, keepdim=True))
            if number < PASSES - 1:
                b = b + (routed * v).sum(dim=-1, keepdim=True)
        return v.squeeze(1)


class TextbookCapsNet(nn.Module):
    """Figure 1 and figure 2 of the paper, for square images of one channel.

    Args:
        side: of the image.
        channels: of both convolutions.
        types: of primary capsules.
        classes: number of class capsules.
        kernel: of both convolutions.
        widths: of the decoder's hidden layers.
    """

    def __init__(
        self,
        side: int = 28,
        channels: int = 256,
        types: int = 32,
        classes: int = 10,
        kernel: int = 9,
        widths: Sequence[int] = (512, 1024),
    ) -> None:
        super().__init__()
        self.types, self.classes = types, classes
        self.conv1 = nn.Conv2d(1, channels, kernel)
        self.primary = nn.Conv2d(channels, types * 8, kernel, stride=2)
        locations = (((side - kernel + 1) - kernel) // 2 + 1) ** 2
        self.digits = TextbookCapsules(types * locations, classes, 8, 16)
        first, second = widths
        self.decoder = nn.Sequential(
            nn.Linear(classes * 16, first),
            nn.ReLU(),
            nn.Linear(first, second),
            nn.ReLU(),
            nn.Linear(second, side * side),
            nn.Sigmoid(),
        )

    def take(self, network: CapsNet) -> None:
        """Copy the weights of capsmed's network of the same sizes."""
        conv1 = next(m for m in network.encoder.modules() if isinstance(m, nn.Conv2d))
        self.conv1.load_state_dict(conv1.state_dict())
        state = network.primary.conv.state_dict()
        self.primary.load_state_dict({k: by_type(v) for k, v in state.items()})
        self.digits.take(network.classes)
        self.decoder.load_state_dict(network.decoder.layers.state_dict())

    def forward(self, image: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Poses ``[batch, classes, 16]`` and the reconstruction ``[batch, pixels]``."""
        x = F.relu(self.conv1(image))
        x = self.primary(x).view(len(x), self.types, 8, -1)
        x = x.permute(0, 1, 3, 2).contiguous().view(len(x), -1, 8)
        poses = self.digits(squash(x))
        mask = torch.eye(self.classes).index_select(0, target)
        return poses, self.decoder((poses * mask.unsqueeze(2)).view(len(x), -1))


def by_type(channels: Tensor) -> Tensor:
    """Channels of the primary convolution, type first; capsmed's have the component first."""
    return channels.unflatten(0, (8, -1)).transpose(0, 1).flatten(0, 1)


def textbook_loss(poses: Tensor, reconstruction: Tensor, image: Tensor, target: Tensor) -> Tensor:
    """Equation 4, and 0.0005 times the sum of squared differences of the pixels (section 4.1)."""
    lengths = torch.sqrt((poses**2).sum(dim=2))
    true = torch.eye(poses.shape[1]).index_select(0, target)
    present = true * F.relu(0.9 - lengths) ** 2
    absent = 0.5 * (1 - true) * F.relu(lengths - 0.1) ** 2
    squares = ((reconstruction - image.view(len(image), -1)) ** 2).sum(dim=1)
    return ((present + absent).sum(dim=1) + 0.0005 * squares).mean()

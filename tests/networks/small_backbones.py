"""Small versions of every registered backbone, with a layer that gives a map for Grad-CAM."""

import torch

from capsmed.networks import CapsuleClassifier

OPTIONS = {
    "densenet121": {"block_config": [2, 2, 2], "growth_rate": 4, "init_features": 8},
    "resnet18": {},
    "efficientnet_b0": {},
    "swin": {"feature_size": 12, "depths": [1, 1, 1, 1], "window_size": 4},
    "vit": {"patch_size": 8, "hidden_size": 12, "mlp_dim": 16, "num_layers": 2, "num_heads": 3},
    "segresnet": {"blocks_down": [1, 1, 1]},
}
MAPS = {
    "densenet121": "features.denseblock2",
    "resnet18": "layer3",
    "efficientnet_b0": "_blocks.4",
    "swin": "layers3.0",
    "vit": "patch_embedding.patch_embeddings",
    "segresnet": "down_layers.2",
}
CASES = [(name, dims) for name in OPTIONS for dims in (2, 3)]


def classifier(name: str, dims: int, **options) -> CapsuleClassifier:
    size = (32,) * dims
    return CapsuleClassifier(dims, 1, 3, size, (name, OPTIONS[name]), **options)


def images(batch: int, dims: int) -> torch.Tensor:
    return torch.randn(batch, 1, *(32,) * dims)

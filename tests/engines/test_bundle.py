"""Somebody else's MONAI bundle trains a CapsNet with reconstruction by ``_target_`` alone."""

import json

import numpy as np
import pytest
import torch
from monai.bundle import run

from tests.engines.blobs import write_blobs

NETWORK = {
    "_target_": "capsmed.networks.CapsNet",
    "spatial_dims": 2,
    "in_channels": 1,
    "num_classes": 2,
    "input_size": [16, 16],
    "channels": [4],
    "kernel_sizes": [3],
    "primary_capsules": 2,
    "primary_dim": 4,
    "primary_kernel": 3,
    "class_dim": 4,
    "decoder_widths": [8, 8],
    "routing": ["dynamic", {"iterations": 2}],
}
PREPARE_BATCH = {"_target_": "monai.engines.PrepareBatchExtraInput", "extra_keys": "label"}


def bundle(folder, cases):
    """Return a training configuration of MONAI's own components around capsmed's network."""
    return {
        "network": NETWORK,
        "wrapper": {"_target_": "capsmed.networks.TrainingWrapper", "network": "@network"},
        "dataset": {
            "_target_": "monai.data.Dataset",
            "data": cases,
            "transform": {
                "_target_": "monai.transforms.Compose",
                "transforms": [
                    {
                        "_target_": "monai.transforms.LoadImaged",
                        "keys": "image",
                        "reader": "NumpyReader",
                        "ensure_channel_first": True,
                        "image_only": True,
                    }
                ],
            },
        },
        "loader": {"_target_": "monai.data.DataLoader", "dataset": "@dataset", "batch_size": 4},
        "optimizer": {
            "_target_": "torch.optim.Adam",
            "params": "$@wrapper.parameters()",
            "lr": 0.01,
        },
        "trainer": {
            "_target_": "monai.engines.SupervisedTrainer",
            "device": "cpu",
            "max_epochs": 2,
            "train_data_loader": "@loader",
            "network": "@wrapper",
            "optimizer": "@optimizer",
            "loss_function": {"_target_": "capsmed.losses.CapsuleLoss"},
            "prepare_batch": PREPARE_BATCH,
            "decollate": False,
            "train_handlers": [
                {
                    "_target_": "monai.handlers.CheckpointSaver",
                    "save_dir": str(folder),
                    "save_dict": {"network": "@network"},
                    "save_final": True,
                    "final_filename": "model.pt",
                }
            ],
        },
    }


@pytest.fixture
def trained(tmp_path):
    """Weights before and after ``monai.bundle`` has run the configuration."""
    write_blobs(tmp_path, patients=8)
    cases = [
        {"image": str(tmp_path / f"blob{number}.npy"), "label": number % 2} for number in range(8)
    ]
    content = bundle(tmp_path, cases)
    before = f"$torch.save(@network.state_dict(), {str(tmp_path / 'before.pt')!r})"
    content |= {"imports": ["$import torch"], "initialize": [before]}
    content["run"] = ["$@trainer.run()"]
    (tmp_path / "train.json").write_text(json.dumps(content))
    run(run_id="run", init_id="initialize", config_file=str(tmp_path / "train.json"))
    after = torch.load(tmp_path / "model.pt", weights_only=True)
    return torch.load(tmp_path / "before.pt", weights_only=True), after


# MONAI warns that a bundle's configuration is code (this one is ours), and of optional readers.
@pytest.mark.filterwarnings("ignore:parsing config_file:UserWarning")
@pytest.mark.filterwarnings("ignore:NvImgCodecPydicomReader:UserWarning")
def test_a_bundle_trains_capsules_and_decoder(trained):
    before, after = trained
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert any(name.startswith("decoder") for name in changed)
    assert any(name.startswith("encoder") for name in changed)
    assert all(np.isfinite(value.numpy()).all() for value in after.values())

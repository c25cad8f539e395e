"""A cohort of blobs whose size tells the class, and experiments that train on it in seconds."""

from pathlib import Path

import numpy as np
import pandas as pd

from capsmed.config import Experiment


def write_blobs(folder: Path, patients: int = 24, first: int = 0) -> Path:
    """Write a table of 16 x 16 pictures (.npy), two classes in turn, one patient a case."""
    rng = np.random.default_rng(first)
    x, y = np.mgrid[:16, :16] - 7.5
    rows = []
    for number in range(first, first + patients):
        radius = (2.0 if number % 2 else 3.5) + rng.normal(0, 0.8)
        picture = (np.hypot(x, y) < radius) + rng.normal(0, 0.2, (16, 16))
        np.save(folder / f"blob{number}.npy", picture.astype(np.float32))
        label = "small" if number % 2 else "large"
        rows.append(
            [f"case{number}", f"patient-{number:03}", f"blob{number}.npy", label, 2 * radius]
        )
    table = pd.DataFrame(rows, columns=["case_id", "patient_id", "image", "label", "diameter_mm"])
    table.to_csv(folder / "cohort.csv", index=False)
    return folder / "cohort.csv"


def tiny(cohort: str, **changes: dict) -> Experiment:
    """Return an experiment with dropout, shuffling, augmentation and reconstruction switched on."""
    content = {
        "name": "tiny",
        "data": {"cohort": cohort, "classes": ["small", "large"]},
        "patch": {"spatial_dims": 2, "size": [12, 12], "spacing": None, "window": [-1, 2]},
        "augmentation": {"shift": 1, "flip": True, "noise": 0.1},
        "split": {"folds": 2, "inner": 0.25},
        "network": {
            "name": "capsnet",
            "channels": [4],
            "kernel_sizes": [3],
            "dropout": 0.2,
            "primary_capsules": 2,
            "primary_dim": 4,
            "primary_kernel": 3,
            "class_dim": 4,
            "decoder_widths": [8, 8],
        },
        "training": {"epochs": 2, "batch_size": 4},
        "evaluation": {"bootstrap": 100},
        "device": "cpu",
    }
    for section, values in changes.items():
        old = content.get(section)
        merged = old | values if isinstance(old, dict) and isinstance(values, dict) else values
        content[section] = merged
    return Experiment.model_validate(content)

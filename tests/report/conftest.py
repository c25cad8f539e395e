"""Synthetic run folders: honest random numbers in the layout of a finished run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from capsmed.engines.cuts import planes
from capsmed.metrics import metrics_json, size_only

MakeRun = Callable[..., Path]


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """A builder of run folders below this test's own folder."""
    return lambda **options: _build_run(tmp_path / "run", **options)


@pytest.fixture(scope="session")
def build_run() -> MakeRun:
    """The builder itself: ``build_run(folder, **options)``."""
    return _build_run


def _build_run(
    folder: Path,
    *,
    classes: tuple[str, ...] = ("benign", "malignant"),
    cases: int = 54,
    folds: int = 5,
    seeds: tuple[int, ...] = (0,),
    patients: bool = True,
    diameters: bool = True,
    head: bool = False,
    reconstructions: bool = True,
    couplings: bool = False,
    size: tuple[int, ...] = (12, 12, 12),
    sharpness: float = 1.4,
    note: str = "",
    bootstrap: int = 200,
) -> Path:
    """Write every file that a report reads; returns ``folder``."""
    rng = np.random.default_rng(7)
    cohort = _cohort(rng, classes, cases, patients, diameters)
    splits = _splits(cohort, folds)
    networks = ["capsnet", *(["ordinary_head"] if head else [])]
    tables = [
        _predictions(rng, cohort, splits, classes, seed, name, sharpness + 0.3 * k)
        for k, name in enumerate(networks)
        for seed in seeds
    ]
    predictions = pd.concat([*tables, size_only(cohort, splits, classes)], ignore_index=True)
    settings = (predictions, cohort, classes, classes[-1], 0.95, bootstrap)
    folder.mkdir(parents=True)
    for name, table in (("cohort", cohort), ("splits", splits), ("predictions", predictions)):
        table.assign(schema_version=1).to_csv(folder / f"{name}.csv", index=False)
    _write(folder / "metrics.json", metrics_json(*settings, note=note))
    _write(folder / "environment.json", ENVIRONMENT)
    (folder / "config.yaml").write_text(_config(classes, folds, seeds, size), encoding="utf-8")
    for seed in seeds:
        for fold in range(folds):
            rows = tables[seeds.index(seed)].query("fold == @fold")
            fold_folder = folder / f"repeat-0/seed-{seed}/fold-{fold}"
            _fold(rng, fold_folder, rows, size, reconstructions)
            if couplings:
                _add_maps(fold_folder / "cuts.npz", rows, classes, size)
    return folder


ENVIRONMENT = {
    "schema_version": 1,
    "capsmed": "0.1.0",
    "python": "3.12.1",
    "packages": {"torch": "2.13.0", "monai": "1.6.1"},
    "commit": "0" * 40,
    "command": "capsmed train --config lung",
    "device": "cpu",
    "seeds": [0],
    "data_digest": "ab" * 32,
}


def _cohort(
    rng: np.random.Generator, classes: tuple[str, ...], cases: int, patients: bool, diameters: bool
) -> pd.DataFrame:
    target = (
        np.arange(cases) * 3 // 2 % len(classes)
        if len(classes) > 2
        else (np.arange(cases) % 5 < 2).astype(int)
    )
    names = [f"case-{i:03d}" for i in range(cases)]
    table = pd.DataFrame(
        {
            "case_id": names,
            "patient": [f"P{i:05x}" if patients else "" for i in range(cases)],
            "label": [classes[k] for k in target],
            "target": target,
            "status": "included",
            "reason": "",
            "diameter_mm": np.exp(rng.normal(2.1 + 0.5 * target, 0.35)) if diameters else np.nan,
        }
    )
    left = table.iloc[:3].assign(
        case_id=["left-1", "left-2", "left-3"],
        status="excluded",
        target=-1,
        reason=["label 'indeterminate' is not listed"] * 2 + ["the image cannot be read"],
    )
    return pd.concat([table, left], ignore_index=True)


def _splits(cohort: pd.DataFrame, folds: int) -> pd.DataFrame:
    kept = cohort[cohort["status"] == "included"]
    number = kept.groupby("label").cumcount() % max(folds, 4)
    parts = [
        pd.DataFrame(
            {
                "repeat": 0,
                "fold": fold,
                "case_id": kept["case_id"],
                "part": np.where(
                    number == fold, "test", np.where((number + 1) % 4 == 0, "inner", "train")
                ),
            }
        )
        for fold in range(folds)
    ]
    return pd.concat(parts, ignore_index=True)


def _predictions(
    rng: np.random.Generator,
    cohort: pd.DataFrame,
    splits: pd.DataFrame,
    classes: tuple[str, ...],
    seed: int,
    model: str,
    sharpness: float,
) -> pd.DataFrame:
    rows = splits[splits["part"] == "test"].merge(cohort, on="case_id")
    logits = rng.normal(size=(len(rows), len(classes)))
    logits[np.arange(len(rows)), rows["target"]] += sharpness
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    table = pd.DataFrame(
        {
            "model": model,
            "repeat": 0,
            "seed": seed,
            "fold": rows["fold"],
            "case_id": rows["case_id"],
            "label": rows["label"],
        }
    )
    table = table.assign(**{f"prob_{name}": shares[:, k] for k, name in enumerate(classes)})
    return table.assign(threshold=0.45 + 0.02 * table["fold"])


def _fold(
    rng: np.random.Generator,
    folder: Path,
    rows: pd.DataFrame,
    size: tuple[int, ...],
    reconstructions: bool,
) -> None:
    folder.mkdir(parents=True)
    epochs = np.arange(1, 16 + int(rng.integers(8)))
    loss = 0.6 * np.exp(-epochs / 6) + 0.08
    history = pd.DataFrame(
        {
            "epoch": epochs,
            "lr": 1e-3,
            "train_loss": loss,
            "inner_loss": loss + 0.04 + rng.normal(0, 0.01, len(epochs)),
            "inner_auc": 0.9 - 0.35 * np.exp(-epochs / 5) + rng.normal(0, 0.015, len(epochs)),
            "inner_accuracy": 0.8 - 0.3 * np.exp(-epochs / 5) + rng.normal(0, 0.02, len(epochs)),
            "seconds": 1.5,
        }
    )
    history.to_csv(folder / "history.csv", index=False)
    record = {"parameters": 458_000, "chosen_epoch": 9, "threshold_method": "Youden"}
    _write(folder / "fold.json", {"schema_version": 1, "model": "capsnet", **record})
    shown = rows.head(4)
    images = np.stack([_blob(rng, size) for _ in range(len(shown))])
    arrays = {
        "image": images,
        "case_id": shown["case_id"].to_numpy(str),
        "label": shown["label"].to_numpy(str),
        "prob": shown.filter(like="prob_").to_numpy(),
    }
    if reconstructions:
        arrays["reconstruction"] = (0.2 + 0.6 * images).astype(np.float32)
    np.savez(folder / "examples.npz", **arrays)
    every = np.stack([_blob(rng, size) for _ in range(len(rows))])
    cuts = planes(every)
    if reconstructions:
        cuts |= {f"{name}_decoded": 255 - cut for name, cut in cuts.items()}
    np.savez(folder / "cuts.npz", case_id=rows["case_id"].to_numpy(str), **cuts)


def _add_maps(path: Path, rows: pd.DataFrame, classes: tuple[str, ...], size: tuple[int, ...]):
    """Put maps of a grid of 5 places along each axis, two pixels apart, into a file."""
    rng = np.random.default_rng(len(rows))
    true = rows["label"].map(classes.index).to_numpy(int)
    predicted = rows[[f"prob_{name}" for name in classes]].to_numpy().argmax(1)
    names = ("xy", "xz", "yz") if len(size) == 3 else ("image",)
    maps = {f"coupling_{n}": rng.uniform(0.3, 0.7, (len(rows), 2, 5, 5)) for n in names}
    at = np.repeat(np.arange(-1, 5), 2)[1:]
    places = {f"coupling_at_{axis}": np.r_[at, -1][: size[0]] for axis in "xyz"[: len(size)]}
    chosen = np.stack([predicted, true], axis=1)
    common = {"coupling_uniform": False, "coupling_equal": 1 / len(classes)}
    np.savez(path, **np.load(path), **maps, **places, **common, coupling_class=chosen)


def _blob(rng: np.random.Generator, size: tuple[int, ...]) -> np.ndarray:
    axes = np.meshgrid(*[np.linspace(-1, 1, n) for n in size], indexing="ij")
    away = sum((a - 0.1) ** 2 * rng.uniform(0.7, 1.6) for a in axes)
    pixels = np.exp(-away / 0.15) + rng.normal(0, 0.06, size)
    pixels[-2:] += 0.4
    return np.clip(pixels, 0, 1).astype(np.float32)[None]


def _config(
    classes: tuple[str, ...], folds: int, seeds: tuple[int, ...], size: tuple[int, ...]
) -> str:
    config = {
        "schema_version": 1,
        "name": "lung",
        "seeds": list(seeds),
        "data": {"cohort": "data/cohort.csv", "classes": list(classes), "positive": classes[-1]},
        "patch": {
            "size": list(size),
            "spacing": 1.5 if len(size) == 3 else None,
            "window": [-1000.0, 400.0],
        },
        "augmentation": {"shift": 2.0, "flip": True, "rotate": 0.0},
        "split": {"folds": folds, "seed": 0, "inner": 0.2},
        "network": {"name": "capsnet", "channels": [16, 32]},
        "loss": {"name": "capsule"},
        "optimizer": {"name": "adamw"},
        "training": {"epochs": 30, "batch_size": 16, "patience": 8, "sampling": "balanced"},
    }
    return json.dumps(config, ensure_ascii=False, indent=1)


def _write(path: Path, content: dict) -> None:
    path.write_text(json.dumps(content, allow_nan=False, ensure_ascii=False), encoding="utf-8")

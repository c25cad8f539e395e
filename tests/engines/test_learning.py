"""Real little trainings that go wrong in each way, and what is said of them."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from capsmed.engines.learning import LossTerms, options, sample, settings
from capsmed.engines.train import train
from capsmed.losses import CapsuleLoss
from capsmed.metrics.diagnosis import diagnose
from capsmed.report import write_report
from tests.engines.blobs import tiny, write_blobs

DIGITS = {"cohort": "digits", "classes": None, "limit": 400}
CALM = {"shift": 0, "flip": False, "noise": 0.0}


def learn(cohort: str | Path, out: Path, **changes) -> dict:
    """Train and return what the first fold has learnt."""
    run = train(tiny(str(cohort), **changes), base=Path(), out=out)
    return json.loads((run / "repeat-0/seed-0/fold-0/fold.json").read_text())["learning"]


def names(facts: dict) -> list[str]:
    return [finding.name for finding in diagnose(facts)]


def digits(out: Path, epochs: int, lr: float) -> dict:
    """Train on scikit-learn's digits with the network of the shipped configuration."""
    network = {"channels": [32], "norm": "BATCH", "dropout": 0.0, "primary_capsules": 8}
    patch = {"size": [8, 8], "window": None}
    training = {"epochs": epochs, "batch_size": 32}
    return learn(
        "digits", out, data=DIGITS, patch=patch, network=network, augmentation=CALM,
        training=training, optimizer={"name": "adamw", "lr": lr}, split={"by": "case"},
    )  # fmt: skip


def test_of_a_training_that_learns_nothing_is_said(tmp_path, capsys):
    facts = digits(tmp_path / "run", epochs=6, lr=3e-3)
    assert names(facts) == []
    assert "training AUC 0.9" in capsys.readouterr().out
    assert "Did it learn?" not in write_report(tmp_path / "run").read_text()


@pytest.mark.parametrize("lr", [0.0, 1e-9])
def test_a_learning_rate_of_nothing_did_not_learn(tmp_path, lr):
    facts = digits(tmp_path / "run", epochs=2, lr=lr)
    (found,) = diagnose(facts)
    assert found.says.startswith("did not learn") and "training loss went from" in found.shown


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"optimizer": {"name": "adam", "lr": 100.0}}, "equal_outputs"),
        ({"network": {"init_scale": 0.0}}, "dead_capsules"),
        ({"network": {"init_scale": 1e-6}}, "dead_capsules"),
        (
            {"loss": {"name": "capsule", "reconstruction_weight": 100.0}},
            "reconstruction_dominates",
        ),
    ],
)
def test_each_way_of_not_learning_has_its_name(blobs, tmp_path, capsys, changes, name):
    facts = learn(blobs, tmp_path / "run", **changes)
    finding = next(found for found in diagnose(facts) if found.name == name)
    assert finding.sentence in capsys.readouterr().out.replace("\n", " ")


def test_random_labels_are_only_memorised(tmp_path):
    cohort = write_blobs(tmp_path, patients=80)
    table = pd.read_csv(cohort)
    table["label"] = np.random.default_rng(0).permutation(table["label"])
    table.to_csv(cohort, index=False)
    network = {"dropout": 0.0, "channels": [16], "primary_capsules": 8, "norm": "BATCH"}
    training = {"epochs": 12, "select": "last", "batch_size": 8}
    optimizer = {"name": "adam", "lr": 1e-2}
    changes = dict(network=network, training=training, optimizer=optimizer, augmentation=CALM)
    facts = learn(cohort, tmp_path / "run", **changes)
    assert names(facts) == ["only_memorised"]


def test_the_facts_are_of_the_parts_without_augmentation(blobs, tmp_path):
    facts = learn(blobs, tmp_path / "run")
    counts = {part: facts[part]["cases"] for part in ("train", "inner", "test", "held_out")}
    assert counts["train"] + counts["held_out"] == 24
    assert counts["held_out"] == counts["inner"] + counts["test"] == counts["inner"] + 12
    assert sum(facts["activations"]["own"]) == counts["train"]
    assert sum(facts["loss"]["terms"].values()) == pytest.approx(facts["loss"]["value"], rel=1e-5)


def test_an_ordinary_network_has_no_capsules_to_be_dead(blobs, tmp_path):
    experiment = tiny(str(blobs), training={"epochs": 1}, baselines={"models": ["ordinary_head"]})
    run = train(experiment, base=Path(), out=tmp_path / "run")
    record = run / "baselines/ordinary_head/repeat-0/seed-0/fold-0/fold.json"
    facts = json.loads(record.read_text())["learning"]
    assert facts["activations"] is None and facts["loss"]["terms"] == {}
    assert "network.init_scale" not in facts["options"]


class Counting(CapsuleLoss):
    """A loss that counts how often its margin is computed."""

    calls = 0

    def terms(self, output, target):
        self.calls += 1
        return super().terms(output, target)


def test_a_loss_and_its_parts_are_computed_once():
    loss, target = Counting(reduction="none"), torch.tensor([0, 1])
    told, scores = LossTerms(loss), torch.tensor([[0.8, 0.3], [0.2, 0.95]])
    value = told(scores, target)
    assert loss.calls == 1
    assert told.means() == {"margin": pytest.approx(value.item())}
    assert value.item() == pytest.approx(loss(scores, target).mean().item())


def test_a_network_that_always_answers_one_class_did_not_learn_whatever_its_loss_says(tmp_path):
    loss = {"name": "capsule", "class_weights": [1.0, 1000.0]}
    training = {"epochs": 8, "select": "last", "sampling": "natural"}
    cohort = write_blobs(tmp_path, patients=40)
    network, optimizer = {"norm": "BATCH", "init_scale": 0.3}, {"name": "adam", "lr": 1e-2}
    changes = {"network": network, "optimizer": optimizer, "training": training, "loss": loss}
    facts = learn(cohort, tmp_path / "run", **changes)
    assert facts["loss"]["last"] < 0.5 * facts["loss"]["first"]
    (found,) = diagnose(facts)
    assert found.name == "one_capsule" and "class 'large', in 100" in found.shown


def test_a_large_part_is_looked_at_in_equal_shares_of_its_classes():
    targets = np.array([0] * 90 + [1] * 10 + [2] * 100)
    chosen = sample(targets, np.arange(0, 200, 2), most=30)
    assert list(np.bincount(targets[chosen])) == [10, 5, 10]
    assert chosen[0] == 0 and list(chosen) == sorted(set(chosen))
    assert list(sample(targets, np.array([3, 5]), most=30)) == [3, 5]


@pytest.mark.parametrize(("norm", "named"), [("BATCH", False), ("INSTANCE", True)])
def test_what_is_set_already_is_not_advised(blobs, norm, named):
    experiment = tiny(str(blobs), network={"norm": norm})
    assert ("network.norm" in options(experiment, "capsnet")) == named


def test_classes_of_weight_zero_and_the_learning_rate_are_kept_for_the_advice(blobs):
    experiment = tiny(str(blobs), optimizer={"name": "adam", "lr": 0.0})
    loss = CapsuleLoss(class_weights=[0.0, 1.0])
    kept = settings(experiment, "capsnet", loss, ("benign", "malignant"))
    assert kept["learning_rate"] == 0 and kept["unweighed"] == ["benign"]
